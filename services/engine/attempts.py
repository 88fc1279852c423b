"""Attempts: one step after another, each recorded before it begins and safe to repeat."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import msgspec

from orch.core.approval import answered
from orch.core.prompt import Known
from orch.errors import ConfigError, OrchError, Refused, Unknown
from orch.messages import SessionChanged
from orch.model import Attempt, ErrorClass, Phase, Verdict
from orch.service import every
from orch.session.launch import Result
from orch.store import approvals, attempts, reviews, tasks
from services.engine import earlier, reviewing, work
from services.engine.endings import Endings, ours
from services.engine.takeovers import Takeovers

T = TypeVar("T")

STEP_SECONDS = 900.0
"""How long one step may take aside; every command in it has a shorter limit of its own."""

DELIVERY_TRIES = 5
"""How often keeping an agent's work is tried before a person must look."""

DAY = 86400.0


class Attempts(Takeovers, Endings):
    """Drives every open attempt: prepare → running → collect → deliver → ended."""

    def setup(self) -> None:
        """Take up every attempt that a dead engine left open."""
        self._busy: set[int] = set()
        self._live: dict[str, Attempt] = {}
        self._missing: dict[str, int] = {}
        self._asking = False
        self._later: dict[int, float] = {}
        super().setup()
        config = self.loaded.config.engine
        self.repeat(config.tick_interval, self.stir)
        self.repeat(config.sync_interval, self.adopt)
        self.repeat(config.sync_interval, self.look_at_files)

    def on_swept(self) -> None:
        """Begin with what an earlier engine left open."""
        super().on_swept()
        self.adopt()

    def adopt(self) -> None:
        """Look at every open attempt and take its next step."""
        if not self.swept:
            return
        for attempt in attempts.open_ones(self.store):
            self.advance(attempt)

    def advance(self, attempt: Attempt) -> None:
        """Take the next step of an attempt, unless one is under way."""
        if attempt.id in self._busy or self._later.get(attempt.id, 0.0) > self.clock():
            return
        self._later.pop(attempt.id, None)
        order = self.order(attempt)
        if attempt.phase is Phase.PREPARE:
            self._prepare(order)
        elif attempt.phase is Phase.RUNNING and attempt.launched_at is None:
            self._launch(order)
        elif attempt.phase is Phase.RUNNING:
            self._watch_one(attempt)
        elif attempt.phase is Phase.COLLECT:
            self._step(attempt, lambda: work.collect(order), lambda r: self._collected(attempt, r))
        elif attempt.phase is Phase.DELIVER:
            self._deliver(order)

    def order(self, attempt: Attempt) -> work.Order:
        """All that the work on an attempt needs, as values."""
        task = tasks.get(self.store, attempt.task)
        project = self.loaded.projects.get(task.project)
        past = [a for a in attempts.of_task(self.store, task.key) if a.n < attempt.n]
        based = [a for a in past if a.base]
        known = Known(
            attempt=attempt.n,
            parent=tasks.find(self.store, task.parent) if task.parent else None,
            memory=tuple(attempts.memory(self.store, task.key)),
            earlier=earlier.before(self.store, task),
            children=earlier.children(self.store, task),
            feedback=reviews.standing(self.store, task.key).feedback,
            answers=answered(approvals.of_task(self.store, task.key), attempt.n),
        )
        return work.Order(
            home=self.home, host=self.host, task=task, attempt=attempt,
            repo=Path(project.path) if project is not None else Path(attempt.worktree),
            config=self.config_of(task.project), known=known,
            earlier_base=based[0].base if based else "",
            asked=self.asked(attempt), before=_before(past, attempt),
            cycle=len({a.head for a in past if a.kind == "review"} | {attempt.head}),
            skills=self.skills_of(task, self.config_of(task.project)),
        )  # fmt: skip

    # ---- prepare and launch ------------------------------------------------------------------

    def _prepare(self, order: work.Order) -> None:
        attempt = order.attempt
        if attempt.outcome:
            self.finish(attempt, ours("it was stopped"), None)
            return
        if order.task.project not in self.loaded.projects:
            problem = f"the project {order.task.project} is not registered any more"
            self.finish(attempt, ours(problem), None)
            return
        self._step(
            attempt,
            lambda: _hands(attempt).make_worktree(order),
            lambda done: self._prepared(attempt, done),
        )

    def _prepared(self, attempt: Attempt, prepared: work.Prepared) -> None:
        with self.write():
            fresh = attempts.get(self.store, attempt.id)
            if not fresh.outcome:
                attempts.update(self.store, attempt.id, phase=Phase.RUNNING, base=prepared.base)
        self.advance(attempts.get(self.store, attempt.id))

    def _launch(self, order: work.Order) -> None:
        attempt = order.attempt
        if attempt.outcome:
            self._step(
                attempt,
                lambda: self.host.stop(attempt.session, Path(attempt.folder)),
                lambda _: self.finish(attempt, ours("it was stopped"), None),
            )
        else:
            self._step(attempt, lambda: work.launch(order), lambda _: self._launched(attempt))

    def _launched(self, attempt: Attempt) -> None:
        now = self.now()
        with self.write():
            attempts.update(self.store, attempt.id, launched_at=now)
            self.event("session_started", attempt.task, attempt=attempt.n, session=attempt.session,
                       agent=attempt.agent)  # fmt: skip
        self.publish(SessionChanged(attempt.session))
        self._watch_one(attempts.get(self.store, attempt.id))

    # ---- running -----------------------------------------------------------------------------

    def _watch_one(self, attempt: Attempt) -> None:
        if attempt.session not in self._live:
            self._live[attempt.session] = attempt
            if attempt.outcome:
                self._stop_session(attempt)
        self._check_ended(attempt.session)

    def on_nudge(self, data: bytes) -> None:
        """A session process says that it ended; anybody may say so, hence we look."""
        try:
            said = msgspec.msgpack.decode(data)
        except msgspec.DecodeError:
            return
        if isinstance(said, dict) and said.get("ended") and isinstance(said.get("session"), str):
            self._check_ended(said["session"])

    @every(seconds=1)
    def look_at_sessions(self) -> None:
        """The safety net under the nudges: look for exit files, ask tmux what is alive, and take
        up steps that were put off."""
        now = self.clock()
        if any(due <= now for due in self._later.values()):
            self.adopt()
        for session in list(self._live):
            self._check_ended(session)
        if self._live and not self._asking:
            self._asking = True
            asked = frozenset(self._live)
            self.aside(
                self.host.alive,
                lambda alive: self._heard(asked, alive),
                self._unheard,
                timeout=30.0,
            )

    def _heard(self, asked: frozenset[str], alive: dict[str, int]) -> None:
        self._asking = False
        for session in asked & self._live.keys():
            if session in alive:
                self._missing.pop(session, None)
                continue
            self._missing[session] = self._missing.get(session, 0) + 1
            if self._missing[session] >= 2 and not self._check_ended(session):
                self.log.warning("session %s is gone without an exit file", session)
                self._end_running(session)

    def _unheard(self, error: Exception) -> None:
        self._asking = False
        self._missing.clear()
        self.log.warning("tmux cannot be asked: %s", error)

    def _check_ended(self, session: str) -> bool:
        attempt = self._live.get(session)
        if attempt is None:
            return False
        try:
            ended = self.host.finished(Path(attempt.folder)) is not None
        except OrchError as error:
            self.log.warning("%s: %s", session, error.message)
            return False
        if ended:
            self._end_running(session)
        return ended

    def _end_running(self, session: str) -> None:
        attempt = self._live.pop(session)
        self._missing.pop(session, None)
        try:
            with self.write():
                attempts.update(self.store, attempt.id, phase=Phase.COLLECT)
                self.event("session_ended", attempt.task, attempt=attempt.n, session=session,
                           agent=attempt.agent)  # fmt: skip
                self.leave_session(attempt)
        except Unknown:
            self.put_off(attempt.id)
            return
        self.publish(SessionChanged(session))
        self.advance(attempts.get(self.store, attempt.id))

    def stop_attempt(self, attempt: Attempt, outcome: str, reason: str) -> None:
        """Stop an attempt: recorded first (inside the caller's transaction), so that a dead engine
        does not forget it, then its session is ended."""
        attempts.update(self.store, attempt.id, outcome=outcome, error=reason)
        if attempt.session in self._live:
            marked = msgspec.structs.replace(attempt, outcome=outcome, error=reason)
            self._live[attempt.session] = marked
            self._stop_session(marked)

    def _stop_session(self, attempt: Attempt) -> None:
        def failed(error: Exception) -> None:
            self.log.warning("cannot stop %s yet: %s", attempt.session, error)

        self.aside(
            lambda: self.host.stop(attempt.session, Path(attempt.folder)),
            lambda _: self._check_ended(attempt.session),
            failed,
            timeout=60.0,
        )

    # ---- collect and deliver -----------------------------------------------------------------

    def _collected(self, attempt: Attempt, found: tuple[Verdict, Result | None]) -> None:
        verdict, result = found
        used = self.account(attempt, verdict.usage)
        with self.write():
            attempts.update(
                self.store, attempt.id, phase=Phase.DELIVER, error_class=verdict.error,
                exit_code=result.exit_code if result else None, **used,
                native_session=verdict.native_session or (result.native_session if result else ""),
            )  # fmt: skip
        self.advance(attempts.get(self.store, attempt.id))

    def _deliver(self, order: work.Order) -> None:
        attempt = order.attempt

        self._step(
            attempt,
            lambda: _hands(attempt).deliver(order),
            lambda found: self.finish(attempt, found[0], found[1]),
        )

    # ---- steps -------------------------------------------------------------------------------

    def _step(self, attempt: Attempt, run: Callable[[], T], then: Callable[[T], object]) -> None:
        """Run one step aside. One step of an attempt at a time; an error has its consequence; and
        when the database cannot be written, the step is taken again later."""

        def settle(go_on: Callable[[], object]) -> None:
            self._busy.discard(attempt.id)
            try:
                go_on()
            except Unknown:
                self.put_off(attempt.id)

        self._busy.add(attempt.id)
        try:
            self.aside(
                run,
                lambda found: settle(lambda: then(found)),
                lambda error: settle(lambda: self._failed(attempt, error)),
                timeout=STEP_SECONDS,
            )
        except Refused:
            self._busy.discard(attempt.id)
            self.put_off(attempt.id)

    def _failed(self, attempt: Attempt, error: Exception) -> None:
        message = words(error)
        if not isinstance(error, OrchError | OSError):
            self.log.error("a step of %s broke", attempt.task, exc_info=error)
        attempt = attempts.get(self.store, attempt.id)
        if isinstance(error, Refused | ConfigError) and attempt.phase is not Phase.DELIVER:
            verdict = Verdict(ok=False, error=ErrorClass.WAITING_FOR_INPUT, message=message)
            self.finish(attempt, verdict, None)
            return
        if attempt.phase is Phase.PREPARE:
            self.finish(attempt, ours(message), None)
        else:
            self._again(attempt, message)

    def _again(self, attempt: Attempt, message: str) -> None:
        """Take a step once more, later: a session may be there already, or work to be kept, so
        nothing may be concluded from the failure."""
        tries = self._tries[attempt.id] = self._tries.get(attempt.id, 0) + 1
        self.log.warning("%s, %s: %s", attempt.task, attempt.phase, message)
        if tries >= DELIVERY_TRIES and attempt.phase is Phase.DELIVER:
            kept = f"the work stays in {attempt.worktree}, but cannot be committed: {message}"
            verdict = Verdict(ok=False, error=ErrorClass.PERMISSION_DENIED, message=kept)
            self.finish(attempt, verdict, None)
            return
        with self.write():
            tasks.update(self.store, attempt.task, self.now(), last_error=message)
        self.put_off(attempt.id, float(2 ** min(tries, 6)))

    def put_off(self, attempt: int, seconds: float = 1.0) -> None:
        """Have an attempt's next step taken later."""
        self._later[attempt] = self.clock() + seconds


def _hands(attempt: Attempt) -> ModuleType:
    """Who does the work aside on this kind of attempt."""
    return reviewing if attempt.kind == "review" else work


def _before(past: list[Attempt], attempt: Attempt) -> tuple[Attempt, ...]:
    """The failed attempts of one conversation whose work this one takes up, oldest first."""
    worked = {one.id: one for one in past if one.kind == "work"}
    last = next(reversed(worked.values()), None)
    if attempt.kind != "work" or last is None or last.error_class is None:
        return ()
    found = [last]
    while (earlier := worked.get(found[0].continues or 0)) is not None:
        found.insert(0, earlier)
    return tuple(one for one in found if one.launched_at is not None)


def words(error: Exception) -> str:
    """An error as told on the task: what, and what to do."""
    if not isinstance(error, OrchError):
        return f"{type(error).__name__}: {error}"
    return f"{error.message} ({error.hint})" if error.hint else error.message
