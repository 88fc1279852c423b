"""Repositories of skills: cloned, pinned, read; the hostile is refused, the last copy is kept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from orch.config.schema import SkillConfig
from orch.tools.skills import Held, address, clone_folder, hold

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        [*GIT, "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    return git(folder, "rev-parse", "HEAD")


def skill(folder: Path, name: str, text: str = "Do it.", front: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    head = front or f"name: {name}\ndescription: how to\n  {name}"
    (folder / "SKILL.md").write_text(f"---\n{head}\n---\n\n{text}\n")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q")
    skill(folder / "skills/sql", "sql")
    skill(folder / "skills/deep/er/web", "web")
    commit(folder)
    return folder


def held(origin: Path, pull: bool = False, **more: str) -> Held:
    return hold(entry(origin, **more), origin.parent / "home", pull=pull)


def entry(origin: Path, **more: str) -> SkillConfig:
    return SkillConfig(repo=str(origin), **more)


def names(found: Held) -> list[str]:
    return [one.name for one in found.skills]


def test_a_repository_is_cloned_and_its_skills_are_read(origin):
    found = held(origin, path="skills")
    assert (names(found), found.problem) == (["sql", "web"], "")
    assert found.commit == git(origin, "rev-parse", "HEAD")
    assert found.skills[0].text == "Do it."
    assert found.skills[0].description == "how to sql"
    assert names(held(origin, path="skills/sql")) == ["sql"]


def test_it_is_brought_up_to_date_when_asked_and_not_before(origin):
    held(origin)
    skill(origin / "new", "new")
    fresh = commit(origin)
    assert "new" not in names(held(origin))
    found = held(origin, pull=True)
    assert "new" in names(found)
    assert found.commit == fresh
    git(origin, "commit", "-q", "--amend", "-m", "rewritten")
    assert held(origin, pull=True).commit == git(origin, "rev-parse", "HEAD")


@pytest.mark.parametrize("kind", ["branch", "tag", "commit", "short"])
def test_a_ref_holds_it_where_it_says(origin, kind):
    old = git(origin, "rev-parse", "HEAD")
    git(origin, "tag", "v1")
    git(origin, "branch", "side")
    skill(origin / "new", "new")
    commit(origin)
    ref = {"branch": "side", "tag": "v1", "commit": old, "short": old[:10]}[kind]
    found = held(origin, pull=True, ref=ref)
    assert (found.commit, found.problem) == (old, "")
    assert "new" not in names(found)


def test_what_is_pinned_to_a_commit_needs_no_network(origin):
    old = git(origin, "rev-parse", "HEAD")
    first = held(origin, ref=old)
    (Path(clone_folder(origin.parent / "home", entry(origin, ref=old))) / "skills/sql").rename(
        origin.parent / "moved"
    )
    shutil.rmtree(origin)
    again = held(origin, pull=True, ref=old)
    assert (again.problem, names(again)) == ("", names(first)), "and is mended from its own clone"


def test_an_unreachable_repository_is_told_and_the_last_copy_is_kept(origin):
    first = held(origin)
    origin.rename(origin.parent / "away")
    again = held(origin, pull=True)
    assert names(again) == names(first)
    assert "cannot be brought up to date" in again.problem
    never = hold(SkillConfig(repo=str(origin), ref="x"), origin.parent / "home", pull=False)
    assert (never.skills, "does not exist" in never.problem) == ((), True)
    assert not list((origin.parent / "home").glob(".new-*"))


def test_a_ref_that_is_not_there_is_told(origin):
    assert "no branch, tag or commit nowhere" in held(origin, ref="nowhere").problem


def test_links_that_lead_out_are_no_skills(origin, tmp_path):
    secret = tmp_path / "secret"
    skill(secret, "secret", "hidden")
    (origin / "out").symlink_to(secret)
    (origin / "skills/file").mkdir()
    (origin / "skills/file/SKILL.md").symlink_to(secret / "SKILL.md")
    (origin / "skills/again").symlink_to(origin / "skills/sql", target_is_directory=True)
    (origin / "skills/inside").symlink_to("sql")
    (origin / "loop").symlink_to("loop")
    commit(origin)
    assert names(held(origin)) == ["sql", "web"]
    refused = held(origin, path="out")
    assert (refused.skills, refused.problem) == ((), "out leads out of the repository")


@pytest.mark.parametrize("front, name, description", [
    ("name: ../../etc\ndescription: x", "odd", "x"),
    ("name: '# Rules'\ndescription: 'a\n\n  b'", "odd", "a b"),
    ("name: [a]\ndescription: 5", "odd", ""),
    ("a: b: c", "odd", ""),
    ("- list", "odd", ""),
    ("!!python/object/apply:os.system ['touch /tmp/never']", "odd", ""),
])  # fmt: skip
def test_an_odd_front_matter_does_no_harm(origin, front, name, description):
    skill(origin / "odd", "odd", front=front)
    commit(origin)
    (found,) = held(origin, path="odd").skills
    assert (found.name, found.description) == (name, description)


def test_a_repository_without_skills_says_so(origin):
    (origin / "empty").mkdir()
    (origin / "empty/x").touch()
    commit(origin)
    assert held(origin, path="empty").problem == "holds no SKILL.md below empty"
    assert "there is no folder nowhere" in held(origin, path="nowhere").problem


def test_each_repository_and_ref_has_a_clone_of_its_own(tmp_path):
    one, two, three = (
        clone_folder(tmp_path, SkillConfig(repo=repo, ref=ref))
        for repo, ref in (("a/x", ""), ("b/x", ""), ("a/x", "v1"))
    )
    assert len({one, two, three}) == 3
    assert one.name.startswith("x-")
    assert clone_folder(tmp_path, SkillConfig(repo="https://h/..")).parent == tmp_path


def test_a_short_name_is_githubs():
    assert address("ada/skills") == "https://github.com/ada/skills.git"
    assert address("git@h:ada/skills.git") == "git@h:ada/skills.git"
