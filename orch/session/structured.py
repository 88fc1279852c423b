"""Sessions of agents that speak a machine protocol: their messages are kept, and shown as text."""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH123

from __future__ import annotations

import time

from orch.agents import render, stream
from orch.session import loop, second_programs
from orch.session.loop import Session
from orch.session.program import LaunchFailed
from orch.session.structured_files import StateFile, Tape
from orch.session.structured_program import Piped, start
from orch.session.structured_talk import LINGER, Talk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orch.agents.budget import Meter
    from orch.session.launch import Launch

MOST_ERRORS = 16 << 20
"""Bytes of stderr that are kept."""
MOST_SHOWN = 20
"""Lines of what came on stderr at once that are shown."""
MOST_REASON = 10_000
"""Characters of a reason that are told to the agent."""
MOST_NAME = 200
"""Characters of the name of who answers."""


class StructuredSession(Session):
    """One attempt of an agent on pipes. What it says is appended to `events.jsonl` (and what it is
    told, as `{"orch_sent": …}`), its stderr to `stderr.txt`, and the text of both to the pane."""

    program: Piped

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self.events = Tape(f"{launch.folder}/events.jsonl")
        self.errors = Tape(f"{launch.folder}/stderr.txt", MOST_ERRORS)
        self.state = StateFile(launch.folder)
        self.taken = 0
        self.native_session = ""
        self.left_at: float | None = None
        self.meter = _meter(launch.budget, launch.dialect)

    def _start(self) -> Piped:
        try:
            with open(self.launch.prompt, encoding="utf-8", errors="replace") as file:
                self.prompt = file.read()
            settings = _read_in(self.launch.settings)
            self.conversation = stream.conversation(self.launch.dialect, settings)
        except (OSError, ValueError) as problem:
            raise LaunchFailed(f"cannot talk with the agent: {problem}") from problem
        given = None
        if self.launch.dialect in stream.ONESHOT:
            system = settings.get("system", "").strip()
            given = "\n\n".join(part for part in (system, self.prompt) if part).encode()
        return start(self.launch, *self.size, given)

    def _front(self) -> Talk:
        self.talk = Talk(self.conversation, self._show, self.events.add, self.launch.task)
        self.talk.spent = self._spent
        self.talk.begin(self.prompt, time.monotonic())
        self._tell_state()
        return self.talk

    def _goes_on(self) -> bool:
        """See `second_programs`: another one may follow the program that has ended."""
        if self.ending.by != "exit" or self.ending.message:
            return False
        ended = self.program
        try:
            if second_programs.is_due(self.launch, self.conversation, ended):
                self._show(second_programs.TOLD)
                self.talk.close()
                self.launch = second_programs.order(self.launch)
                self.meter = _meter(self.launch.budget, self.launch.dialect)
                self.program = self._start()
                self.typist = self._front()
            elif text := second_programs.next_turn(self.launch, self.conversation, ended):
                again = second_programs.again(self.launch, self.conversation.session)
                self.program = start(again, *self.size, text.encode())
                self.talk.read_all()
            else:
                return False
        except LaunchFailed as problem:
            self._show(f"{render.RED}✗ {problem}{render.OFF}\n")
            return False
        ended.close()
        return True

    # ---- output ------------------------------------------------------------------------------

    def _output(self) -> None:
        for _ in range(loop.READS):
            data = self.program.read()
            if data is None:
                self.silent = True
            if not data:
                break
            self.taken += len(data)
            self.talk.saw(data, time.monotonic())
            if self._held():
                break
        self._tell_state()

    def _progress(self) -> int:
        return self.taken

    def _held(self) -> bool:
        return super()._held() or bool(self.events.waiting)

    def _also(self) -> list[int]:
        return [self.program.errors] if self.program.errors >= 0 else []

    def _came(self, ready: list[Any]) -> None:
        if self.program.errors in ready:
            self._read_errors()

    def _read_errors(self) -> None:
        while data := self.program.read_errors():
            self.errors.add(data)
            lines = render.clean(data.decode("utf-8", "replace")).splitlines()
            shown = [render.cut(line) for line in lines if line.strip()][:MOST_SHOWN]
            self._show("".join(f"{render.DIM}! {line}{render.OFF}\n" for line in shown))
            if self._held():
                break

    def _drain(self, now: float) -> None:
        self._read_errors()
        super()._drain(now)

    def _show(self, text: str) -> None:
        """Text of the session, to the record and the pane."""
        if text:
            data = text.encode("utf-8", "replace")
            self.record.add(data)
            self.pane.show(data)
            self.record.tell(asking=bool(self.conversation.questions))

    def _tell_state(self) -> None:
        self.native_session = self.conversation.session
        if self.state.write(self.talk.now()):
            self.record.tell(asking=bool(self.conversation.questions))

    def _spent(self) -> None:
        """The agent has used more: at its limit it is stopped, unless it has done all already."""
        talk = self.conversation
        if self.meter is None or talk.used is None or talk.state == stream.DONE or self.ending.by:
            return
        found = self.meter.look(talk.used, talk.model, time.time())
        if found is None:
            return
        if found.over:
            by = "budget_day" if found.key.endswith("_day") else "budget"
            self.ending.begin(by, found.words, time.monotonic())
        sign = f"{render.RED}✗ stopped: " if found.over else f"{render.YELLOW}  "
        self._show(f"{sign}{found.words}{render.OFF}\n")

    def _keyboard(self) -> None:
        super()._keyboard()
        self._tell_state()

    # ---- the clock ---------------------------------------------------------------------------

    def _due(self) -> float | None:
        wait = super()._due()
        times = [] if wait is None else [wait]
        now = time.monotonic()
        if self.talk.closing and not self.talk.out and not self.program.ended:
            if self.left_at is None:
                self.left_at = now
                self.program.hang_up()
            if now >= self.left_at + LINGER:
                self.ending.begin("exit", stream.LINGERED, now)
            times.append(max(0.5, self.left_at + LINGER - now))
        if self.events.waiting or self.errors.waiting:
            self.events.retry()
            self.errors.retry()
            times.append(loop.DISK_PAUSE)
        return min(times) if times else None

    # ---- requests ----------------------------------------------------------------------------

    def _interrupt(self) -> None:
        if self.program.ended:
            return
        deaf = isinstance(self.conversation, stream.Oneshot)
        if deaf or self.conversation.state == stream.STARTING:
            super()._interrupt()  # it does not listen, or not yet
        else:
            self.talk.interrupt()

    def _asked(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> bool:
        if request["type"] == "budget":
            answer(self._adjusted(request.get("budget")))
            return True
        if request["type"] not in ("approve", "deny"):
            return False
        if self.program.ended or self.ending.by:
            answer({"state": "refused", "reason": "the session is ending"})
            return True
        question, reason = str(request.get("question") or ""), str(request.get("reason") or "")
        by, key = str(request.get("by") or "")[:MOST_NAME], str(request.get("key") or "")
        allowed = request["type"] == "approve"
        state, why = self.talk.decide(question, allowed, reason[:MOST_REASON], by, key)
        self._tell_state()
        answer({"state": state, "reason": why})
        return True

    def _adjusted(self, order: Any) -> dict[str, Any]:
        """Other limits hold from now on; none at all where the order is empty."""
        if not isinstance(order, dict):
            return {"state": "refused", "reason": "the limits are missing"}
        self.meter = _meter(order, self.launch.dialect)
        self._spent()
        return {"state": "submitted", "reason": ""}

    def _status(self) -> dict[str, Any]:
        held = self.record.problem or self.events.problem
        limits = self.meter.limits._asdict() if self.meter else None
        return {
            **super()._status(), "held": held, "limits": limits, **self.talk.now(),
        }  # fmt: skip

    # ---- the end -----------------------------------------------------------------------------

    def _result(self) -> dict[str, Any]:
        self.events.close()
        self.errors.close()
        return {**super()._result(), "native_session": self.native_session}


def _meter(order: dict[str, Any], dialect: str) -> Meter | None:
    """What counts the attempt against its limits; None where it has none. An order of another
    version, that cannot be understood, limits nothing here: the engine looks too."""
    if not order:
        return None
    from orch.agents.budget import Meter  # noqa: PLC0415 - only where something is limited

    try:
        return Meter(order, dialect)
    except (TypeError, LookupError, ValueError):
        return None


def _read_in(settings: dict[str, str]) -> dict[str, str]:
    """The settings with `system`, the text of what `system_file` names: for agents that are told
    their system prompt in the conversation. Raises `OSError`."""
    path = settings.get("system_file")
    if not path:
        return settings
    with open(path, encoding="utf-8", errors="replace") as file:
        return {**settings, "system": file.read()}
