"""What agents ask people: kept as it is asked, answered once, delivered by capture."""

from __future__ import annotations

from typing import Any

from orch.core import approval
from orch.core.prompt import one_line
from orch.messages import Answered, AnswerQuestion, Done, EffectQueued, ReportQuestions
from orch.model import Approval, ApprovalState, Attempt, Phase, Question, Task
from orch.service import answers
from orch.store import approvals, attempts, outbox
from services.engine.dispatch import Dispatch

CAPTURE = "capture"
"""Whose effects bring answers and texts to sessions."""


class Approvals(Dispatch):
    """Keeps questions and answers; a question is open until it is answered, taken back, or its
    session ends. The session decides which answer holds, as only one can reach the agent."""

    # ---- questions ---------------------------------------------------------------------------

    @answers(ReportQuestions)
    def report_questions(self, request: ReportQuestions) -> Done:
        """Take up what is new in a session's questions."""
        attempt = self.attempt_of(request.session, request.attempt)
        if attempt is None:
            return Done()
        known = approvals.of_attempt(self.store, attempt.id)
        fresh = [approval.kept(one) for one in request.asked]
        fresh = [one for one in fresh if one.question not in known]
        ended = [(known[one.question], one) for one in request.settled if one.question in known]
        changes = [(row, change) for row, one in ended if (change := approval.settled(row, one))]
        if changes or (fresh and attempt.phase is Phase.RUNNING):
            with self.write():
                self._ask(attempt, fresh if attempt.phase is Phase.RUNNING else [])
                self._settle(changes)
        return Done()

    def attempt_of(self, session: str, n: int) -> Attempt | None:
        """The attempt that a session was made for."""
        found = attempts.sessions(self.store, "", None, session)
        return next((one for one in found if one.n == n), None)

    def _ask(self, attempt: Attempt, asked: list[Question]) -> None:
        for one in asked:
            number = approvals.ask(
                self.store, attempt.task, attempt.id, attempt.session, one, self.now()
            )
            if number is not None:
                self.event("approval_asked", attempt.task, approval=number, attempt=attempt.n,
                           agent=attempt.agent, session=attempt.session, question=one.question,
                           tool=one.tool, text=one_line(one.text), options=one.options)  # fmt: skip

    def _settle(self, changes: list[tuple[Approval, dict[str, Any]]]) -> None:
        """Take over how sessions saw questions end; an answer that was typed there is one, too."""
        for row, change in changes:
            state = change.get("state", row.state)
            typed = "by" in change
            if typed:
                change = {**change, "answered_at": self.now()}  # noqa: PLW2901
            approvals.update(self.store, row.id, **change)
            if typed:
                self._told_answer(approvals.get(self.store, row.id))
            if change.get("delivered"):
                self.event("approval_delivered", row.task, approval=row.id, attempt=row.n)
            elif state is ApprovalState.EXPIRED:
                self._told_expired(row, change["problem"])

    # ---- answers -----------------------------------------------------------------------------

    @answers(AnswerQuestion)
    def answer_question(self, request: AnswerQuestion) -> Answered:
        """Record a person's answer; it is brought to the agent from the outbox."""
        task = self.find(request.id, request.project)
        rows = approvals.of_task(self.store, task.key)
        chosen = approval.choose(task.key, rows, request.question)
        reason = approval.reason_of(chosen, request.allowed, request.reason)
        with self.write():
            row = self._answer(chosen, request.allowed, request.by or "a person", reason)
        self.publish(EffectQueued(CAPTURE))
        return Answered(row)

    def _answer(self, row: Approval, allowed: bool, by: str, reason: str) -> Approval:
        now, state = self.now(), ApprovalState.ALLOWED if allowed else ApprovalState.DENIED
        approvals.update(self.store, row.id, state=state, by=by, reason=reason, answered_at=now)
        row = approvals.get(self.store, row.id)
        key = approval.key(row.id)
        outbox.queue(self.store, now, CAPTURE, "answer", key, row.task, approval.order(row))
        self._told_answer(row)
        return row

    def _told_answer(self, row: Approval) -> None:
        self.event("approval_answered", row.task, approval=row.id, attempt=row.n,
                   answer=row.state.value, by=row.by, reason=one_line(row.reason),
                   tool=row.tool, text=one_line(row.text))  # fmt: skip

    def effect_settled(self, effect: int, problem: str = "") -> None:
        """Something that capture was to bring is there, or (`problem`) will never be. Called in
        the transaction that records it."""
        key, kind, _ = outbox.named(self.store, effect)
        number = approval.number(key) if kind == "answer" else None
        if number is None:
            return
        row = approvals.get(self.store, number)
        if row.delivered:
            return
        approvals.update(self.store, row.id, delivered=not problem, problem=problem)
        name = "approval_undelivered" if problem else "approval_delivered"
        self.event(name, row.task, approval=row.id, attempt=row.n, problem=problem)

    # ---- ends --------------------------------------------------------------------------------

    def leave_session(self, attempt: Attempt) -> None:
        """An attempt's session has ended: what it asks expires. Called in the transaction that
        records the end."""
        for row in approvals.of_attempt(self.store, attempt.id).values():
            if row.state is ApprovalState.ASKED:
                why = f"attempt {attempt.n} ended before anybody answered"
                approvals.update(self.store, row.id, state=ApprovalState.EXPIRED, problem=why)
                self._told_expired(row, why)

    def _told_expired(self, row: Approval, why: str) -> None:
        self.event("approval_expired", row.task, approval=row.id, attempt=row.n, reason=why)

    # ---- shown -------------------------------------------------------------------------------

    def why_waiting(self, task: Task) -> str:
        """A running task may wait for an answer."""
        asked = approval.waiting_for(task.key, approvals.of_task(self.store, task.key))
        return super().why_waiting(task) or asked

    def asks(self) -> dict[str, str]:
        """What agents ask now, by task, in a line."""
        found: dict[str, list[Approval]] = {}
        for row in approvals.waiting(self.store):
            found.setdefault(row.task, []).append(row)
        return {
            task: f"{len(rows)} questions: {approval.listed(rows)[:approval.SHORT]}"
            if len(rows) > 1 else approval.words(rows[0].tool, rows[0].text, rows[0].options)
            for task, rows in found.items()
        }  # fmt: skip
