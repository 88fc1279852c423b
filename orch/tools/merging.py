"""The door to merging a branch into the default one: made in a scratch worktree, moved with care.

A merge has two steps. `make` computes its commit, and moves nothing; `move` lets the default branch
go on to it, only from the commit that it was made for. Where a person has that branch checked out,
their folder is fast-forwarded by git itself, and only when nothing in it is uncommitted.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from orch.errors import ToolFailed
from orch.tools import git

_PLAIN = (
    "-c", "rerere.enabled=false", "-c", "rebase.updateRefs=false", "-c", "rebase.autoStash=false",
    "-c", "merge.autoStash=false", "-c", "merge.verifySignatures=false",
    "-c", "merge.ff=true",
)  # fmt: skip
"""No setting of the person's changes what a merge does."""


class Target(msgspec.Struct, frozen=True):
    """Where work goes: the local default branch, the commit it stands at ('' when there is none
    yet), the one to build on, and why nothing can be merged there ('' when it can)."""

    branch: str
    stands: str
    onto: str
    problem: str = ""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making a merge: its commit, or the files that conflict."""

    commit: str = ""
    conflicts: tuple[str, ...] = ()


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What came of moving the branch: `done`, or it stands elsewhere by now (`stale`), or `held`
    says why a person has to act."""

    done: bool = False
    stale: bool = False
    held: str = ""


class Identity(msgspec.Struct, frozen=True):
    """Who commits."""

    name: str
    email: str

    @property
    def env(self) -> dict[str, str]:
        """The environment by which git knows."""
        return {
            "GIT_AUTHOR_NAME": self.name,
            "GIT_AUTHOR_EMAIL": self.email,
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }


def target(repo: Path) -> Target:
    """The default branch as it is here; what its remote has more is taken along. Raises
    `ToolFailed`."""
    start = git.start(repo)
    stands = git.commit_of(repo, f"refs/heads/{start.branch}")
    if start.branch == "HEAD":
        return Target("", "", "", "the project has no default branch (main or master)")
    if not start.remote or not stands:
        return Target(start.branch, stands, stands or start.commit)
    if git.is_merged(repo, stands, start.commit):
        return Target(start.branch, stands, start.commit)
    if git.is_merged(repo, start.commit, stands):
        return Target(start.branch, stands, stands)
    problem = f"{start.branch} and origin/{start.branch} have gone different ways"
    return Target(start.branch, stands, stands, f"{problem}: bring them together first")


def make(
    repo: Path, scratch: Path, head: str, onto: str, method: str, message: str, who: Identity
) -> Made:
    """The commit that has `head` merged into `onto` by `method` (squash, merge or rebase), made in
    the worktree `scratch`, which is thrown away. It is `onto` itself where nothing is new."""
    if git.is_merged(repo, head, onto):
        return Made(commit=onto)
    git.discard_worktree(repo, scratch)
    try:
        git.add_detached(repo, scratch, head if method == "rebase" else onto)
        if method == "rebase":
            return _rebased(scratch, onto, who)
        return _merged(scratch, head, onto, method, message, who)
    finally:
        git.discard_worktree(repo, scratch)


def move(repo: Path, branch: str, stands: str, made: str) -> Moved:
    """Let `branch` go on from `stands` to `made`. Safe to repeat. Nothing of a person's is ever
    overwritten: where that could happen the branch is left alone."""
    now = git.commit_of(repo, f"refs/heads/{branch}")
    if now and git.is_merged(repo, made, now):
        return Moved(done=True)
    if now != stands:
        return Moved(stale=True)
    for folder, checked_out in git.worktrees(repo).items():
        place = Path(folder)
        if checked_out == branch:
            return _fast_forward(place, branch, made)
        if place.is_dir() and _rebases(place, branch):
            return Moved(held=f"{branch} is being rebased in {folder}: finish that")
    old = stands or "0" * len(made)
    ran = git.call(repo, "update-ref", f"refs/heads/{branch}", made, old, check=False)
    return Moved(done=True) if ran.code == 0 else Moved(stale=True)


def join(folder: Path, commit: str, message: str, who: Identity) -> bool:
    """Bring a commit into the branch of a worktree in which nobody works. False, and the branch is
    as it was, where that needs somebody who judges. Safe to repeat, also after a death in it: what
    a dead one half merged is taken back (a person's merge is not: its message is another), and what
    is found uncommitted is committed first."""
    if git.is_merged(folder, commit, "HEAD"):
        return True
    git.unlock(folder)
    if under_way := git.merging(folder):
        if under_way != message.splitlines()[0]:
            return False
        git.call(folder, "merge", "--abort")
    git.commit_all(folder, "Keep what was not committed\n", who.name, who.email)
    ran = git.call(
        folder, *_PLAIN, "merge", "--quiet", "--no-verify", "-m", message, commit,
        check=False, extra=who.env,
    )  # fmt: skip
    if ran.code and git.merging(folder):
        git.call(folder, "merge", "--abort")
    return ran.code == 0


def _merged(scratch: Path, head: str, onto: str, method: str, message: str, who: Identity) -> Made:
    how = ("--squash",) if method == "squash" else ("--no-ff", "--no-commit")
    ran = git.call(scratch, *_PLAIN, "merge", "--quiet", *how, head, check=False, extra=who.env)
    conflicts = _conflicts(scratch)
    if conflicts:
        return Made(conflicts=conflicts)
    if ran.code:
        raise ToolFailed(f"git merge of {head} failed: {_said(ran.err or ran.out)}")
    if (
        method == "squash"
        and not git.call(scratch, "diff", "--cached", "--quiet", check=False).code
    ):
        return Made(commit=onto)
    git.call(scratch, "commit", "--quiet", "--no-verify", "-F", "-", given=message.encode(),
             extra=who.env)  # fmt: skip
    return Made(commit=git.commit_of(scratch, "HEAD"))


def _rebased(scratch: Path, onto: str, who: Identity) -> Made:
    committer = {name: value for name, value in who.env.items() if "COMMITTER" in name}
    ran = git.call(scratch, *_PLAIN, "rebase", "--quiet", onto, check=False, extra=committer)
    conflicts = _conflicts(scratch)
    if conflicts:
        return Made(conflicts=conflicts)
    if ran.code:
        raise ToolFailed(f"git rebase onto {onto} failed: {_said(ran.err or ran.out)}")
    return Made(commit=git.commit_of(scratch, "HEAD"))


def _conflicts(scratch: Path) -> tuple[str, ...]:
    out = git.call(scratch, "diff", "--name-only", "--diff-filter=U", "-z").out
    return tuple(os.fsdecode(part) for part in out.split(b"\0") if part)


def _fast_forward(folder: Path, branch: str, made: str) -> Moved:
    """Bring a folder in which a person has the branch checked out to the merge. git refuses to
    write over what is not committed; `--no-overwrite-ignore` makes that hold for ignored files. It
    is not marked as ours, so that a new engine lets it finish."""
    hint = f"then `git merge --ff-only {made[:12]}` there, or ask for the review again"
    if not folder.is_dir():
        return Moved(
            held=f"{branch} is checked out in {folder}, which is gone: `git worktree prune`"
        )
    if git.call(folder, "status", "--porcelain", "--untracked-files=no", "-z").out:
        return Moved(held=f"{branch} is checked out in {folder}, and something there is not "
                          f"committed: commit or stash it, {hint}")  # fmt: skip
    ran = git.call(
        folder, *_PLAIN, "merge", "--ff-only", "--no-overwrite-ignore", "--quiet", made,
        check=False, extra={"ORCH_RUN": ""},
    )  # fmt: skip
    if ran.code == 0:
        return Moved(done=True)
    said = _said(ran.err or ran.out)
    if "Not possible to fast-forward" in said:
        return Moved(stale=True)
    return Moved(
        held=f"{branch} is checked out in {folder}, where git says: {said}; mend it, {hint}"
    )


def _rebases(folder: Path, branch: str) -> bool:
    """Whether the branch is being rebased in a worktree, which then counts as on none."""
    ran = git.call(folder, "rev-parse", "--absolute-git-dir", check=False)
    private = Path(os.fsdecode(ran.out).strip())
    for name in ("rebase-merge/head-name", "rebase-apply/head-name"):
        file = private / name
        if ran.code == 0 and file.is_file():
            return file.read_text().strip() == f"refs/heads/{branch}"
    return False


def _said(text: bytes) -> str:
    return " / ".join(text.decode("utf-8", "replace").strip().splitlines()[-5:])[:600]
