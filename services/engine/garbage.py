"""`orch gc`: what nothing needs any more. Anything dirty, unmerged, unpushed or unknown stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from orch.core import names
from orch.errors import OrchError
from orch.hosts import Host
from orch.messages import CollectGarbage, Garbage
from orch.model import Status, Task
from orch.paths import Home
from orch.service import Later, answers
from orch.store import attempts, job_runs, tasks
from orch.tools import git
from services.engine.jobs import JobDesk

KEEP_SECONDS = 90 * 86400.0
"""How long the artifacts of a finished task are kept."""

Item = tuple[str, str, str]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What the database knows, for work aside: tasks by worktree, branch and folder; sessions
    that are open, and that once were."""

    home: Home
    host: Host
    repos: dict[str, Path]
    tasks: tuple[Task, ...]
    open_sessions: frozenset[str]
    past_sessions: dict[str, str]
    now: float
    dry_run: bool


class GarbageDesk(JobDesk):
    """Answers `orch gc`."""

    @answers(CollectGarbage)
    def collect_garbage(self, request: CollectGarbage) -> Later:
        """Look (and remove) aside; the answer comes when it is done."""
        found, _ = tasks.page(self.store, limit=1_000_000)
        open_now = {one.session for one in attempts.open_ones(self.store)}
        past = {
            one.session: one.folder
            for one in attempts.sessions(self.store, "", 0.0, "")
            if one.session not in open_now
        }
        for session, (folder, ended) in job_runs.sessions(self.store).items():
            if ended:
                past[session] = folder
            else:
                open_now.add(session)
        scene = Scene(
            home=self.home, host=self.host,
            repos={slug: Path(p.path) for slug, p in self.loaded.projects.items()},
            tasks=tuple(found), open_sessions=frozenset(open_now),
            past_sessions=past, now=self.now(), dry_run=request.dry_run,
        )  # fmt: skip
        later = Later()
        self.aside(lambda: Garbage(tuple(sweep(scene))[:5000]), later, later, timeout=600.0)
        return later


def sweep(scene: Scene) -> Iterator[Item]:
    """Every item with its verdict: removed, removable, or why it stays."""
    yield from _sessions(scene)
    yield from _worktrees(scene)
    yield from _branches(scene)
    yield from _artifacts(scene)


def _sessions(scene: Scene) -> Iterator[Item]:
    try:
        alive = scene.host.alive()
    except OrchError as error:
        yield "sessions", "", f"stay: {error.message}"
        return
    for session in sorted(alive):
        if session in scene.open_sessions:
            continue
        if session not in scene.past_sessions:
            yield "session", session, "stays: orch did not start it"
            continue
        yield (
            "session",
            session,
            _do(scene, partial(scene.host.stop, session, Path(scene.past_sessions[session]))),
        )


def _worktrees(scene: Scene) -> Iterator[Item]:
    owners = {task.worktree: task for task in scene.tasks if task.worktree}
    for folder in sorted(scene.home.worktrees.glob("*/*/*")):
        task = owners.get(str(folder))
        verdict = _why_worktree_stays(folder, task, scene)
        if not verdict and task is not None:
            repo = scene.repos[task.project]
            verdict = _do(scene, partial(git.remove_worktree, repo, folder))
        yield "worktree", str(folder), verdict


def _why_worktree_stays(folder: Path, task: Task | None, scene: Scene) -> str:
    if task is None:
        return "stays: no task is known for it"
    if task.status is not Status.DONE:
        return f"stays: {task.key} is {task.status}"
    if task.project not in scene.repos:
        return f"stays: its project {task.project} is not registered"
    try:
        return "stays: something in it is not committed" if git.dirty(folder) else ""
    except OrchError as error:
        return f"stays: {error.message}"


def _branches(scene: Scene) -> Iterator[Item]:
    owners = {(task.project, task.branch): task for task in scene.tasks if task.branch}
    for project, repo in sorted(scene.repos.items()):
        try:
            found = git.branches(repo, "orch/")
            main = git.start(repo).commit if found else ""
            used = set(git.worktrees(repo).values())
        except OrchError as error:
            yield "branches", project, f"stay: {error.message}"
            continue
        for branch, commit in sorted(found.items()):
            verdict = _why_branch_stays(owners.get((project, branch)), branch in used)
            if not verdict and not _merged(repo, commit, main):
                verdict = "stays: it is not merged"
            if not verdict:
                verdict = _do(scene, partial(git.delete_branch, repo, branch, commit))
            yield "branch", f"{project} {branch}", verdict


def _why_branch_stays(task: Task | None, used: bool) -> str:
    if task is None:
        return "stays: no task is known for it"
    if task.status is not Status.DONE:
        return f"stays: {task.key} is {task.status}"
    return "stays: a worktree is on it" if used else ""


def _merged(repo: Path, commit: str, main: str) -> bool:
    try:
        return git.is_merged(repo, commit, main)
    except OrchError:
        return False


def _artifacts(scene: Scene) -> Iterator[Item]:
    for task in scene.tasks:
        old = scene.now - task.updated_at > KEEP_SECONDS
        folder = scene.home.task_folder(names.task_folder(task.key)) / "attempts"
        if task.status is Status.DONE and old and folder.is_dir():
            yield "artifacts", task.key, _do(scene, partial(shutil.rmtree, folder))


def _do(scene: Scene, remove: Callable[[], object]) -> str:
    if scene.dry_run:
        return "removable"
    try:
        remove()
    except (OrchError, OSError) as error:
        return f"stays: {error}"
    return "removed"
