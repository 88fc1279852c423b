"""What is done aside for reviews: the checkout that is looked at, the branch, and the merge. Slow,
repeatable, and blind to the database, as `services.engine.work`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orch.core import prompt
from orch.core.review import Seen
from orch.model import Task, Verdict
from orch.store.reviews import Merge
from orch.tools import git, merging
from services.engine import work


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A branch under review, with all that is needed to merge it. `merge` is the merge that was
    made before, `reviewed` the commit that was reviewed last, `author` the agent that worked."""

    repo: Path
    task: Task
    scratch: Path
    method: str
    who: merging.Identity
    merge: Merge | None = None
    reviewed: str = ""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a step of a merge: `made`, to be recorded before it is done; or the files that
    conflict, with the commit they conflict with; or why a person has to act; or it is `done`, with
    what stays behind of the branch."""

    merge: Merge | None = None
    conflicts: tuple[str, ...] = ()
    branch: str = ""
    onto: str = ""
    held: str = ""
    done: bool = False
    kept: str = ""


def make_worktree(order: work.Order) -> work.Prepared:
    """Check out the commit that is to be reviewed, in a worktree of its own on no branch."""
    git.add_detached(order.repo, Path(order.attempt.worktree), order.attempt.head)
    return work.Prepared(base=order.earlier_base or order.attempt.head)


def deliver(order: work.Order) -> tuple[Verdict, work.Delivered]:
    """End what the reviewer left running, and throw its checkout away, with what it did there."""
    verdict, _ = work.collect(order)
    order.host.sweep(order.run)
    git.discard_worktree(order.repo, Path(order.attempt.worktree))
    return verdict, work.Delivered(committed=False, files=(), removed=False)


def look(branch: Branch) -> Seen:
    """How a branch stands. One whose merge was done is merged, whatever became of the branch."""
    head = git.commit_of(branch.repo, f"refs/heads/{branch.task.branch}")
    target = merging.target(branch.repo)
    if not target.stands:
        return Seen(head=head)
    merge = branch.merge
    if merge is not None and head in ("", merge.head) and _holds(branch, target, merge.made):
        return Seen(head=head or merge.head, merged=True)
    last = head or branch.reviewed
    return Seen(head=head, merged=bool(last) and _holds(branch, target, last))


def make(branch: Branch, head: str) -> Merged:
    """Make the merge of `head`; nothing moves yet."""
    target = merging.target(branch.repo)
    if target.problem:
        return Merged(held=target.problem)
    text = prompt.commit_message(branch.task, branch.task.summary)
    made = merging.make(
        branch.repo, branch.scratch, head, target.onto, branch.method, text, branch.who
    )
    if made.conflicts:
        return Merged(conflicts=made.conflicts, branch=target.branch, onto=target.onto)
    merge = Merge(head=head, into_branch=target.branch, onto=target.stands, made=made.commit)
    return Merged(merge=merge)


def do(branch: Branch, merge: Merge) -> Merged:
    """Let the default branch go on to a merge that was made, then clear the task's branch away.
    Neither is done when the default branch has moved meanwhile: the merge is made anew."""
    moved = merging.move(branch.repo, merge.into_branch, merge.onto, merge.made)
    if moved.held:
        return Merged(held=moved.held)
    if moved.stale:
        return Merged(merge=merge)
    return Merged(merge=merge, done=True, kept=tidy(branch, merge.head))


def tidy(branch: Branch, head: str) -> str:
    """Remove the worktree and the branch of merged work; '' or what stays, and why."""
    worktree = Path(branch.task.worktree) if branch.task.worktree else None
    if worktree is not None and worktree.is_dir():
        if git.dirty(worktree):
            return f"{worktree} stays: something in it is not committed"
        git.remove_worktree(branch.repo, worktree)
    stands = git.commit_of(branch.repo, f"refs/heads/{branch.task.branch}")
    if stands and stands != head:
        return f"{branch.task.branch} stays: it has gone on since it was merged"
    if stands:
        git.delete_branch(branch.repo, branch.task.branch, stands)
    return ""


def _holds(branch: Branch, target: merging.Target, commit: str) -> bool:
    return bool(git.commit_of(branch.repo, commit)) and git.is_merged(
        branch.repo, commit, target.stands
    )
