"""Changing configuration files: what stays, what is refused, and what a crash leaves."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orch.config.edit import add_item, create, remove_item, set_value
from orch.config.expand import lookup_in
from orch.config.files import check_text
from orch.errors import ConfigError, NotFound, Refused

TEXT = """\
# what this is

projects:
- /a/b   # the first
- "/c d"

# about work
workflow:
    max_attempts: 4     # few

    # quoted on purpose
    required_tools: ['git', "tmux"]
agents:
    mine: {command: [x], env: {LONG: "%s"}}   # one line
# the end
""" % ("long " * 40)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(TEXT)
    path.chmod(0o640)
    return path


def after(file: Path) -> str:
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]
    return file.read_text()


def test_one_value_changes_and_every_other_line_stays(file):
    set_value(file, "workflow.max_attempts", 7)

    assert after(file) == TEXT.replace("max_attempts: 4 ", "max_attempts: 7 ")
    assert file.stat().st_mode & 0o7777 == 0o640


def test_a_new_section_comes_behind_what_is_there(file):
    set_value(file, "workflow.timeout_by_complexity.simple", 60)
    set_value(file, "engine.max_parallel", 2)

    lines = after(file).splitlines()
    for line in TEXT.splitlines():
        assert line in lines
    assert lines[-2:] == ["engine:", "    max_parallel: 2"]
    assert "        simple: 60" in lines


def test_an_item_is_added_behind_the_last_one(file):
    add_item(file, "projects", "/new place")
    assert after(file) == TEXT.replace('- "/c d"\n', '- "/c d"\n- /new place\n')


@pytest.mark.parametrize(
    ("before", "then"),
    [
        ("", "projects:\n  - /x\n"),
        ("# only words", "# only words\nprojects:\n  - /x\n"),
        ("projects: []\n", "projects:\n  - /x\n"),
        ("projects: [/a, /b]\n", "projects: [/a, /b, /x]\n"),
        ("projects: /a, /b\n", "projects:\n  - /a\n  - /b\n  - /x\n"),
        ("---\nprojects:\n    - /a\n", "---\nprojects:\n    - /a\n    - /x\n"),
        ("projects:\n- /a\n\ngit: {}\n", "projects:\n- /a\n- /x\n\ngit: {}\n"),
    ],
)
def test_a_list_is_made_or_goes_on_as_it_was_written(file, before, then):
    file.write_text(before)
    add_item(file, "projects", "/x")
    assert after(file) == then


@pytest.mark.parametrize(
    ("before", "then"),
    [
        (TEXT, TEXT.replace('- "/c d"\n', "")),
        ('projects:\n  - "/c d"\n# end\n', "projects: []\n# end\n"),
        ('projects: [/a, "/c d"]\n', "projects: [/a]\n"),
        ("projects: /a, /c d\n", "projects:\n  - /a\n"),
        ("git: {}  # nothing\n", "git: {}  # nothing\n"),
        ("projects:   # mine\n- /c d\n- /a\n", "projects:   # mine\n- /a\n"),
    ],
)
def test_an_item_is_removed_and_every_other_line_stays(file, before, then):
    file.write_text(before)
    count = remove_item(file, "projects", lambda item: item == "/c d")
    assert (after(file), count) == (then, 0 if before == then else 1)


def test_a_job_of_many_lines_is_removed_whole(file):
    one = (
        "  - id: one\n    schedule: '@daily'\n    task:\n      title: t\n      body: |\n        a\n"
    )
    two = "  # about two\n  - {id: two, schedule: '@daily', task: {title: t}}\n"
    file.write_text(f"jobs:\n{one}{two}git: {{}}\n")

    assert remove_item(file, "jobs", lambda job: job["id"] == "one") == 1
    assert after(file) == f"jobs:\n{two}git: {{}}\n"


def test_a_job_is_switched_off_in_its_place(file):
    file.write_text("jobs:\n  - id: one   # first\n    schedule: '@daily'\n    task: {title: t}\n")
    set_value(file, "jobs[0].enabled", False)
    assert after(file).splitlines()[:2] == ["jobs:", "  - id: one   # first"]
    assert "    enabled: false" in after(file)
    with pytest.raises(NotFound):
        set_value(file, "jobs[7].enabled", False)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("workflow.max_attempts", 0, "workflow.max_attempts: expected int from 1 to 1000, got 0"),
        ("workflow.max_atempts", 3, "workflow.max_atempts: unknown key (did you mean"),
        ("agents.fresh.protocol", "terminal", "agents.fresh.command: is missing"),
        ("git.name", "${ORCH_TEST_UNSET}", "git.name: the variable ORCH_TEST_UNSET is not set"),
        ("workflow.max_attempts.deep", 3, "workflow.max_attempts.deep: max_attempts is a plain"),
    ],
)
def test_what_would_not_be_valid_is_refused_and_nothing_changes(file, key, value, told):
    with pytest.raises(ConfigError) as raised:
        set_value(file, key, value)
    assert raised.value.message.startswith(told)
    assert after(file) == TEXT


def test_a_file_with_another_mistake_can_be_mended_key_by_key(file):
    file.write_text("workflow: {max_attempts: 0, timeout_seconds: x}\n")
    set_value(file, "workflow.max_attempts", 3)
    set_value(file, "workflow.timeout_seconds", 3)
    assert after(file) == "workflow: {max_attempts: 3, timeout_seconds: 3}\n"


def test_a_file_that_is_not_yaml_is_told_with_its_line_and_left_alone(file):
    file.write_text("git: {}\nworkflow: {\n")
    with pytest.raises(ConfigError, match=r"config\.yml:3: not YAML"):
        set_value(file, "workflow.max_attempts", 3)
    assert after(file) == "git: {}\nworkflow: {\n"


def test_a_link_stays_a_link(file, tmp_path):
    link = tmp_path / "elsewhere" / "config.yml"
    link.parent.mkdir()
    link.symlink_to(file)
    set_value(link, "workflow.max_attempts", 7)
    assert link.is_symlink()
    assert "max_attempts: 7" in file.read_text()


def test_new_files_have_modes_of_their_own(tmp_path):
    set_value(tmp_path / "config.yml", "engine.max_parallel", 2)
    create(tmp_path / ".orch.yml", "gh: {repo: o/r}\n")

    assert (tmp_path / "config.yml").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".orch.yml").stat().st_mode & 0o777 == 0o644
    with pytest.raises(Refused, match="is there already"):
        create(tmp_path / ".orch.yml", "gh: {repo: other/r}\n")


WRITER = """
import sys
from pathlib import Path
from orch.config.edit import add_item, set_value
path, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
for n in range(rounds):
    add_item(path, "projects", f"/{name}/{n}")
    set_value(path, f"agents.{name}.command", [name, str(n)])
"""


def writer(path: Path, name: str, rounds: int) -> subprocess.Popen[str]:
    code = textwrap.dedent(WRITER)
    argv = [sys.executable, "-c", code, str(path), name, str(rounds)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_many_commands_at_once_lose_nothing_of_each_other(file):
    running = [writer(file, f"w{n}", 3) for n in range(3)]

    assert [process.wait(60) for process in running] == [0] * 3

    found = check_text(file.read_bytes(), file, lookup_in({}), project=False)
    assert found.problems == []
    assert set(found.values["projects"]) == {"/a/b", "/c d"} | {
        f"/w{n}/{m}" for n in range(3) for m in range(3)
    }
    assert [found.values["agents"][f"w{n}"]["command"] for n in range(3)] == [
        (f"w{n}", "2") for n in range(3)
    ]
    assert file.read_text().startswith("# what this is\n")


def test_a_command_killed_at_any_moment_leaves_a_whole_file_and_no_lock(file):
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    for _ in range(4):
        process = writer(file, "w", 1000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        before = file.stat().st_ino
        while file.stat().st_ino == before:  # its first change is in place
            assert process.poll() is None, f"seed {seed}"
        try:
            process.wait(chance.uniform(0, 0.05))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

        found = check_text(file.read_bytes(), file, lookup_in({}), project=False)
        assert found.problems == [], f"seed {seed}"
        assert "# about work" in file.read_text()
        set_value(file, "workflow.max_attempts", chance.randrange(1, 99))
        remove_item(file, "projects", lambda item: item.startswith("/w/"))
        assert "/w/" not in after(file)


def test_what_a_killed_command_left_is_removed_by_the_next_one(file):
    file.with_name(".config.yml.abc123.new").write_text("half a fi")
    set_value(file, "workflow.max_attempts", 7)
    assert "max_attempts: 7" in after(file)


def test_a_disk_that_takes_no_more_changes_nothing(file):
    code = """
    import resource, signal, sys
    from pathlib import Path
    from orch.config.edit import set_value
    from orch.errors import Refused
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        set_value(Path(sys.argv[1]), "workflow.max_attempts", 7)
    except Refused as error:
        print(error.message, error.hint)
    """
    argv = [sys.executable, "-B", "-c", textwrap.dedent(code), str(file)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert f"{file} cannot be written: {os.strerror(27)} nothing was changed" in ran.stdout
    assert after(file) == TEXT
