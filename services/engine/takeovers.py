"""People who work in a session themselves: meanwhile nothing is typed there by itself."""

from __future__ import annotations

from orch.core.prompt import one_line
from orch.errors import NotFound, Refused
from orch.messages import (
    AddInput,
    Delivered,
    Done,
    EffectQueued,
    ReleaseSession,
    SessionChanged,
    TakeSession,
)
from orch.model import Attempt, Phase
from orch.service import answers
from orch.store import attempts, events, outbox, takeovers
from services.engine.approvals import CAPTURE, Approvals


class Takeovers(Approvals):
    """Keeps who works where, and what is to be typed afterwards."""

    @answers(TakeSession)
    def take_session(self, request: TakeSession) -> Done:
        """Note that a person works in a task's session."""
        attempt = self._running(request.id, request.project)
        by = request.by or "a person"
        taken = takeovers.of_attempt(self.store, attempt.id)
        if taken is not None and taken.by != by:
            hint = f"`orch task release {attempt.task}` ends that"
            raise Refused(f"{taken.by} has taken {attempt.task} already", hint)
        if taken is None:
            with self.write():
                takeovers.take(self.store, attempt.id, attempt.session, by, self.now())
                self.event("session_taken", attempt.task, attempt=attempt.n,
                           session=attempt.session, by=by)  # fmt: skip
                self._tell_session(attempt)
        return Done()

    @answers(ReleaseSession)
    def release_session(self, request: ReleaseSession) -> Done:
        """Note that nobody works there any more; what was held is typed."""
        attempt = self._running(request.id, request.project)
        with self.write():
            self._release(attempt, request.by)
            self._tell_session(attempt)
        return Done()

    def _tell_session(self, attempt: Attempt) -> None:
        """Have capture tell the session who works in it, and look who does."""
        key = f"takeover:{attempt.id}:{events.last(self.store)}"
        payload = {"session": attempt.session}
        outbox.queue(self.store, self.now(), CAPTURE, "takeover", key, attempt.task, payload)
        self.publish(SessionChanged(attempt.session))
        self.publish(EffectQueued(CAPTURE))

    def _release(self, attempt: Attempt, by: str, reason: str = "") -> None:
        if takeovers.release(self.store, attempt.id):
            self.event("session_released", attempt.task, attempt=attempt.n,
                       session=attempt.session, by=by, reason=reason)  # fmt: skip

    def leave_session(self, attempt: Attempt) -> None:
        """With the session its takeover ends."""
        super().leave_session(attempt)
        self._release(attempt, "", f"attempt {attempt.n} has ended")

    def _running(self, id_: str, project: str) -> Attempt:
        task = self.find(id_, project)
        attempt = attempts.open_of(self.store, task.key)
        if attempt is None or attempt.phase is not Phase.RUNNING or attempt.launched_at is None:
            hint = f"`orch task get {task.key}` shows how it is"
            raise Refused(f"no session of {task.key} runs (it is {task.status})", hint)
        return attempt

    # ---- texts that wait ---------------------------------------------------------------------

    @answers(AddInput)
    def add_input(self, request: AddInput) -> Delivered:
        """Keep a text for a session until it is free."""
        found = attempts.sessions(self.store, "", None, request.session)
        if not found:
            raise NotFound(f"no session is called {request.session}")
        task = found[-1].task
        payload = {"session": request.session, "text": request.text, "submit": request.submit,
                   "by": request.by}  # fmt: skip
        taken = takeovers.of_attempt(self.store, found[-1].id)
        with self.write():
            outbox.queue(self.store, self.now(), CAPTURE, "send", request.key, task, payload)
            self.event("input_held", task, session=request.session, by=request.by,
                       text=one_line(request.text), taken_by=taken.by if taken else "")  # fmt: skip
        self.publish(EffectQueued(CAPTURE))
        who = f"{taken.by} has taken this session" if taken else "it was taken"
        return Delivered("queued", f"{who}: typed after `orch task release {task}`")

    def effect_settled(self, effect: int, problem: str = "") -> None:
        """A text that waited is typed, or will never be."""
        super().effect_settled(effect, problem)
        _, kind, task = outbox.named(self.store, effect)
        if kind == "send":
            name = "input_refused" if problem else "input_delivered"
            self.event(name, task, effect=effect, problem=problem)
