"""Configuration of a home and its projects, as real files that go wrong in real ways."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orch.config.load import explain, find_project, load, load_global, slug_of
from orch.errors import ConfigError
from orch.paths import Home


class Place:
    """A home and folders for projects."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root / "home")
        self.home.root.mkdir()

    def config(self, text: str) -> None:
        self.home.config.write_text(text)

    def project(self, name: str, text: str | None, file: str = ".orch.yml") -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / file).write_text(text)
        return folder

    def env(self, text: str, mode: int = 0o600) -> None:
        self.home.env.write_text(text)
        self.home.env.chmod(mode)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Path(os.path.realpath(tmp_path)))


def test_a_home_without_files_has_the_defaults(place):
    loaded = load(place.home)
    assert (loaded.projects, loaded.problems, loaded.hints) == ({}, (), ())
    assert loaded.files == {str(place.home.config): None, str(place.home.env): None}


def test_a_projects_file_reaches_every_reader_of_the_home(place):
    one = place.project("one", "gh: {repo: o/one}\nworkflow: {max_attempts: 2}\n")
    two = place.project("two", "gh: {repo: local/a.b:c}\n")
    place.config(f"projects: [{one}, {two}]\nworkflow: {{max_attempts: 5}}\n")

    loaded = load(place.home)

    assert loaded.problems == ()
    assert {slug: p.config.workflow.max_attempts for slug, p in loaded.projects.items()} == {
        "o/one": 2,
        "local/a.b:c": 5,
    }
    assert loaded.config.workflow.max_attempts == 5
    assert loaded.projects["o/one"].path == str(one)
    assert set(loaded.files) == {
        str(path)
        for path in (place.home.config, place.home.env, one / ".orch.yml", two / ".orch.yml")
    }


def test_a_bad_global_file_is_an_error_with_every_problem(place):
    place.config("workflow: {max_attempts: 0}\nrouter: {mode: x}\n")
    with pytest.raises(ConfigError) as raised:
        load(place.home)
    first, second = raised.value.message.splitlines()
    assert first.startswith("config.yml:1: workflow.max_attempts: expected int from 1")
    assert second.startswith("config.yml:2: router.mode: expected")


def test_a_bad_project_keeps_its_last_good_config_and_hurts_no_other(place):
    one = place.project("one", "gh: {repo: o/one}\nworkflow: {max_attempts: 2}\n")
    two = place.project("two", "gh: {repo: o/two}\n")
    place.config(f"projects: [{one}, {two}]\n")
    good = load(place.home)

    for broken in ("gh: {repo: o/one}\nworkflow: {max_attempts: x}\n", "gh: {repo: o/o", "", None):
        (one / ".orch.yml").unlink()
        place.project("one", broken)
        bad = load(place.home, good)
        assert bad.projects["o/one"].config == good.projects["o/one"].config
        assert bad.projects["o/one"].problem in bad.problems
        assert bad.projects["o/two"] == good.projects["o/two"]
        place.project("one", "")

    place.project("one", "gh: {repo: o/one}\nworkflow: {max_attempts: 3}\n")
    healed = load(place.home, bad)
    assert healed.projects["o/one"].problem == ""
    assert healed.projects["o/one"].config.workflow.max_attempts == 3


def test_a_bad_project_met_for_the_first_time_is_known_when_its_name_can_be_read(place):
    one = place.project("one", "gh: {repo: o/one}\nworkflow: {max_attempts: x}\n")
    two = place.project("two", "gh: {]\n")
    place.config(f"projects: [{one}, {two}]\n")

    loaded = load(place.home)

    told = f"{one}/.orch.yml:2: workflow.max_attempts: expected int, got str"
    assert loaded.projects["o/one"].problem == told
    assert list(loaded.unread) == [str(two)]
    assert loaded.problems[0] == told
    assert loaded.problems[1].startswith(f"{two}/.orch.yml:1: not YAML")


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("relative", "relative: is not an absolute path"),
        ("/nowhere/at/all", "/nowhere/at/all: no such folder"),
    ],
)
def test_a_folder_that_is_no_project_is_told_with_the_line_of_its_entry(place, entry, why):
    place.config(f"projects:\n  - {entry}\n")
    (problem,) = load(place.home).problems
    assert problem.startswith(f"config.yml:2: projects[0]: {why}")


def test_a_project_without_a_name_is_told_how_to_get_one(place):
    one = place.project("one", "workflow: {}\n")
    place.config(f"projects: [{one}]\n")
    assert load(place.home).problems == (
        f"{one}/.orch.yml:1: gh.repo: is missing (`orch init` writes it)",
    )


def test_two_folders_of_one_name_are_told_and_the_first_goes_on(place):
    one = place.project("one", "gh: {repo: o/same}\n")
    two = place.project("two", "gh: {repo: O/Same}\n")
    place.config(f"projects: [{one}, {two}]\n")

    loaded = load(place.home)

    (problem,) = loaded.problems
    assert (str(one) in problem, str(two) in problem) == (True, True)
    assert [(p.path, p.problem) for p in loaded.projects.values()] == [(str(one), "")]


def test_one_folder_named_twice_is_one_project(place):
    one = place.project("one", "gh: {repo: o/one}\n")
    (place.root / "link").symlink_to(one)
    place.config(f"projects: [{one}, {one}/, {place.root}/link]\n")
    loaded = load(place.home)
    assert (list(loaded.projects), loaded.problems) == (["o/one"], ())


def test_the_old_file_name_is_read_with_a_hint_to_rename_it(place):
    one = place.project("one", "gh: {repo: o/old}\n", file=".orchestrator.yml")
    place.config(f"projects: [{one}]\n")

    loaded = load(place.home)

    assert list(loaded.projects) == ["o/old"]
    assert loaded.hints == (f"{one}/.orchestrator.yml: rename it to .orch.yml",)
    assert str(one / ".orch.yml") in loaded.files


def test_the_nearest_project_file_upwards_is_the_one(place):
    one = place.project("one", "gh: {repo: o/one}\n")
    deep = place.project("one/a/b/c", None)
    inner = place.project("one/a/b", "gh: {repo: o/inner}\n", file=".orchestrator.yml")

    assert find_project(one / "a") == one / ".orch.yml"
    assert find_project(deep) == inner / ".orchestrator.yml"
    assert slug_of(place.home, deep) == "o/inner"
    assert slug_of(place.home, place.root) == ""


def test_variables_come_from_the_environment_first_then_from_the_env_file(place, monkeypatch):
    monkeypatch.setenv("ORCH_TEST_BOTH", "environment")
    place.env("# comment\nexport ORCH_TEST_BOTH=file\n\nORCH_TEST_FILE = 'two words' \n")
    place.config("git: {name: '${ORCH_TEST_BOTH}', email: '${ORCH_TEST_FILE}'}\n")

    config = load_global(place.home)

    assert (config.git.name, config.git.email) == ("environment", "two words")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_an_env_file_that_others_may_read_is_refused(place, mode):
    place.env("A=b\n", mode)
    with pytest.raises(ConfigError, match=f"other users may read it .mode 0{mode:o}") as raised:
        load(place.home)
    assert raised.value.hint == f"chmod 600 {place.home.env}"


def test_an_env_file_with_a_strange_line_is_told_with_the_line(place):
    place.env("A=b\nwhat is this\n")
    with pytest.raises(ConfigError, match="env:2: expected KEY=VALUE"):
        load(place.home)


def test_a_file_that_is_suddenly_empty_was_torn(place):
    place.config("workflow: {max_attempts: 5}\n")
    good = load(place.home)
    place.config("")

    with pytest.raises(ConfigError, match=r"config\.yml:1: the file is suddenly empty"):
        load(place.home, good)
    assert load(place.home).config.workflow.max_attempts == 10


def test_a_file_cut_off_anywhere_is_read_or_told_with_its_line_and_nothing_else(place):
    text = (
        "# settings\nworkflow:\n  max_attempts: 5\n  required_tools: [git, 'tmux']\n"
        "agents:\n  mine: {command: \"x 'y'\", env: {KEY: '${HOME:-/}'}}\n"
        "jobs:\n- id: größe\n  schedule: '@daily'\n  task: {title: t}\n"
    ).encode()  # fmt: skip
    for size in range(len(text)):
        place.home.config.write_bytes(text[:size])
        try:
            load(place.home)
        except ConfigError as error:
            for line in error.message.splitlines():
                name, number, _ = line.split(":", 2)
                assert (name, int(number) >= 1) == ("config.yml", True)


def test_a_change_within_the_same_size_and_moment_is_seen(place):
    for n in range(200):
        place.config(f"workflow: {{max_attempts: {n % 9 + 1}}}\n")
        assert load_global(place.home).workflow.max_attempts == n % 9 + 1


def test_a_file_that_did_not_change_is_not_parsed_again(place, request):
    place.config("agents:\n" + "".join(f"  a{n}: {{command: [x]}}\n" for n in range(400)))
    deadline = time.monotonic() + 30
    load_global(place.home)
    while not _known(place.home.config):
        assert time.monotonic() < deadline
        load_global(place.home)


def _known(path: Path) -> bool:
    from orch.config import files

    return str(path) in files._trees


def test_explain_names_the_file_and_the_line(place):
    one = place.project("one", "gh:\n  repo: o/one\nrouter:\n  agents: [shell]\n")
    place.config("# top\nrouter:\n  agents: shell\n  mode: label_only\njobs: []\n")

    assert explain(place.home, "router.agents", one) == (["shell"], f"{one}/.orch.yml", 4)
    assert explain(place.home, "router.agents") == (["shell"], str(place.home.config), 3)
    assert explain(place.home, "router.mode", one)[1:] == (str(place.home.config), 4)
    assert explain(place.home, "engine.max_parallel", one) == (4, "", 0)
    assert explain(place.home, "jobs", one) == ([], "", 0)
    assert explain(place.home, "jobs") == ([], str(place.home.config), 5)


def test_names_of_agents_that_nobody_has_are_a_hint(place):
    place.config("router: {agents: [shel], fallback_executor: nobody}\n")
    assert load(place.home).hints == (
        "router.agents[0]: there is no agent called shel (did you mean shell?)",
        "router.fallback_executor: there is no agent called nobody "
        "(known: claude, codex, kimi, minimax, opencode, shell)",
    )


def test_free_models_by_pattern_need_an_agent_that_can_be_asked_for_them(place):
    place.config('model_map: {free: ["opencode:*", "openrouter/*", "claude:haiku", "claude:*"]}\n')
    assert load(place.home).hints == (
        "model_map.free[3]: claude:* stands for nothing: "
        "claude is no agent of the protocol opencode",
    )


@pytest.mark.parametrize(
    ("job", "problem"),
    [
        ("type: bash", "jobs[0].command: is missing: a job of type bash needs it"),
        ("type: task", "jobs[0].task: is missing: a job of type task needs it"),
        ("{}", "jobs[0].task: is missing"),
        ("type: self-review, command: x", "jobs[0].command: is for jobs of type bash"),
        ("task: {title: t}, dir: x", "jobs[0].dir: is for jobs of type bash"),
        ("type: bash, command: x, timeout_seconds: 0", "jobs[0].timeout_seconds: expected int"),
        ("type: bash, command: x, external: true", "does not have True yet"),
        ("type: shell", "expected bash or self-review or task"),
    ],
)
def test_a_job_that_does_not_fit_its_type_has_a_problem_and_disturbs_no_other(place, job, problem):
    bad = "" if job == "{}" else f", {job}"
    place.config(
        f"jobs:\n- {{id: bad, schedule: '@daily'{bad}}}\n"
        "- {id: good, schedule: '@daily', type: bash, command: 'a && b'}\n"
        "- {id: argv, schedule: '@daily', type: bash, command: [a, 'b c']}\n"
        "- {id: look, schedule: '@daily', type: self-review}\n"
    )
    jobs = load(place.home).config.jobs
    assert problem in jobs[0].problem
    assert [one.problem for one in jobs[1:]] == ["", "", ""]
    assert jobs[1].command == ("bash", "-c", "a && b")
    assert jobs[2].command == ("a", "b c")
    assert (jobs[1].timeout_seconds, jobs[1].dir) == (600, ".")
