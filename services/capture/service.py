"""The capture process: follows the logs of live sessions, answers for them, and types into them."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from orch.client import Client
from orch.core.output import SHORTEST, Pace, cut
from orch.errors import Malformed, NotFound, OrchError, Refused, Unavailable, Unknown
from orch.hosts.local import Local
from orch.marks import answers, every, on
from orch.messages import (
    AddInput,
    Delivered,
    EffectDone,
    EffectFailed,
    EffectQueued,
    Effects,
    GetScreen,
    ListSessions,
    Message,
    Output,
    ReadOutput,
    ReportQuestions,
    Request,
    Screen,
    SendInput,
    SessionChanged,
    Sessions,
    TakeEffects,
)
from orch.model import Effect, Session
from orch.service import Later, Service
from services.capture.hands import deliver
from services.capture.logs import Logs
from services.capture.orders import Orders
from services.capture.questions import Questions

R = TypeVar("R", bound=Message)
T = TypeVar("T")

MOST_BYTES = 512 * 1024
"""The most output in one reply."""

LATELY = 60.0
"""Seconds since which ended sessions are listed with the open ones."""

STRANGER = 0.2
"""Seconds between two questions for sessions that only a nudge told of."""

CROWD = 9
"""Nudges found waiting together: Linux keeps ten of them (net.unix.max_dgram_qlen)."""

MOST_TEXT = 256 * 1024
"""The longest text typed at once, in characters."""

LANE_SECONDS = 90.0
"""After so long an effect no longer keeps those behind it waiting."""

MOST_TRIES, RETRY = 5, 15.0
"""How often an effect is tried while its session does not answer, and the seconds between."""


class Nudge(msgspec.Struct):
    """What a session process sends after it wrote to its log."""

    session: str
    size: int = 0
    ended: bool = False
    asking: bool = False


class Engine:
    """The engine as asked from threads: one question at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._turn = threading.Lock()

    def ask(self, request: Request[R]) -> R:
        """The engine's answer; raises what the client raises."""
        with self._turn:
            return self._client.ask(request, timeout=2.0)

    def close(self) -> None:
        """Let go of the connection, unless a thread is still asking."""
        if self._turn.acquire(timeout=0.1):
            self._client.close()


class Capture(Service):
    """Follows logs, publishes, answers for sessions. Decides nothing: see core/output.py."""

    name = "capture"
    aside_threads = 6

    def setup(self) -> None:
        """Nothing is followed until the engine has said what there is."""
        self.host = Local(self.home)
        self.logs = Logs(self.host, self.publish)
        self.questions = Questions(self.host)
        self._lately: list[Session] = []
        self._lanes: dict[tuple[str, str], deque[Effect]] = {}
        self.engine = Engine(Client(self.home))
        self.orders = Orders(self.host, lambda name: self._locate(SendInput(name, "")))
        self._nudges = msgspec.msgpack.Decoder(Nudge)
        self._pace = Pace()
        self._flushing = self.alarm(self.flush)
        self._curious = self.alarm(self.refresh)
        self._crowded = False
        self._asking: set[str] = set()
        self._asked_at = -math.inf

    def teardown(self) -> None:
        """Close the connection to the engine."""
        if hasattr(self, "engine"):
            self.engine.close()

    # ---- output ------------------------------------------------------------------------------

    def on_nudges(self, together: list[bytes]) -> None:
        """Sessions wrote something; so many nudges at once mean that the system dropped others."""
        self._crowded = self._crowded or len(together) >= CROWD
        for data in together:
            try:
                nudge = self._nudges.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if not self.logs.nudged(nudge.session):
                self._curious.no_later_than(self._asked_at + STRANGER)
            self._notice(nudge)
        if self.logs.waiting() and not self._pace.wait(self.clock()):
            self.flush()
        else:
            self._plan()

    @on(SessionChanged)
    @every(seconds=2)
    def refresh(self, _event: SessionChanged | None = None) -> None:
        """Ask the engine which sessions there are; without an answer those we know stay."""
        self._asked_at = self.clock()
        self._curious.off()
        request = ListSessions(ended_since=self.now() - LATELY)
        ask = partial(self.engine.ask, request)
        self._alone("sessions", ask, self._learn, self.refresh)

    @every(seconds=1)
    def look(self) -> None:
        """Find what lost nudges left."""
        self.logs.look()
        self._plan()
        self.questions.look_at_all([*self.logs.live(), *self._lately])
        self.report()

    def flush(self) -> None:
        """Publish what is new."""
        began = self.clock()
        self.hear_nudges(True)
        if self._crowded:
            self._crowded = False
            self.logs.compare()
        self.logs.flush()
        self._pace.published(began, self.clock())
        self._flushing.off()
        self._plan()

    @answers(ReadOutput)
    def read_output(self, request: ReadOutput) -> Output | Later:
        """A range of a session's log, of this life or an earlier one."""
        if request.offset < 0 or request.limit < 1:
            raise Malformed(f"no range: {request.limit} bytes from {request.offset}")
        known = self.logs.find(request.session, request.attempt)
        if known is not None:
            return self._output(known, request)
        return self._later(lambda: self._output(self._locate(request), request))

    @answers(GetScreen)
    def get_screen(self, request: GetScreen) -> Later:
        """The screen of a session, rendered beside the loop."""
        known = self.logs.find(request.session)

        def work() -> Screen:
            from services.capture.screens import screen  # noqa: PLC0415 (heavy, seldom wanted)

            return screen(self.host, known or self._locate(request), request.ansi)

        return self._later(work)

    # ---- questions ---------------------------------------------------------------------------

    def _notice(self, nudge: Nudge) -> None:
        """A session whose agent asks, or asked a moment ago, says that something happened."""
        session = self.logs.find(nudge.session)
        if session is not None and (nudge.asking or self.questions.asks(session)):
            self.questions.look(session)
            self.report()

    def report(self) -> None:
        """Tell the engine what it does not know yet; the timer tells it again until it does."""
        waiting = self.questions.waiting()
        if waiting:
            self._alone("questions", lambda: self._tell(waiting), self.questions.told, self.report)

    def _tell(self, reports: list[ReportQuestions]) -> list[ReportQuestions]:
        for one in reports:
            self.engine.ask(one)
        return reports

    # ---- input -------------------------------------------------------------------------------

    @answers(SendInput)
    def send_input(self, request: SendInput) -> Later:
        """Type into a session; answered when it is known what became of it."""
        if len(request.text) > MOST_TEXT:
            raise Malformed(f"a text of {len(request.text)} characters is over {MOST_TEXT}")
        known = self.logs.find(request.session)

        def work() -> Delivered:
            session = self._as_it_is(request, known)
            if session.taken_by and session.taken_by != request.by:
                return self.engine.ask(
                    AddInput(request.session, request.text, request.submit, request.by, request.key)
                )
            return deliver(self.host, session, request).delivered

        return self._later(work)

    def _as_it_is(self, request: SendInput, known: Session | None) -> Session:
        """The session as the engine has it now; as we know it while the engine is away."""
        try:
            return self._locate(request)
        except Unavailable:
            if known is None:
                raise
            return known

    @on(EffectQueued)
    @every(seconds=3)
    def take_effects(self, event: EffectQueued | None = None) -> None:
        """Take the texts that the engine wants typed."""
        if event is None or event.target == self.name:
            held = tuple(effect.id for lane in self._lanes.values() for effect in lane)
            request = TakeEffects(self.name, lease_seconds=60.0, holding=held)
            ask = partial(self.engine.ask, request)
            self._alone("effects", ask, self._do_effects, self.take_effects)

    def _do_effects(self, taken: Effects) -> None:
        """Beside the loop; those of a kind for one session one after another, in their order."""
        for effect in taken.effects:
            lane = effect.kind, str(effect.payload.get("session"))
            waiting = self._lanes.setdefault(lane, deque())
            waiting.append(effect)
            if len(waiting) == 1:
                self._next_effect(lane)

    def _next_effect(self, lane: tuple[str, str]) -> None:
        def done(error: Exception | None = None) -> None:
            self._lanes[lane].popleft()
            if self._lanes[lane]:
                self._next_effect(lane)
            else:
                del self._lanes[lane]
            if error is not None:
                self._missed(error)

        effect = self._lanes[lane][0]
        try:
            self.aside(partial(self._do_effect, effect), lambda _: done(), done, LANE_SECONDS)
        except Refused as error:  # they are taken again when their leases are over
            del self._lanes[lane]
            self._missed(error)

    def _do_effect(self, effect: Effect) -> None:
        """In a thread: do one effect and report it. An answer is tried for as long as the agent
        may wait for it."""
        report: EffectDone | EffectFailed
        try:
            told, sure = self.orders.do(effect)
            state, reason = told.state, told.reason
        except (NotFound, Malformed) as error:
            state, reason, sure = "refused", error.message, True
        if state == "refused":
            last = sure or (effect.tries >= MOST_TRIES and effect.kind != "answer")
            pause = RETRY if effect.kind == "send" else min(RETRY, 2.0 ** (effect.tries - 1))
            again = None if last else self.now() + pause
            report = EffectFailed(effect.id, effect.fence, reason, again)
        else:
            report = EffectDone(effect.id, effect.fence, {"state": state, "reason": reason})
        self.engine.ask(report)

    # ---- in threads --------------------------------------------------------------------------

    def _locate(self, request: ReadOutput | GetScreen | SendInput) -> Session:
        """The session asked for, known to the engine if not to us. Raises `NotFound`."""
        attempt = request.attempt if isinstance(request, ReadOutput) else 0
        told = self.engine.ask(ListSessions(session=request.session, ended_since=0.0))
        found = [one for one in told.sessions if one.session == request.session]
        found = [one for one in found if attempt in (0, one.attempt)]
        if not found:
            which = f"attempt {attempt} of {request.session}" if attempt else request.session
            raise NotFound(f"no session is called {which}", "`orch status` lists the open ones")
        return max(found, key=lambda one: (one.started_at, one.attempt))

    def _output(self, session: Session, request: ReadOutput) -> Output:
        limit = min(request.limit, MOST_BYTES)
        ended = session.ended or self._has_ended(session)
        folder = Path(session.folder)
        size = self.host.size(folder)
        data = cut(self.host.read(folder, request.offset, limit + 1), limit)
        size = max(size, request.offset + len(data)) if data else size
        return Output(session.session, request.offset, data, size, ended, session.attempt)

    def _has_ended(self, session: Session) -> bool:
        try:
            return self.host.finished(Path(session.folder)) is not None
        except Unknown:
            return False

    # ---- in the loop -------------------------------------------------------------------------

    def _learn(self, told: Sessions) -> None:
        self.logs.learn(told.sessions)
        self._lately = [one for one in told.sessions if one.ended]
        self._plan()

    def _plan(self) -> None:
        """Have `flush` called as soon as the pace allows, if there is something to publish."""
        if self.logs.waiting():
            now = self.clock()
            wait = self._pace.wait(now)
            self._flushing.no_later_than(now + wait)
            self.hear_nudges(wait < SHORTEST)  # in a burst, the next flush takes them together

    def _later(self, work: Callable[[], Message]) -> Later:
        later = Later()
        self.aside(work, then=later, failed=later)
        return later

    def _alone(
        self,
        what: str,
        work: Callable[[], T],
        then: Callable[[T], object],
        again: Callable[[], object],
    ) -> None:
        """Ask beside the loop, one question of each kind at a time; what rings meanwhile is
        followed by one more. An engine that does not answer is asked again by the timer."""
        if what in self._asking:
            self._asking.add(f"{what} again")
            return
        self._asking.add(what)

        def done(answer: T | None) -> None:
            rang = f"{what} again" in self._asking
            self._asking -= {what, f"{what} again"}
            if answer is not None:
                then(answer)
                if rang:
                    again()

        def failed(error: Exception) -> None:
            done(None)
            self._missed(error)

        self.aside(work, then=done, failed=failed)

    def _missed(self, error: Exception) -> None:
        if not isinstance(error, OrchError):
            raise error
        self.seldom.warning("engine", f"the engine was not reached: {error}")
