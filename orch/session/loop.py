"""The session process's one loop: the agent's terminal, the pane, the record, the socket."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from orch.session import objections, order
from orch.session.control import Control
from orch.session.ending import Ending
from orch.session.pane import Pane
from orch.session.program import LaunchFailed, start
from orch.session.record import Record
from orch.session.typist import Entry, Lines, Typist

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from orch.session.launch import Launch
    from orch.session.program import Program
    from orch.session.structured_talk import Talk

READS = 16
"""Reads of the agent's output before anything else gets its turn."""
KEYS = 65536
"""Bytes for the agent that may wait; beyond them the pane's keyboard is not read."""
DISK_PAUSE = 0.5
"""Seconds between tries to write to a full disk."""
PANE_PATIENCE = 2.0
"""Seconds for which a pane that takes nothing holds up the end of a session."""
LAST_TRIES = 30.0
"""Seconds for which the results are tried to be written after the pane is gone."""


class Session:
    """One attempt, from its launch order to its `exit.txt`."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self.terminal = launch.protocol == "terminal"
        self.wake = _catch_signals()
        self.pane = Pane(raw=self.terminal)
        self.record = Record(launch.folder, launch.session, launch.nudges, launch.endings)
        self.size = self.pane.size() or (launch.columns, launch.rows)
        self.record.resized(*self.size)
        self.started_at = time.time()
        self.control: Control | None = None
        self.taken_by = ""

    def run(self) -> None:
        """Run the agent to its end and write down how it went."""
        try:
            self.program = self._start()
        except LaunchFailed as problem:
            self._launch_failed(str(problem))
            return
        self.typist = self._front()
        limit = self.launch.timeout_seconds
        self.deadline = time.monotonic() + limit if limit > 0 else None
        self._open_control()
        self._tend()
        while self._goes_on():
            self._tend()
        self._finish()

    def _tend(self) -> None:
        """Serve the program until it has ended, what it left is gone, and all it said is read."""
        self.ending = Ending(self.program, self.launch.run)
        self.drained = self.silent = False
        self.gone: float | None = None
        while not (self.ending.clear and self.drained):
            self._turn()

    # ---- what differs from protocol to protocol ------------------------------------------------

    def _start(self) -> Program:
        """Start the agent; raises `LaunchFailed`."""
        return start(self.launch, *self.size)

    def _goes_on(self) -> bool:
        """Whether another program, started by now, goes on with the attempt."""
        return False

    def _front(self) -> Typist | Lines | Talk:
        """Whatever brings text to the agent."""
        kind = Typist if self.terminal else Lines
        return kind(lambda text: objections.objection(self.program, self.terminal, text))

    def _progress(self) -> int:
        """Grows with what is read of the agent's output."""
        return self.record.size

    def _interrupt(self) -> None:
        """Stop what the agent does now."""
        if not self.program.ended:
            self.program.send(signal.SIGINT)

    def _also(self) -> list[int]:
        """More files to watch for something to read."""
        return []

    def _came(self, ready: list[Any]) -> None:
        """Read those of them that have something."""

    def _asked(
        self,
        request: dict[str, Any],  # noqa: ARG002 - structured sessions need it
        answer: Callable[[dict[str, Any]], None],  # noqa: ARG002
    ) -> bool:
        """Answer a request that only this protocol knows; false when it does not."""
        return False

    def _result(self) -> dict[str, Any]:
        """What only this protocol can tell of the end."""
        return {"answer_text": order.answer(self.launch.output_file)}

    # ---- one turn of the loop ----------------------------------------------------------------

    def _turn(self) -> None:
        wait = self._due()
        if self.ending.clear and self.drained:
            return
        control = self.control
        peers = control.peers if control else []
        readable: list[Any] = [self.wake, *peers]
        writable: list[Any] = [peer for peer in peers if peer.out]
        if control:
            readable.append(control.door)
        if not self._held():
            readable += [] if self.silent else [self.program.output]
            readable += self._also()
        if self.pane.keyboard and not self.pane.dead and len(self.typist.out) < KEYS:
            readable.append(0)
        if self.pane.backlog:
            writable.append(1)
        if self.typist.out and not self.program.ended:
            writable.append(self.program.input)
        ready, free, _ = select.select(readable, writable, [], wait)
        if self.wake in ready:
            self._signals()
        if self.program.output in ready:
            self._output()
        self._came(ready)
        if 1 in free:
            self.pane.flush()
        if 0 in ready:
            self._keyboard()
        if self.program.input in free:
            self.typist.wrote(self.program.write(bytes(self.typist.out[:KEYS])))
        if control:
            self._requests(control, ready, free)

    def _due(self) -> float | None:
        """Do what is due by the clock; returns the seconds until there is more to do."""
        now = time.monotonic()
        if self.pane.dead:
            self.ending.begin("hangup", "the pane was closed", now)
        if self.deadline is not None and now >= self.deadline:
            seconds = f"{self.launch.timeout_seconds:g}"
            self.ending.begin("timeout", f"the time limit of {seconds} s is over", now)
            self.deadline = None
        times = [self.ending.step(now), self.typist.step(now), self.deadline]
        if self.record.waiting:
            self._retry_disk()
            times.append(now + DISK_PAUSE)
        if self.program.ended:
            self._drain(now)
            times.append(now + 0.05)
        due = [at for at in times if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _held(self) -> bool:
        """True while the agent's output must wait, for the disk or for the pane."""
        return bool(self.record.waiting) or self.pane.slow

    def _output(self) -> None:
        for number in range(READS):
            data = self.program.read()
            if data is None:
                self.silent = True
            if not data:
                break
            self.record.add(data)
            if number == 0:
                self.record.tell()  # followers get going while the pane is served
            self.typist.saw(data, time.monotonic())
            self.pane.show(data)
            if self._held():
                break
        if self.record.waiting:
            self._say(f"{self.record.problem}: the agent waits until it can be written")
        if self.record.told != self.record.size:
            self.record.tell()

    def _drain(self, now: float) -> None:
        """After the agent's end: read the rest; a pane that takes nothing is given up."""
        if self.gone is None:
            self.gone = now
        if self.pane.slow and now - self.gone > PANE_PATIENCE:
            self.pane.dead = True
            self.pane.backlog.clear()
        if not self._held() and not self.silent:
            before = self._progress()
            self._output()
            self.drained = self.silent or self._progress() == before
        else:
            self.drained = self.silent and not self.record.waiting

    def _retry_disk(self) -> None:
        if self.record.retry():
            self._say("written; the agent goes on")
            self.record.tell()

    def _signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            numbers = os.read(self.wake, 512)
            now = time.monotonic()
            if signal.SIGHUP in numbers:
                self.ending.begin("hangup", "the pane was closed", now)
            if signal.SIGTERM in numbers:
                self.ending.begin("cancelled", "the session process was told to end", now)
            if signal.SIGINT in numbers:
                self._interrupt()
            if signal.SIGWINCH in numbers:
                self._resize(self.pane.size())

    def _keyboard(self) -> None:
        keys = self.pane.read()
        if keys and not self.program.ended:
            self.typist.typed(keys, time.monotonic())

    def _resize(self, size: tuple[int, int] | None) -> None:
        if size and size != self.size:
            self.size = size
            self.record.resized(*size)
            self.program.resize(*size)

    def _say(self, text: str) -> None:
        """A line in the pane that is not the agent's and not recorded."""
        self.pane.show(f"\r\n[orch: {text}]\r\n".encode())

    # ---- requests ----------------------------------------------------------------------------

    def _open_control(self) -> None:
        try:
            self.control = Control(self.launch.socket, self._handle)
        except OSError as error:
            self._say(f"no input by socket: {error}")

    def _requests(self, control: Control, ready: list[Any], free: list[Any]) -> None:
        for peer in [peer for peer in control.peers if peer in ready]:
            control.receive(peer)
        for peer in [peer for peer in control.peers if peer in free or peer.out]:
            control.flush(peer)
        if control.door in ready:
            control.accept()

    def _handle(self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        now, kind = time.monotonic(), request["type"]
        if kind == "input":
            self._input(request, answer, now)
            return
        if kind == "stop":
            self.ending.begin("cancelled", str(request.get("reason") or "stopped")[:500], now)
        elif kind == "interrupt":
            self._interrupt()
        elif kind == "take":
            self._take(str(request.get("by") or "")[:200])
        elif kind == "resize":
            self._resize(_size(request))
        elif kind != "status":
            if self._asked(request, answer):
                return
            answer({"error": f"unknown request {kind[:40]!r}"})
            return
        answer(self._status())

    def _take(self, by: str) -> None:
        """Somebody works in the session ('' for nobody): what others want typed waits."""
        if by == self.taken_by:
            return
        self.taken_by = by
        self.typist.hold(by)
        if not self.terminal:  # a full-screen program would be written over
            self._say(f"{by} has taken this session" if by else "the session is free again")

    def _input(
        self, request: dict[str, Any], answer: Callable[[dict[str, Any]], None], now: float
    ) -> None:
        def tell(state: str, reason: str) -> None:
            answer({"state": state, "reason": reason})

        text = request.get("text")
        if not isinstance(text, str):
            tell("refused", "the text is missing")
        elif self.program.ended or self.ending.by:
            tell("refused", "the session is ending")
        else:
            own = bool(self.taken_by) and request.get("by") == self.taken_by
            submit = bool(request.get("submit", True))
            self.typist.offer(Entry(text, submit, tell, own=own), now)

    def _status(self) -> dict[str, Any]:
        return {
            "session": self.launch.session,
            "pid": os.getpid(),
            "agent_pid": self.program.pid,
            "size": self.record.size,
            "ending": self.ending.by,
            "taken_by": self.taken_by,
            "held": self.record.problem,
            "columns": self.size[0],
            "rows": self.size[1],
            "started_at": self.started_at,
        }

    # ---- the end -----------------------------------------------------------------------------

    def _launch_failed(self, problem: str) -> None:
        line = f"orch: {problem}\n".encode("utf-8", "replace")
        self.record.add(line)
        self.pane.show(line.replace(b"\n", b"\r\n"))
        self._write("launch_failed", None, None, problem)
        self.pane.show_rest()

    def _finish(self) -> None:
        self.typist.close()
        if self.control:
            self.control.close()
        program, ending = self.program, self.ending
        self._write(ending.by, program.code, program.signal, ending.message)
        self.pane.show_rest()

    def _write(self, by: str, code: int | None, number: int | None, message: str) -> None:
        """Write the results; on a full disk again and again, unless nobody is there any more."""
        began = time.monotonic()
        while True:
            try:
                self.record.close()
                order.finish(
                    self.launch.folder,
                    {
                        "ended_by": by,
                        "exit_code": code,
                        "signal": number,
                        "started_at": self.started_at,
                        "ended_at": time.time(),
                        "size": self.record.size,
                        "message": message,
                        **self._result(),
                    },
                )
            except OSError:
                self.pane.flush()
                if self.pane.dead and time.monotonic() - began > LAST_TRIES:
                    return
                time.sleep(DISK_PAUSE)
            else:
                self.record.tell(ended=True)
                return


def _size(request: dict[str, Any]) -> tuple[int, int] | None:
    columns, rows = request.get("columns"), request.get("rows")
    if isinstance(columns, int) and isinstance(rows, int) and 1 < columns < 2000 > rows > 1:
        return columns, rows
    return None


def _catch_signals() -> int:
    """Let the signals we care for arrive as bytes of a pipe; returns its reading end."""
    wake, ring = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGWINCH, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    return wake
