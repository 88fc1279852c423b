"""Merging approved work into the default branch: made, recorded, done; each step safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orch.core import names
from orch.core import review as core
from orch.core.prompt import one_line
from orch.core.review import Rules, Step
from orch.errors import OrchError, Refused
from orch.model import Status, Task
from orch.store import reviews, tasks
from services.engine import reviewing, work
from services.engine.attempts import words
from services.engine.endings import Endings

T = TypeVar("T")

APART_SECONDS = 900.0
"""How long one step on a branch may take aside."""

TRIES = 5
"""How often a step on a branch is tried before a person must look."""


class Merges(Endings):
    """Merges what was approved, and moves tasks that are in review."""

    def setup(self) -> None:
        """Begin with nothing under way."""
        self._apart: set[str] = set()
        self._failures: dict[str, int] = {}
        super().setup()

    def rules(self, task: Task) -> Rules:
        """What the configuration says of reviews and merges."""
        workflow = self.config_of(task.project).workflow
        return Rules(
            auto_merge=workflow.auto_merge, max_cycles=workflow.max_review_cycles,
            follow_up=workflow.auto_create_followup_on_changes,
            close_on_approval=workflow.auto_close_task_on_approval,
        )  # fmt: skip

    def branch(self, task: Task) -> reviewing.Branch:
        """A task's branch, with all that is needed to look at it and to merge it."""
        config = self.config_of(task.project)
        known = reviews.of_task(self.store, task.key, limit=1)
        return reviewing.Branch(
            repo=Path(self.project_of(task.project).path), task=task,
            scratch=self.place(task, "merge"), method=config.workflow.merge_method,
            who=work.identity(config, task.agent),
            merge=reviews.merge_of(self.store, task.key),
            reviewed=known[0].head if known else "",
        )  # fmt: skip

    def place(self, task: Task, what: str) -> Path:
        """A worktree of a task beside its own: for the `review`, or the `merge`."""
        name = names.task_name(task.key, task.title)
        return self.home.worktrees / names.project_folder(task.project) / f"{name}.{what}"

    def merge(self, task: Task, head: str) -> None:
        """Merge an approved head: a merge that was made before is done, else one is made."""
        branch = self.branch(task)
        ready = branch.merge
        if ready is not None and ready.head == head:
            self.apart(task, lambda: reviewing.do(branch, ready), self._done)
        else:
            self.apart(task, lambda: reviewing.make(branch, head), self._made)

    def _made(self, task: Task, made: reviewing.Merged) -> None:
        if made.merge is None:
            self._not_merged(task, made)
            return
        with self.write():
            reviews.make_ready(self.store, task.key, made.merge, self.now())
        self.merge(task, made.merge.head)

    def _done(self, task: Task, done: reviewing.Merged) -> None:
        merge = done.merge
        if merge is None:
            self._not_merged(task, done)
        elif not done.done:
            branch = self.branch(task)
            self.apart(task, lambda: reviewing.make(branch, merge.head), self._made)
        else:
            with self.write():
                finished = msgspec.structs.replace(merge, done=True)
                reviews.make_ready(self.store, task.key, finished, self.now())
                self.event("branch_merged", task.key, into=merge.into_branch, commit=merge.made,
                           head=merge.head, kept=done.kept)  # fmt: skip
                step = Step(do="done", reason=f"merged into {merge.into_branch}")
                gone = {} if done.kept else {"branch": "", "worktree": ""}
                self.conclude(task, step, **gone)
            self.concluded(task)

    def _not_merged(self, task: Task, made: reviewing.Merged) -> None:
        standing = reviews.standing(self.store, task.key)
        step = Step(do="person", reason=f"approved, but not merged: {made.held}")
        if made.conflicts:
            method = self.config_of(task.project).workflow.merge_method
            step = core.conflict(made.conflicts, made.onto, made.branch, method, standing.conflicts)
        with self.write():
            if made.conflicts:
                more = msgspec.structs.replace(standing, conflicts=standing.conflicts + 1)
                reviews.stand(self.store, task.key, more)
            self.event("merge_refused", task.key, reason=one_line(step.reason))
            self.conclude(task, step)
        self.concluded(task)

    # ---- moving a task that is in review -----------------------------------------------------

    def conclude(self, task: Task, step: Step, **columns: Any) -> None:
        """Move a task in review where a step leads. Called inside a transaction, and followed by
        `concluded` after it."""
        status = core.STATUS.get(step.do)
        if status is None or tasks.get(self.store, task.key).status is not Status.IN_REVIEW:
            return
        columns["blocked_reason"] = step.reason if status is Status.NEEDS_REVIEW else ""
        tasks.update(self.store, task.key, self.now(), status=status, last_error="",
                     not_before=0.0, **columns)  # fmt: skip
        standing = reviews.standing(self.store, task.key)
        if step.feedback != standing.feedback and (step.feedback or step.do == "done"):
            told = msgspec.structs.replace(standing, feedback=step.feedback)
            reviews.stand(self.store, task.key, told)
        self.event("task_changed", task.key, status=status.value, reason=one_line(step.reason))
        self.tell_parent(task.parent)

    def concluded(self, task: Task) -> None:
        """Let others know that a task may have moved."""
        self._failures.pop(task.key, None)
        self.forget(task.key)
        self.sidecar(task.key)
        self.stir()

    def forget(self, key: str) -> None:
        """Look at a task's branch anew; see `Reviews`."""

    # ---- work aside on a branch --------------------------------------------------------------

    def apart(self, task: Task, run: Callable[[], T], then: Callable[[Task, T], object]) -> None:
        """Do something on a task's branch aside, one thing at a time; an error is tried again
        later, a few times."""

        def settle(go_on: Callable[[], object]) -> None:
            self._apart.discard(task.key)
            try:
                go_on()
            except OrchError as error:
                self.log.warning("%s: %s", task.key, error.message)
                self.forget(task.key)

        if task.key in self._apart:
            return
        self._apart.add(task.key)
        try:
            self.aside(
                run,
                lambda found: settle(lambda: then(task, found)),
                lambda error: settle(lambda: self._trouble(task, error)),
                timeout=APART_SECONDS,
            )
        except Refused:
            self._apart.discard(task.key)

    def busy_apart(self, key: str) -> bool:
        """Whether something is done on the task's branch now."""
        return key in self._apart

    def _trouble(self, task: Task, error: Exception) -> None:
        message = words(error)
        if not isinstance(error, OrchError | OSError):
            self.log.error("a step on the branch of %s broke", task.key, exc_info=error)
        tries = self._failures[task.key] = self._failures.get(task.key, 0) + 1
        with self.write():
            if tries >= TRIES:
                self.conclude(task, Step(do="person", reason=message))
            else:
                tasks.update(self.store, task.key, self.now(), last_error=message,
                             not_before=self.now() + 2.0**tries)  # fmt: skip
        self.forget(task.key)
        self.stir()
