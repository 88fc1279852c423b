"""What `orch gc` looks at and removes, aside and blind to the database: values in, verdicts out.

Every rule fails closed: what cannot be asked, or belongs to nobody, stays, and says why.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from orch.core import names
from orch.core.keeping import Artifacts, Owner, why_kept
from orch.errors import OrchError
from orch.hosts import Host
from orch.paths import Home
from orch.tools import git
from orch.tools.process import inside
from services.engine import artifacts

Item = tuple[str, str, str]
"""Kind, name, and verdict: `removed`, `removable`, or why it stays."""


class Found(msgspec.Struct, kw_only=True):
    """What is there: `unknown` says of which kind it could not be found out, and why."""

    sessions: tuple[str, ...] = ()
    worktrees: tuple[str, ...] = ()
    branches: dict[str, dict[str, str]] = {}
    artifacts: tuple[Artifacts, ...] = ()
    unknown: list[Item] = []


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and whose it is: tasks by worktree, and by project and branch; attempts'
    folders by session, with whether they are open; artifacts that may go, with the reason."""

    home: Home
    host: Host
    repos: dict[str, Path]
    found: Found
    of_worktrees: dict[str, Owner]
    of_branches: dict[tuple[str, str], Owner]
    of_sessions: dict[str, tuple[str, bool]]
    expendable: tuple[tuple[Artifacts, str], ...]
    days: int
    now: float
    dry_run: bool


def look(home: Home, host: Host, repos: dict[str, Path], projects: dict[str, str]) -> Found:
    """Everything there is that might be garbage."""
    found = Found(
        worktrees=tuple(str(one) for one in sorted(home.worktrees.glob("*/*/*"))),
        artifacts=tuple(artifacts.measured(home, projects)),
        branches={},
        unknown=[],
    )
    try:
        found.sessions = tuple(sorted(host.alive()))
    except OrchError as error:
        found.unknown.append(("sessions", "", f"stay: {error.message}"))
    for project, repo in sorted(repos.items()):
        try:
            found.branches[project] = git.branches(repo, "orch/")
        except OrchError as error:
            found.unknown.append(("branches", project, f"stay: {error.message}"))
    return found


def clear(scene: Scene) -> Iterator[Item]:
    """Every item with its verdict; what may go is removed, unless this is a dry run."""
    yield from scene.found.unknown
    yield from _sessions(scene)
    freed: set[tuple[str, str]] = set()
    yield from _worktrees(scene, freed)
    yield from _branches(scene, freed)
    yield from _artifacts(scene)
    yield from _files(scene)


def _sessions(scene: Scene) -> Iterator[Item]:
    for session in scene.found.sessions:
        known = scene.of_sessions.get(session)
        if session == names.CHAT:
            yield "session", session, "stays: the conversation of `orch chat`"
        elif known is None:
            yield "session", session, "stays: orch did not start it"
        elif not known[1]:
            stop = partial(scene.host.stop, session, Path(known[0]))
            yield "session", session, _do(scene, stop)


def _worktrees(scene: Scene, freed: set[tuple[str, str]]) -> Iterator[Item]:
    for folder in scene.found.worktrees:
        owner = scene.of_worktrees.get(folder)
        why = why_kept(owner) or _why_worktree_stays(Path(folder), owner, scene)
        if why or owner is None:
            yield "worktree", folder, f"stays: {why}"
            continue
        repo = scene.repos[owner.project]
        branch = _branch_on(repo, folder)
        verdict = _do(scene, partial(_remove_worktree, scene.home, repo, Path(folder)))
        if not verdict.startswith("stays"):
            freed.add((owner.project, branch))
        yield "worktree", folder, verdict


def _why_worktree_stays(folder: Path, owner: Owner | None, scene: Scene) -> str:
    if owner is None or owner.project not in scene.repos:
        return f"its project {owner.project if owner else ''} is not registered"
    try:
        if git.dirty(folder):
            return "something in it is not committed"
        if unfinished := git.unfinished(folder):
            return unfinished
    except OrchError as error:
        return error.message
    pids = inside(folder)
    return f"processes work in it ({', '.join(map(str, pids[:5]))})" if pids else ""


def _branch_on(repo: Path, folder: str) -> str:
    try:
        return git.worktrees(repo).get(folder, "")
    except OrchError:
        return ""


def _remove_worktree(home: Home, repo: Path, folder: Path) -> None:
    """Remove it, and the folders above it that are empty then."""
    git.remove_worktree(repo, folder)
    for parent in (folder.parent, folder.parent.parent):
        if parent != home.worktrees:
            with contextlib.suppress(OSError):
                parent.rmdir()


def _branches(scene: Scene, freed: set[tuple[str, str]]) -> Iterator[Item]:
    for project, branches in scene.found.branches.items():
        repo = scene.repos[project]
        try:
            start = git.start(repo) if branches else None
            used = set(git.worktrees(repo).values())
        except OrchError as error:
            yield "branches", project, f"stay: {error.message}"
            continue
        for branch, commit in sorted(branches.items()):
            name = f"{project} {branch}"
            why = why_kept(scene.of_branches.get((project, branch)))
            if not why and branch in used and (project, branch) not in freed:
                why = "a worktree is on it"
            if not why and start is not None:
                why = _why_unmerged(repo, commit, start)
            drop = partial(git.delete_branch, repo, branch, commit)
            yield "branch", name, f"stays: {why}" if why else _do(scene, drop)


def _why_unmerged(repo: Path, commit: str, start: git.Start) -> str:
    try:
        if git.is_merged(repo, commit, start.commit):
            return ""
    except OrchError as error:
        return error.message
    where = f"origin/{start.branch}" if start.remote else start.branch
    return f"it is not merged into {where}"


def _artifacts(scene: Scene) -> Iterator[Item]:
    for one, reason in scene.expendable:
        verdict = _do(scene, partial(_remove_folder, one.folder))
        yield "artifacts", f"{one.key} ({one.size} bytes, {reason})", verdict


def _remove_folder(folder: str) -> None:
    if failed := artifacts.remove([folder]):
        raise OrchError(failed[0])


def _files(scene: Scene) -> Iterator[Item]:
    for kind, path in artifacts.old_files(scene.home, scene.now, scene.days):
        yield kind, str(path), _do(scene, path.unlink)
    for path in sorted((scene.home.run / "s").glob("*.sock")):
        if _deaf(path):
            yield "socket", str(path), _do(scene, partial(path.unlink, missing_ok=True))


def _deaf(path: Path) -> bool:
    """Whether certainly nobody listens at a socket any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _do(scene: Scene, remove: Callable[[], object]) -> str:
    if scene.dry_run:
        return "removable"
    try:
        remove()
    except (OrchError, OSError) as error:
        return f"stays: {error}"
    return "removed"
