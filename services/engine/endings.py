"""The end of an attempt: what follows for its task, what is remembered, who is told."""

from __future__ import annotations

from typing import Any

import msgspec

from orch.core import delegation, names, retry, routing
from orch.core.prompt import one_line
from orch.errors import Malformed
from orch.messages import SessionChanged
from orch.model import Answer, Attempt, ErrorClass, Phase, Status, Task, Verdict
from orch.store import attempts, jobs, tasks
from services.engine import work
from services.engine.reasks import Reasks


class Endings(Reasks):
    """Ends attempts: one transaction for the attempt, its task, its memory and the events."""

    def setup(self) -> None:
        """Begin with no delivery tried."""
        self._tries: dict[int, int] = {}
        super().setup()

    def finish(self, attempt: Attempt, verdict: Verdict, delivered: work.Delivered | None) -> None:
        """End an attempt with its verdict, and let its task go where that leads."""
        task = tasks.get(self.store, attempt.task)
        config = self.config_of(task.project)
        now = self.now()
        told = attempts.get(self.store, attempt.id)
        if told.outcome:
            verdict = stopped(told, verdict)
        consequence = retry.follow(
            verdict, self.history_of(task, told, verdict),
            max_attempts=config.workflow.max_attempts, now=now,
        )  # fmt: skip
        if told.outcome == "rerouted" and verdict.error is ErrorClass.CANCELLED:
            consequence = retry.moved(verdict.message)
        status = Status.DONE if told.outcome == "closed" else consequence.status
        with self.write():
            if verdict.ok and verdict.answer is not None and status is not Status.NEEDS_REVIEW:
                consequence = self._delegate(task, attempt, verdict.answer, consequence)
                status = consequence.status
            if status is Status.DONE and verdict.ok:
                status = self.after_work(task, delivered)
            outcome = _outcome(verdict, status)
            attempts.update(
                self.store, attempt.id, error_class=verdict.error, outcome=outcome,
                error=verdict.message, counted=consequence.counted, ended_at=now,
            )  # fmt: skip
            attempts.update(self.store, attempt.id, phase=Phase.ENDED)
            self._remember(attempt, verdict, delivered, outcome)
            self.let_rest(attempt, verdict, consequence)
            self._move(task, attempt, verdict, consequence, status, delivered)
            self.event("attempt_ended", task.key, attempt=attempt.n, outcome=outcome,
                       session=attempt.session, agent=attempt.agent,
                       error=one_line(verdict.message),
                       error_class=verdict.error.value if verdict.error else None)  # fmt: skip
            again = self.ask_again(task, told, verdict) if consequence.ask else None
        self._tries.pop(attempt.id, None)
        self.publish(SessionChanged(attempt.session))
        self.sidecar(task.key)
        self.stir()
        if again is not None:
            self.advance(again)

    def after_work(self, task: Task, delivered: work.Delivered | None) -> Status:  # noqa: ARG002
        """Where finished work leads: done, unless it is reviewed first; see `Reviews`."""
        return Status.DONE

    def _move(
        self, task: Task, attempt: Attempt, verdict: Verdict, consequence: retry.Consequence,
        status: Status, delivered: work.Delivered | None,
    ) -> None:  # fmt: skip
        columns: dict[str, Any] = {"status": status, "not_before": consequence.not_before}
        columns["attempts"] = task.attempts + (1 if consequence.counted else 0)
        if verdict.answer is not None and verdict.answer.summary:
            columns["summary"] = verdict.answer.summary
        columns["last_error"] = "" if verdict.ok else verdict.message
        reason = consequence.reason
        if delivered is not None and delivered.removed:
            columns.update(branch="", worktree="")
        if status is Status.ROUTED and consequence.other_agent:
            choice = self.onward(task, attempt, verdict)
            if choice is None:
                status = columns["status"] = Status.NEEDS_REVIEW
                reason = f"{one_line(reason)} (all have been tried: {self.tried(task)})"
            else:
                columns.update(agent=choice.agent, model=choice.model)
        waits = status in (Status.BLOCKED, Status.NEEDS_REVIEW)
        columns["blocked_reason"] = reason if waits else ""
        columns["delegated"] = int(consequence.delegated)
        tasks.update(self.store, task.key, self.now(), **columns)
        self.event("task_changed", task.key, status=status.value,
                   reason=one_line(reason))  # fmt: skip
        self.tell_parent(task.parent)

    def _delegate(
        self, task: Task, attempt: Attempt, answer: Answer, consequence: retry.Consequence
    ) -> retry.Consequence:
        """Make the subtasks an answer asks for, in the transaction that ends the attempt, so each
        is made once; then the task waits for them."""
        above = tasks.generations(self.store, task.key)
        try:
            parts = delegation.wanted(answer.delegations, above)
        except Malformed as error:
            return retry.Consequence(status=Status.NEEDS_REVIEW, reason=error.message)
        if not parts:
            return consequence
        made = []
        for part in parts:
            child = Task(
                key="", project=task.project, title=part.title, body=part.body,
                labels=part.labels, author=attempt.agent, source="delegation", parent=task.key,
                complexity=routing.complexity(part.labels, ""), created_at=self.now(),
            )  # fmt: skip
            key = tasks.insert_internal(self.store, child, routing.priority(part.labels))
            self.event("task_added", key, title=one_line(part.title), project=task.project,
                       source="delegation", parent=task.key)  # fmt: skip
            made.append(key)
        reason = f"waits for its subtasks {', '.join(made)}"
        return retry.Consequence(status=Status.BLOCKED, reason=reason, delegated=True)

    def tell_parent(self, parent: str) -> None:
        """A child changed: a parent that only waited for its children goes on when all are done,
        and says else which of them is stuck. Called inside the transaction of the change."""
        if not parent or not tasks.delegated(self.store, parent):
            return
        children = [tasks.get(self.store, key) for key in tasks.children(self.store, parent)]
        reason = delegation.waiting(children)
        if reason == tasks.get(self.store, parent).blocked_reason:
            return
        columns: dict[str, Any] = {"blocked_reason": reason}
        if not reason:
            columns.update(status=Status.NEW, delegated=0)
        tasks.update(self.store, parent, self.now(), **columns)
        self.event("task_changed", parent, status="blocked" if reason else "new",
                   reason=one_line(reason) or "its subtasks are done")  # fmt: skip

    def _remember(
        self, attempt: Attempt, verdict: Verdict, delivered: work.Delivered | None, outcome: str
    ) -> None:
        answer = verdict.answer
        attempts.remember(
            self.store, attempt,
            learnings=answer.learnings if answer else (),
            error=verdict.message if outcome != "done" else "",
            files=delivered.files if delivered else (),
            approach=answer.summary if answer else "",
            seconds=self.now() - attempt.started_at,
        )  # fmt: skip

    def sidecar(self, key: str) -> None:
        """Copy a task's row and meta to `sidecar.json`, for people and scripts."""
        task = tasks.get(self.store, key)
        copy = {"task": task, "meta": jobs.meta(self.store, key)}
        folder = self.home.task_folder(names.task_folder(key))
        try:
            work.write_sidecar(folder, msgspec.json.format(msgspec.json.encode(copy)))
        except OSError as error:
            self.log.warning("cannot write the sidecar of %s: %s", key, error)


def ours(message: str) -> Verdict:
    """The verdict when orch itself, not the agent, was at fault."""
    return Verdict(ok=False, error=ErrorClass.INFRASTRUCTURE, message=message)


def _outcome(verdict: Verdict, status: Status) -> str:
    if status is Status.DONE:
        return "done" if verdict.ok else "closed"
    if status is Status.IN_REVIEW:
        return "done"
    if verdict.ok:
        return status.value if status is not Status.ROUTED else "in_progress"
    if verdict.error in (ErrorClass.LOST, ErrorClass.CANCELLED):
        return verdict.error.value
    return "failed"


def stopped(attempt: Attempt, verdict: Verdict) -> Verdict:
    """The verdict of an attempt that somebody stopped, unless it was done before that came."""
    if verdict.ok:
        return verdict
    return Verdict(ok=False, error=ErrorClass.CANCELLED, message=attempt.error, usage=verdict.usage)
