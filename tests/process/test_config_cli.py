"""`orch init`, `orch project` and `orch config` as people use them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from orch.cli.main import run


class Said(NamedTuple):
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def orch(tmp_path, monkeypatch, capsys):
    """Runs a command line in a folder, on a home of its own."""
    monkeypatch.setenv("ORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    def call(*words: str, cwd: Path = tmp_path) -> Said:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = run(words)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, timeout=60)


def repository(folder: Path, remote: str = "") -> Path:
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    return Path(os.path.realpath(folder))


def test_init_makes_a_repository_a_registered_project_and_may_be_repeated(orch, tmp_path):
    folder = repository(tmp_path / "a.b:c")

    first = orch("init", "--json", cwd=folder)
    written = (folder / ".orch.yml").read_text()
    again = orch("init", "--json", cwd=folder)

    document = {"project": "local/a.b:c", "path": str(folder), "file": f"{folder}/.orch.yml"}
    assert first.json == {**document, "created": True, "registered": True}
    assert again.json == {**document, "created": False, "registered": False}
    assert (folder / ".orch.yml").read_text() == written
    assert orch("config", "check").code == 0
    assert orch("project", "list", "--json").json == [
        {"slug": "local/a.b:c", "path": str(folder), "problem": ""}
    ]


def test_init_works_from_any_folder_of_the_repository(orch, tmp_path):
    folder = repository(tmp_path / "deep")
    (folder / "a" / "b").mkdir(parents=True)
    assert orch("init", "--json", cwd=folder / "a" / "b").json["path"] == str(folder)


@pytest.mark.parametrize(
    ("remote", "slug"),
    [
        ("git@github.com:octo/demo.git", "octo/demo"),
        ("https://github.com/octo/demo", "octo/demo"),
        ("https://someone:token@github.com/octo/demo.js.git", "octo/demo.js"),
        ("ssh://git@github.com:22/octo/demo.git/", "octo/demo"),
        ("git@github.com-work:octo/demo.git", "octo/demo"),
        ("git@gitlab.com:octo/demo.git", "local/place"),
        ("https://example.org/github.com/octo/demo", "local/place"),
        ("/srv/github.com/octo/demo", "local/place"),
    ],
)
def test_init_takes_the_name_from_a_remote_on_github(orch, tmp_path, remote, slug):
    folder = repository(tmp_path / "place", remote)
    assert orch("init", "--json", cwd=folder).json["project"] == slug


def test_init_gives_folders_of_one_name_different_names(orch, tmp_path):
    slugs = [
        orch("init", "--json", cwd=repository(tmp_path / parent / "same")).json["project"]
        for parent in ("one", "two", "three")
    ]
    assert slugs == ["local/same", "local/same-2", "local/same-3"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [("two words", "local/two-words"), ("größe 🦊", "local/größe-🦊"), ("a#b", "local/a-b"),
     ("-x", "local/x"), ("true", "local/true")],
)  # fmt: skip
def test_init_makes_a_usable_name_of_any_folder(orch, tmp_path, name, slug):
    folder = repository(tmp_path / name)
    assert orch("init", "--json", cwd=folder).json["project"] == slug
    assert list(orch("project", "list", "--json").json[0].values()) == [slug, str(folder), ""]


def test_init_with_another_name_changes_it_and_keeps_the_rest_of_the_file(orch, tmp_path):
    folder = repository(tmp_path / "x")
    (folder / ".orch.yml").write_text("# mine\ngh:\n  repo: local/x # name\nworkflow: {}\n")

    assert orch("init", "--repo", "https://github.com/octo/y", cwd=folder).code == 0

    text = (folder / ".orch.yml").read_text()
    assert text == "# mine\ngh:\n  repo: octo/y  # name\nworkflow: {}\n"


def test_init_outside_of_git_says_what_to_do_and_with_yes_does_it(orch, tmp_path):
    folder = tmp_path / "plain"
    folder.mkdir()

    refused = orch("init", cwd=folder)
    assert (refused.code, list(folder.iterdir())) == (1, [])
    assert "is not in a git repository" in refused.err
    assert "`git init`, or `orch init --yes`" in refused.err

    assert orch("init", "--yes", cwd=folder).code == 0
    assert (folder / ".git").is_dir()


def test_init_refuses_a_name_that_another_project_has_and_writes_nothing(orch, tmp_path):
    one, two = repository(tmp_path / "one"), repository(tmp_path / "two")
    orch("init", "--repo", "octo/demo", cwd=one)

    refused = orch("init", "--repo", "Octo/Demo", "--json", cwd=two)

    assert refused.code == 1
    assert refused.json["error"]["class"] == "Refused"
    assert str(one) in refused.json["error"]["message"]
    assert [entry.name for entry in two.iterdir()] == [".git"]


@pytest.mark.parametrize(
    ("repo", "told"), [("demo", "expected owner/repo"), ("a/../b", "expected owner/repo")]
)
def test_init_refuses_what_is_no_name(orch, tmp_path, repo, told):
    said = orch("init", "--repo", repo, cwd=repository(tmp_path / "x"))
    assert (said.code, told in said.err) == (2, True)


def test_init_refuses_orchs_own_worktrees_and_bare_repositories(orch, tmp_path):
    inside = repository(tmp_path / "home" / "worktrees" / "o" / "r")
    assert "lies in orch's own home" in orch("init", cwd=inside).err
    assert not (inside / ".orch.yml").exists()
    bare = tmp_path / "bare"
    bare.mkdir()
    git(bare, "init", "-q", "--bare")
    assert "without files" in orch("init", cwd=bare).err


def test_init_tells_a_broken_project_file_with_its_line(orch, tmp_path):
    folder = repository(tmp_path / "x")
    (folder / ".orch.yml").write_text("gh:\n  repoo: a/b\n")
    said = orch("init", cwd=folder)
    assert said.code == 1
    assert f"{folder}/.orch.yml:2: gh.repoo: unknown key (did you mean gh.repo?)" in said.err


def test_a_project_is_added_by_its_folder_and_removed_by_folder_or_name(orch, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / ".orch.yml").write_text(f"gh: {{repo: o/{folder.name}}}\n")

    assert "o/one is registered now" in orch("project", "add", cwd=one).out
    assert "o/one was registered already" in orch("project", "add", str(one)).out
    assert orch("project", "add", "two", "--json").json["registered"] is True
    assert "o/one is not registered any more" in orch("project", "remove", "o/one").out
    assert orch("project", "remove", str(two), "--json").json["project"] == "o/two"
    assert orch("project", "list", "--json").json == []
    assert orch("project", "remove", "o/one").code == 4


def test_a_folder_with_the_name_of_another_project_is_not_added(orch, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".orch.yml").write_text("gh: {repo: o/same}\n")
    orch("project", "add", "one")

    refused = orch("project", "add", "two")

    assert (refused.code, f"{tmp_path}/one is registered as o/same" in refused.err) == (1, True)
    assert len(orch("project", "list", "--json").json) == 1


def test_a_project_whose_folder_is_gone_is_listed_with_the_reason_and_can_be_removed(
    orch, tmp_path
):
    folder = repository(tmp_path / "x")
    orch("init", cwd=folder)
    (folder / ".orch.yml").unlink()

    (listed,) = orch("project", "list", "--json").json
    assert (listed["slug"], listed["path"]) == ("", str(folder))
    assert "has no .orch.yml" in listed["problem"]
    assert orch("project", "remove", str(folder)).code == 0


@pytest.mark.parametrize(
    ("path", "told"), [("nowhere", "no such folder"), (".", "has no .orch.yml")]
)
def test_a_folder_that_is_no_project_is_not_added(orch, path, told):
    said = orch("project", "add", path)
    assert (said.code, told in said.err) == (4, True)


def test_a_setting_is_set_read_and_explained(orch, tmp_path):
    config = tmp_path / "home" / "config.yml"

    assert orch("config", "set", "workflow.max_attempts", "3").code == 0
    assert config.read_text() == "workflow:\n  max_attempts: 3\n"
    assert orch("config", "get", "workflow.max_attempts").out == "3\n"
    assert orch("config", "workflow.max_attempts").out == "3\n"
    assert orch("config", "explain", "workflow.max_attempts", "--json").json == {
        "key": "workflow.max_attempts", "value": 3, "file": str(config), "line": 2,
    }  # fmt: skip
    assert orch("config", "explain", "git.name").out == 'git.name: ""  (the default)\n'
    assert orch("config", "set", "router.agents", "shell, mine").code == 0
    assert orch("config", "get", "router.agents").out == "shell\nmine\n"
    assert orch("config", "get", "--json").json["workflow"]["max_attempts"] == 3
    assert orch("config", "path").out == f"{config}\n"


def test_a_setting_of_one_project_is_in_its_file_and_wins_there(orch, tmp_path):
    folder = repository(tmp_path / "x")
    orch("init", cwd=folder)
    orch("config", "set", "workflow.max_attempts", "5", "--here", cwd=folder)

    shadowed = orch("config", "set", "workflow.max_attempts", "7", cwd=folder)

    assert f"{folder}/.orch.yml:" in shadowed.err
    assert "overrides it for the project here" in shadowed.err
    assert orch("config", "get", "workflow.max_attempts", cwd=folder).out == "5\n"
    assert orch("config", "get", "workflow.max_attempts").out == "7\n"
    assert orch("--project", "local/x", "config", "get", "workflow.max_attempts").out == "5\n"
    assert "gh.repo is now o/new" in orch("config", "set", "gh.repo", "o/new", cwd=folder).out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("set", "workflow.max_attempts", "0"), 1, "expected int from 1 to 1000, got 0"),
        (("set", "workflow.max_atempts", "1"), 1, "did you mean workflow.max_attempts?"),
        (("set", "router.mode", "luck"), 1, "expected label_only or llm or"),
        (("set", "gh.repo", "a/b"), 4, "there is no project here"),
        (("set", "git.name", "x", "--here"), 4, "there is no project here"),
        (("get", "nope"), 4, "nope: unknown key"),
        (("explain", "agents.none"), 4, "agents.none: is not set"),
        (("frobnicate",), 2, "frobnicate"),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(orch, tmp_path, words, code, told):
    said = orch("config", *words)
    assert (said.code, told in said.err) == (code, True)
    assert not (tmp_path / "home" / "config.yml").exists()


def test_secrets_are_never_printed(orch, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.yml").write_text(
        "agents: {a: {command: [x], env: {KEY: hunter2}}}\n"
    )
    for words in (("get",), ("get", "agents"), ("get", "agents.a.env.KEY"), ("explain", "agents")):
        for form in ((), ("--json",)):
            said = orch("config", *words, *form)
            assert said.code == 0
            assert "***" in said.out
            assert "hunter2" not in said.out + said.err


def test_check_tells_everything_that_is_wrong_in_every_file(orch, tmp_path):
    folder = repository(tmp_path / "x")
    orch("init", cwd=folder)
    assert orch("config", "check").out == "2 files checked, nothing wrong\n"
    (folder / ".orch.yml").write_text(
        "gh: {repo: o/x}\njobs:\n- {id: a, schedule: '99 * * * *', task: {title: t}}\n- {id: b}\n"
    )
    orch("config", "set", "router.agents", "shel")

    said = orch("config", "check", "--json")

    assert said.code == 1
    assert said.json["ok"] is False
    assert any("jobs[1].schedule: is missing" in line for line in said.json["problems"])
    assert any("job a: " in line for line in said.json["problems"])
    assert any("did you mean shell?" in line for line in said.json["hints"])


def test_edit_opens_the_editor_and_checks_what_it_left(orch, tmp_path, monkeypatch):
    orch("config", "set", "engine.max_parallel", "2")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/parallel/paralel/")

    said = orch("config", "edit")

    assert said.code == 1
    assert "config.yml:2: engine.max_paralel: unknown key" in said.out
    monkeypatch.setenv("EDITOR", "sed -i s/paralel/parallel/")
    assert orch("config", "edit").code == 0
    monkeypatch.setenv("EDITOR", "/nowhere/editor")
    assert orch("config", "edit").code == 1
