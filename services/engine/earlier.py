"""What a task builds on: the work of the tasks before it, of the one that it is a part of, and of
its own parts. Found in the rows, brought into its branch aside."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orch.core.prompt import Earlier
from orch.model import Status, Task
from orch.store import reviews, tasks
from orch.store.db import Store
from orch.tools import git, merging
from orch.tools.merging import Identity

MOST = 50
"""How many tasks before a task are looked at, nearest first."""


def before(store: Store, task: Task) -> tuple[Earlier, ...]:
    """The tasks after which this one comes, the nearest first, and theirs; and the one that handed
    it on, whose work until then it builds on."""
    found: dict[str, Task] = {}
    ahead = list(task.after)
    while ahead and len(found) < MOST:
        key = ahead.pop(0)
        one = tasks.find(store, key)
        if one is not None and key not in found:
            found[key] = one
            ahead += one.after
    told = [_earlier(store, task, one) for one in found.values()]
    parent = tasks.find(store, task.parent) if task.source == "delegation" else None
    if parent is not None and parent.branch:
        told.append(_earlier(store, task, parent, said=f"{parent.title}: handed this on"))
    return tuple(told)


def children(store: Store, task: Task) -> tuple[Earlier, ...]:
    """The subtasks of a task, oldest first."""
    found = (tasks.get(store, key) for key in tasks.children(store, task.key))
    return tuple(_earlier(store, task, one) for one in found)


def join(folder: Path, others: tuple[Earlier, ...], who: Identity) -> str:
    """Bring the others' work into a worktree's branch, as far as it does not conflict; the commit
    at which the branch stands then."""
    for one in others:
        commit = git.commit_of(folder, one.work)
        if commit:
            merging.join(folder, commit, f"Bring in the work of {one.key}\n", who)
    return git.head(folder)


def looked_at(repo: Path, branch: str, others: tuple[Earlier, ...]) -> tuple[Earlier, ...]:
    """The others, with whether the branch has their work; a branch that is gone left none."""
    return tuple(_looked_at(repo, branch, one) if one.work else one for one in others)


def _looked_at(repo: Path, branch: str, one: Earlier) -> Earlier:
    commit = git.commit_of(repo, one.work)
    if not commit:
        return msgspec.structs.replace(one, work="")
    return msgspec.structs.replace(one, here=git.is_merged(repo, commit, branch))


def _earlier(store: Store, task: Task, other: Task, said: str = "") -> Earlier:
    """Another task as this one sees it. Only finished work is built on, and that of the task which
    handed it on; work in another project cannot be."""
    work = ""
    if other.project == task.project and (other.status is Status.DONE or said):
        work = other.branch or _merged(store, other.key)
    return Earlier(
        key=other.key, said=said or f"{other.title}: {other.summary or other.status}", work=work
    )


def _merged(store: Store, key: str) -> str:
    """The commit as which a task's work went into the default branch; '' when it did not."""
    merge = reviews.merge_of(store, key)
    return merge.made if merge is not None and merge.done else ""
