"""Merging a branch with real git: what is made, what moves, and what is never touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orch.tools import git, merging
from orch.tools.merging import Identity

WHO = Identity("bot", "bot@example.org")


class Repo:
    """A repository with a branch `work` that changed `a.txt`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scratch = folder.with_name("scratch")
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write("a.txt", "one\n", "Begin")
        self.git("checkout", "-q", "-b", "work")
        self.write("a.txt", "two\n", "Two")
        self.write("b.txt", "b\n", "B")
        self.git("checkout", "-q", "main")

    def git(self, *words: str) -> str:
        named = ["git", "-c", "user.name=Ada", "-c", "user.email=a@b.c", *words]
        return subprocess.run(
            named, cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    def write(self, name: str, text: str, message: str) -> None:
        (self.folder / name).write_text(text)
        self.git("add", name)
        self.git("commit", "-qm", message)

    def at(self, name: str) -> str:
        return self.git("rev-parse", name)

    def make(self, method: str = "squash") -> merging.Made:
        onto = merging.target(self.folder).onto
        return merging.make(
            self.folder, self.scratch, self.at("work"), onto, method, "Merged\n", WHO
        )

    def move(self, made: merging.Made, stands: str = "") -> merging.Moved:
        return merging.move(self.folder, "main", stands or self.at("main"), made.commit)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "repo")


@pytest.mark.parametrize(
    "method, subjects",
    [
        ("squash", ["Merged", "Begin"]),
        ("merge", ["Merged", "B", "Two", "Begin"]),
        ("rebase", ["B", "Two", "Else", "Begin"]),
    ],
)
def test_each_method_makes_its_commits_and_moves_nothing(repo, method, subjects):
    if method == "rebase":
        repo.write("c.txt", "c\n", "Else")
    before = repo.at("main"), repo.at("work")
    made = repo.make(method)
    assert (repo.at("main"), repo.at("work")) == before
    assert repo.git("log", "--format=%s", "--topo-order", made.commit).splitlines() == subjects
    assert repo.git("log", "-1", "--format=%cn", made.commit) == "bot"
    assert repo.git("show", f"{made.commit}:a.txt") == "two"
    assert git.worktrees(repo.folder) == {str(repo.folder): "main"}
    assert not repo.scratch.exists()


def test_a_branch_that_nobody_has_checked_out_moves_only_from_where_it_stood(repo):
    repo.git("checkout", "-q", "--detach")
    made = repo.make()
    assert repo.move(made, stands=repo.at("work")).stale
    assert repo.move(made).done
    assert repo.at("main") == made.commit
    assert repo.move(made, stands="0" * 40).done, "done before is done"
    assert (repo.folder / "a.txt").read_text() == "one\n"


def test_a_clean_checkout_goes_on_with_its_branch(repo):
    (repo.folder / "notes.txt").write_text("mine\n")
    made = repo.make()
    assert repo.move(made).done
    assert (repo.folder / "a.txt").read_text() == "two\n"
    assert repo.git("status", "--porcelain") == "?? notes.txt"


def test_a_checkout_with_anything_uncommitted_is_left_alone_even_if_git_could_go_on(repo):
    repo.write("c.txt", "c\n", "Else")
    (repo.folder / "c.txt").write_text("in the middle of something\n")
    before = repo.at("main")
    assert "not committed" in repo.move(repo.make()).held
    assert repo.at("main") == before


@pytest.mark.parametrize("how", ["changed", "staged", "in the way", "ignored, in the way"])
def test_what_a_person_has_not_committed_is_never_overwritten(repo, how):
    mine = repo.folder / ("a.txt" if how in ("changed", "staged") else "b.txt")
    mine.write_text("mine\n")
    if how == "staged":
        repo.git("add", "a.txt")
    if how.startswith("ignored"):
        (repo.folder / ".git" / "info" / "exclude").write_text("b.txt\n")
    made, before = repo.make(), repo.at("main")
    moved = repo.move(made)
    assert not moved.done
    assert str(repo.folder) in moved.held
    assert made.commit[:12] in moved.held
    assert mine.read_text() == "mine\n"
    assert repo.at("main") == before
    assert repo.git("show", ":a.txt") == ("mine" if how == "staged" else "one")


def test_a_branch_in_the_middle_of_a_rebase_is_left_alone(repo):
    repo.git("branch", "aside", "main")
    repo.write("a.txt", "three\n", "Three")
    made = repo.make()
    assert made.conflicts == ("a.txt",)
    with pytest.raises(subprocess.CalledProcessError):
        repo.git("rebase", "work")
    assert "" in git.worktrees(repo.folder).values(), "git says that it is on no branch"
    moved = merging.move(repo.folder, "main", repo.at("main"), repo.at("work"))
    assert "is being rebased" in moved.held
    repo.git("rebase", "--abort")


@pytest.mark.parametrize("method", ["squash", "merge", "rebase"])
def test_conflicts_are_told_and_leave_nothing_behind(repo, method):
    repo.write("a.txt", "three\n", "Three")
    assert repo.make(method).conflicts == ("a.txt",)
    assert git.worktrees(repo.folder) == {str(repo.folder): "main"}


def test_work_that_is_there_already_makes_no_empty_commit(repo):
    repo.git("cherry-pick", "work~1", "work")
    assert repo.make().commit == repo.at("main")
    repo.git("merge", "-q", "work")
    assert repo.make("merge").commit == repo.at("main")


def test_the_target_takes_along_what_the_remote_has_more(repo, tmp_path):
    subprocess.run(["git", "clone", "-q", str(repo.folder), str(tmp_path / "clone")], check=True)
    clone = tmp_path / "clone"
    repo.write("c.txt", "c\n", "More")
    git.fetch(clone, "main")
    found = merging.target(clone)
    assert (found.branch, found.onto) == ("main", repo.at("main"))
    assert found.stands == repo.at("main~1")
    other = ["-c", "user.name=x", "-c", "user.email=x@y.z", "commit", "-q", "--allow-empty"]
    subprocess.run(["git", *other, "-m", "Mine"], cwd=clone, check=True)
    assert "different ways" in merging.target(clone).problem


def test_a_person_settings_change_nothing(repo):
    for name in ("rebase.autoStash", "merge.autoStash", "rebase.updateRefs", "rerere.enabled"):
        repo.git("config", name, "true")
    repo.git("config", "merge.ff", "only")
    repo.git("branch", "keep", "work~1")
    kept = repo.at("keep")
    repo.write("c.txt", "c\n", "Else")
    for method in ("squash", "merge", "rebase"):
        assert repo.make(method).commit
    assert repo.at("keep") == kept


# ---- another's work, brought into the branch of a worktree -----------------------------------


@pytest.fixture
def place(repo: Repo) -> Path:
    """A worktree on a branch of its own."""
    folder = repo.folder.with_name("place")
    repo.git("worktree", "add", "-q", "-b", "mine", str(folder))
    return folder


def joined(repo: Repo, place: Path) -> bool:
    return merging.join(place, repo.at("work"), "Bring in\n", WHO)


def test_work_is_brought_in_once_whatever_the_branch_has(repo, place):
    (place / "c.txt").write_text("c\n")
    git.commit_all(place, "C\n", WHO.name, WHO.email)
    assert joined(repo, place)
    assert [(place / name).read_text() for name in ("a.txt", "b.txt", "c.txt")] == [
        "two\n",
        "b\n",
        "c\n",
    ]
    head = repo.at("mine")
    assert repo.git("log", "-1", "--format=%an %s", "mine") == "bot Bring in"
    assert joined(repo, place)
    assert repo.at("mine") == head


def test_a_branch_with_nothing_of_its_own_goes_on_to_the_work(repo, place):
    assert joined(repo, place)
    assert repo.at("mine") == repo.at("work")


def test_what_conflicts_leaves_the_branch_as_it_was(repo, place):
    (place / "a.txt").write_text("three\n")
    git.commit_all(place, "Three\n", WHO.name, WHO.email)
    head = repo.at("mine")
    assert not joined(repo, place)
    assert repo.at("mine") == head
    assert not git.dirty(place)
    assert git.unfinished(place) == ""


def test_what_a_killed_merge_left_is_taken_back_and_done_again(repo, place):
    (place / "c.txt").write_text("c\n")
    git.commit_all(place, "C\n", WHO.name, WHO.email)
    git.call(place, "merge", "--no-commit", "-m", "Bring in", repo.at("work"))
    (Path(git.call(place, "rev-parse", "--absolute-git-dir").out.decode().strip())
     / "index.lock").touch()  # fmt: skip
    assert joined(repo, place)
    assert git.merging(place) == ""
    assert not git.dirty(place)
    assert git.is_merged(place, repo.at("work"), "HEAD")


def test_what_is_not_committed_is_kept(repo, place):
    (place / "d.txt").write_text("d\n")
    assert joined(repo, place)
    assert (place / "d.txt").read_text() == "d\n"
    assert not git.dirty(place)


def test_work_with_another_history_is_left_to_somebody_who_judges(repo, place):
    repo.git("checkout", "-q", "--orphan", "other")
    repo.git("commit", "-qm", "Other")
    repo.git("branch", "-f", "work", "other")
    assert not joined(repo, place)
    assert not git.dirty(place)


def test_a_merge_that_a_person_has_begun_there_is_left_to_them(repo, place):
    (place / "a.txt").write_text("three\n")
    git.commit_all(place, "Three\n", WHO.name, WHO.email)
    repo.git("branch", "theirs", repo.at("work"))
    git.call(place, "merge", "theirs", check=False)
    (place / "a.txt").write_text("two and three\n")
    assert not joined(repo, place)
    assert git.merging(place) == "Merge branch 'theirs' into mine"
    assert (place / "a.txt").read_text() == "two and three\n"


def test_what_is_there_already_touches_nothing(repo, place):
    assert joined(repo, place)
    (place / "d.txt").write_text("d\n")
    assert joined(repo, place)
    assert git.dirty(place)
