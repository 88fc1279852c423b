"""The door to git: worktrees, commits, diffs. Each raises with git's own words, none guesses."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections import defaultdict
from pathlib import Path

import msgspec

from orch.errors import ToolFailed
from orch.tools.process import Ran, run

SECONDS = 120.0
"""How long one git command may take; a fetch too."""

_locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
"""One per repository: two `git worktree add` at once fail now and then."""

UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
"""The files of a worktree's own git folder that say so (gitrepository-layout(5))."""

_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false", "-c", "gc.auto=0")

_HEX = re.compile(r"[0-9a-f]{7,40}")
_UNASKED = {
    "GIT_ALLOW_PROTOCOL": "https:ssh:git:file",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20",
}


class Start(msgspec.Struct, frozen=True):
    """Where work starts: the default branch, its commit, and whether it has a remote."""

    branch: str
    commit: str
    remote: bool


def top(folder: Path) -> Path:
    """The top folder of the work tree that holds `folder`; raises `ToolFailed` outside of one."""
    return Path(_text(_git(folder, "rev-parse", "--show-toplevel")))


def start(repo: Path) -> Start:
    """The default branch: the remote's, else main or master, else what is checked out. Raises
    `ToolFailed` when the repository has no commit yet."""
    names = ("refs/remotes/origin/HEAD", "refs/remotes/origin/main", "refs/remotes/origin/master")
    wanted = (*names, "refs/heads/main", "refs/heads/master")
    form = "--format=%(refname) %(objectname) %(symref)"
    refs: dict[str, tuple[str, str]] = {}
    for line in _text(_git(repo, "for-each-ref", form, *wanted)).splitlines():
        ref, commit, symbolic = [*line.split(" "), ""][:3]
        refs[ref] = (symbolic or ref, commit)
    for ref in wanted:
        if ref in refs:
            full, commit = refs[ref]
            remote = full.startswith("refs/remotes/origin/")
            return Start(full.removeprefix("refs/remotes/origin/").removeprefix("refs/heads/"),
                         commit, remote)  # fmt: skip
    ran = _git(repo, "rev-parse", "--verify", "-q", "HEAD^{commit}", check=False)
    if ran.code:
        raise ToolFailed(f"{repo} has no commit yet", "make a first commit, then retry the task")
    return Start("HEAD", _text(ran), False)


def fetch(repo: Path, branch: str) -> str:
    """Fetch the default branch from origin; returns its commit."""
    with _locks[str(repo)]:
        _git(repo, "fetch", "--no-tags", "--quiet", "origin",
             f"+refs/heads/{branch}:refs/remotes/origin/{branch}")  # fmt: skip
    return commit_of(repo, f"refs/remotes/origin/{branch}")


def commit_of(repo: Path, name: str) -> str:
    """The commit that a name stands for, '' when there is none."""
    ran = _git(repo, "rev-parse", "--verify", "-q", f"{name}^{{commit}}", check=False)
    return "" if ran.code else _text(ran)


def add_worktree(repo: Path, folder: Path, branch: str, commit: str) -> None:
    """Make the worktree `folder` on `branch` (created at `commit` when missing). Safe to repeat: a
    finished worktree is kept as it is, a half-made one is made anew."""
    with _locks[str(repo)]:
        if _is_whole(folder):
            return
        if folder.exists():
            _git(repo, "worktree", "remove", "--force", "--force", str(folder), check=False)
            if folder.exists() and any(folder.iterdir()):
                raise ToolFailed(
                    f"{folder} is in the way: it is not a worktree", "move it away and retry"
                )
        _git(repo, "worktree", "prune")
        folder.parent.mkdir(parents=True, exist_ok=True)
        exists = commit_of(repo, f"refs/heads/{branch}")
        how = [str(folder), branch] if exists else ["-b", branch, str(folder), commit]
        _git(repo, *_QUIET, "worktree", "add", "--quiet", *how)


def add_detached(repo: Path, folder: Path, commit: str) -> None:
    """Make the worktree `folder` on a commit and on no branch, for looking at it or trying things
    out. Safe to repeat; whatever else is there is thrown away."""
    if _is_whole(folder) and commit_of(folder, "HEAD") == commit:
        return
    discard_worktree(repo, folder)
    with _locks[str(repo)]:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _git(repo, *_QUIET, "worktree", "add", "--quiet", "--detach", str(folder), commit)


def discard_worktree(repo: Path, folder: Path) -> None:
    """Remove a worktree with all that is in it, and what is left of a half-made one."""
    with _locks[str(repo)]:
        if folder.exists():
            _git(repo, "worktree", "remove", "--force", "--force", str(folder), check=False)
            shutil.rmtree(folder, ignore_errors=True)
        _git(repo, "worktree", "prune")


def remove_worktree(repo: Path, folder: Path) -> None:
    """Remove a worktree that holds nothing uncommitted; raises `ToolFailed` when it does."""
    with _locks[str(repo)]:
        if folder.exists():
            _git(repo, "worktree", "remove", str(folder))
        else:
            _git(repo, "worktree", "prune")


def delete_branch(repo: Path, branch: str, commit: str) -> None:
    """Delete a branch, only while it still stands at `commit`."""
    with _locks[str(repo)]:
        _git(repo, "update-ref", "-d", f"refs/heads/{branch}", commit)


def clone(url: str, folder: Path) -> None:
    """Clone a repository into a folder that is not there yet, with nothing checked out. It asks
    nobody for a password, and no transport but the usual ones is used."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _git(folder.parent, *_QUIET, "clone", "--quiet", "--no-checkout", "--", url, str(folder),
         extra=_UNASKED)  # fmt: skip


def update(folder: Path, ref: str) -> str:
    """Fetch, and check out `ref` (a branch, tag or commit; '' for the default branch) of a clone,
    whatever lies there; returns the commit. Raises `ToolFailed` when there is no such ref."""
    _git(folder, *_QUIET, "fetch", "--quiet", "--tags", "--force", "origin", extra=_UNASKED)
    commit = _named(folder, ref)
    if not commit and _HEX.fullmatch(ref):
        _git(folder, *_QUIET, "fetch", "--quiet", "origin", ref, check=False, extra=_UNASKED)
        commit = commit_of(folder, ref)
    if not commit:
        raise ToolFailed(f"the repository has no branch, tag or commit {ref or 'HEAD'}")
    check_out(folder, commit)
    return commit


def check_out(folder: Path, commit: str) -> None:
    """Make a clone's folder hold exactly this commit."""
    _git(folder, *_QUIET, "checkout", "--quiet", "--force", "--detach", commit)


def head(folder: Path) -> str:
    """The commit that is checked out, '' when there is none."""
    return commit_of(folder, "HEAD")


def _named(folder: Path, ref: str) -> str:
    names = (f"refs/remotes/origin/{ref}", f"refs/tags/{ref}") if ref else ()
    for name in names or ("refs/remotes/origin/HEAD",):
        if found := commit_of(folder, name):
            return found
    return commit_of(folder, ref) if _HEX.fullmatch(ref) else ""


def dirty(folder: Path) -> bool:
    """Whether something in the worktree is not committed (untracked files too)."""
    return bool(_git(folder, "status", "--porcelain", "-z").out)


def unfinished(folder: Path) -> str:
    """What git would lose or has not ended in a worktree without uncommitted files: a merge or a
    rebase under way, commits on no branch; '' for nothing. Raises `ToolFailed`."""
    private = Path(_text(_git(folder, "rev-parse", "--absolute-git-dir")))
    for name, what in UNDER_WAY.items():
        if (private / name).exists():
            return f"a {what} is under way in it"
    kept = _git(folder, "for-each-ref", "--count=1", "--contains=HEAD", "refs/heads",
                "refs/remotes", "refs/tags")  # fmt: skip
    return "" if kept.out.strip() else "its commits are on no branch"


def merging(folder: Path) -> str:
    """The first line of the message of the merge that is under way in a worktree; '' for none."""
    private = Path(_git_folder(folder))
    if not (private / "MERGE_HEAD").exists():
        return ""
    message = private / "MERGE_MSG"
    text = message.read_text(errors="replace") if message.exists() else ""
    return (text.splitlines() or [""])[0] or "a merge"


def commit_all(folder: Path, message: str, name: str, email: str) -> bool:
    """Commit what is uncommitted under this identity; False when there was nothing. No hook of the
    repository runs: this only keeps what is there. Left-over lock files are cleared first: nobody
    else writes in this worktree any more."""
    unlock(folder)
    if not dirty(folder):
        return False
    identity = {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }
    _git(folder, *_QUIET, "add", "--all")
    _git(folder, *_QUIET, "commit", "--quiet", "--no-verify", "--allow-empty-message", "-F", "-",
         given=message.encode(), extra=identity)  # fmt: skip
    return True


def unlock(folder: Path) -> None:
    """Remove the lock that a killed git left in a worktree in which nobody works any more."""
    Path(_git_folder(folder), "index.lock").unlink(missing_ok=True)


def files_changed(folder: Path, base: str, name: str = "HEAD") -> tuple[str, ...]:
    """The files that differ between `base` and `name`."""
    out = _git(folder, "diff", "--name-only", "-z", base, name, "--").out
    return tuple(os.fsdecode(part) for part in out.split(b"\0") if part)


def files_known(folder: Path) -> tuple[str, ...]:
    """The files of a worktree that are tracked."""
    out = _git(folder, "ls-files", "-z", "--cached").out
    return tuple(os.fsdecode(part) for part in out.split(b"\0") if part)


def diff(folder: Path, base: str, name: str, *, colour: bool = False) -> str:
    """What `name` changed since `base`, as a patch with a summary of files before it."""
    shade = "--color=always" if colour else "--color=never"
    ran = _git(folder, "diff", shade, "--stat", "--patch", f"{base}...{name}", "--")
    return ran.out.decode(errors="replace")


def log(folder: Path, base: str, name: str, *, colour: bool = False) -> str:
    """The commits of `name` since `base`, one a line, newest first."""
    shade = "--color=always" if colour else "--color=never"
    form = "--format=%C(auto)%h %s %C(dim)(%an)%C(reset)"
    return _git(folder, "log", shade, form, f"{base}..{name}", "--").out.decode(errors="replace")


def worktrees(repo: Path) -> dict[str, str]:
    """Registered worktrees: folder to branch ('' when detached)."""
    found: dict[str, str] = {}
    folder = ""
    for part in _git(repo, "worktree", "list", "--porcelain", "-z").out.split(b"\0"):
        word, _, rest = os.fsdecode(part).partition(" ")
        if word == "worktree":
            folder = rest
            found[folder] = ""
        elif word == "branch":
            found[folder] = rest.removeprefix("refs/heads/")
    return found


def branches(repo: Path, pattern: str) -> dict[str, str]:
    """Local branches below a prefix such as `orch/`: name to commit."""
    form = "--format=%(refname:strip=2) %(objectname)"
    lines = _text(_git(repo, "for-each-ref", form, f"refs/heads/{pattern}")).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def is_merged(repo: Path, commit: str, into: str) -> bool:
    """Whether `into` contains `commit`; raises `ToolFailed` when git cannot tell."""
    ran = _git(repo, "merge-base", "--is-ancestor", commit, into, check=False)
    if ran.code > 1:
        raise ToolFailed(f"git cannot compare {commit} and {into}: {_words(ran)}")
    return ran.code == 0


def call(
    folder: Path, *words: str, check: bool = True, given: bytes = b"",
    extra: dict[str, str] | None = None,
) -> Ran:  # fmt: skip
    """Run git as the functions here do, without hooks and signatures: for other doors to git."""
    return _git(folder, *_QUIET, *words, check=check, given=given, extra=extra)


def _is_whole(folder: Path) -> bool:
    pointer = folder / ".git"
    if not pointer.is_file():
        return False
    private = Path(pointer.read_text().partition(":")[2].strip())
    locked = private / "locked"
    return private.is_dir() and not (locked.exists() and "initializing" in locked.read_text())


def _git_folder(folder: Path) -> str:
    pointer = folder / ".git"
    if pointer.is_file():
        return str(folder / pointer.read_text().partition(":")[2].strip())
    return str(pointer)


def _git(
    folder: Path, *words: str, check: bool = True, given: bytes = b"",
    extra: dict[str, str] | None = None,
) -> Ran:  # fmt: skip
    if not folder.is_dir():
        raise ToolFailed(f"the folder {folder} is gone", "restore it, or close the task")
    ran = run(
        ["git", *words], cwd=folder, env=_environment() | (extra or {}), timeout=SECONDS,
        input=given, check=False,
    )  # fmt: skip
    if check and ran.code:
        verb = next((word for word in words if word.isalpha()), "")
        raise ToolFailed(f"git {verb} in {folder} failed: {_words(ran)}")
    return ran


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | {"LC_ALL": "C.UTF-8", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}


def _words(ran: Ran) -> str:
    said = (ran.err or ran.out).decode(errors="replace").strip()
    return " / ".join(said.splitlines()[-5:])[:600] or f"exit code {ran.code}"


def _text(ran: Ran) -> str:
    return os.fsdecode(ran.out).strip()
