"""What `orch gc` concludes of branches and worktrees of a repository that has a remote."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from orch.core.keeping import Owner
from orch.hosts.local import Local
from orch.model import Status
from orch.paths import Home
from services.engine import sweep

BRANCH = "orch/int-1-x"
Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Git in a clone `repo` of `origin`, with a task's branch and worktree in it."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "ada@example.org")

    def run(*words: str, at: str = "repo") -> str:
        done = subprocess.run(
            ["git", *words], cwd=tmp_path / at, check=True, capture_output=True, text=True
        )
        return done.stdout

    (tmp_path / "seed").mkdir()
    run("init", "-q", "-b", "main", at="seed")
    run("commit", "-q", "--allow-empty", "-m", "Begin", at="seed")
    run("clone", "-q", "--bare", "seed", "origin", at=".")
    run("clone", "-q", "origin", "repo", at=".")
    run("worktree", "add", "-q", "-b", BRANCH, str(worktree(tmp_path)))
    (worktree(tmp_path) / "a.txt").write_text("a\n")
    run("add", "a.txt", at="home/worktrees/o/r/int-1-x")
    run("commit", "-q", "-m", "Work", at="home/worktrees/o/r/int-1-x")
    return run


def worktree(tmp_path: Path) -> Path:
    return tmp_path / "home" / "worktrees" / "o" / "r" / "int-1-x"


def verdicts(tmp_path: Path, **more: object) -> dict[str, str]:
    """What is said of the worktree and the branch of a task that is done."""
    home, owner = Home(tmp_path / "home"), Owner("int-1", "o/r", Status.DONE, 0.0)
    host, repos = Local(home), {"o/r": tmp_path / "repo"}
    scene = sweep.Scene(
        home=home, host=host, repos=repos, found=sweep.look(home, host, repos, {}),
        of_worktrees={str(worktree(tmp_path)): owner}, of_branches={("o/r", BRANCH): owner},
        of_sessions={}, expendable=(), days=90, now=0.0, dry_run=False,
    )  # fmt: skip
    return {kind: said for kind, _, said in sweep.clear(msgspec.structs.replace(scene, **more))}


def test_what_is_merged_here_but_not_pushed_stays(tmp_path: Path, git: Git):
    git("merge", "-q", BRANCH)
    unpushed = "stays: it is not merged into origin/main"
    assert verdicts(tmp_path) == {"worktree": "removed", "branch": unpushed}
    git("push", "-q", "origin", "main")
    assert verdicts(tmp_path) == {"branch": "removed"}
    assert git("log", "--oneline", "origin/main").splitlines()[0].endswith("Work")


@pytest.mark.parametrize(
    "file, what",
    [("MERGE_HEAD", "a merge is under way in it"), ("rebase-merge", "a rebase is under way in it")],
)
def test_what_git_is_in_the_middle_of_stays(tmp_path: Path, git: Git, file: str, what: str):
    private = Path(git("rev-parse", "--absolute-git-dir", at="home/worktrees/o/r/int-1-x").strip())
    (private / file).write_text(git("rev-parse", "HEAD"))
    assert verdicts(tmp_path)["worktree"] == f"stays: {what}"


def test_what_is_locked_or_cannot_be_asked_stays(tmp_path: Path, git: Git):
    git("worktree", "lock", str(worktree(tmp_path)))
    assert "locked" in verdicts(tmp_path)["worktree"]
    git("worktree", "unlock", str(worktree(tmp_path)))
    (tmp_path / "repo" / ".git").rename(tmp_path / "gone")
    said = verdicts(tmp_path)
    assert said["worktree"].startswith("stays: ")
    assert said["branches"].startswith("stay: ")
    assert (worktree(tmp_path) / "a.txt").exists()
    assert verdicts(tmp_path, repos={})["worktree"] == "stays: its project o/r is not registered"
