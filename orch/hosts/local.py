"""Sessions on this machine: tmux panes that run session processes."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from orch.errors import Refused, ToolFailed, Unknown
from orch.hosts import Place, wire
from orch.paths import Home
from orch.session.launch import (
    EXIT,
    LOG,
    RUNNER,
    Result,
    State,
    read_launch,
    read_result,
    read_state,
)
from orch.tools.process import end, marked, started
from orch.tools.tmux import Tmux

STOP_SECONDS = 9.0
"""How long a session process may take to end its agent: interrupt, terminate, kill, sweep."""

INPUT_SECONDS = 20.0
"""How long typing may take until its truth is known."""

ANSWER_SECONDS = 5.0
"""How long a session process may take to pass on an answer."""

OPENING_SECONDS = 2.0
"""How long a session process may take to open its socket, or to answer on it."""

HANDOVER_SECONDS = 5.0
"""How long an ended attempt's pane may take to leave its session's name to the next attempt."""

LOOK = 0.02
"""Seconds between two looks while waiting."""


class Local:
    """The `Host` of this machine."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.tmux = Tmux(home.tmux)

    def start(self, session: str, folder: Place, cwd: Place) -> None:
        """See `Host.start`. An ended attempt still leaving its pane is waited for."""
        if (Path(folder) / EXIT).exists():
            return  # it has run already; it is never run twice
        argv = ["/bin/sh", str(Path(folder) / RUNNER)]
        deadline = time.monotonic() + HANDOVER_SECONDS
        while True:
            try:
                self.tmux.new_session(session, argv, str(cwd))
            except ToolFailed as refused:
                if "duplicate session" not in refused.message:
                    raise
            else:
                return
            if self._runs(session, Path(folder)):
                return
            if time.monotonic() > deadline:
                raise Refused(
                    f"the tmux session {session} runs something else",
                    f"look at it: {' '.join(self.tmux.attach_command(session))}",
                )
            time.sleep(LOOK)

    def alive(self) -> dict[str, int]:
        """See `Host.alive`."""
        return self.tmux.sessions()

    def stop(self, session: str, folder: Place, reason: str = "") -> None:
        """See `Host.stop`: the session process is asked, then the pane killed, then all swept."""
        folder = Path(folder)
        launch = read_launch(folder)
        if launch is None:
            folder = self._folder(session) or folder
            launch = read_launch(folder)
        pane = self.alive().get(session)
        if pane is not None and (launch is None or self._runs(session, folder)):
            self._end(session, pane, reason or "stopped")
        left = self.sweep(launch.run) if launch else []
        if left:
            raise Unknown(f"could not end the processes {left} of {session}")

    def size(self, folder: Place, name: str = LOG) -> int:
        """See `Host.size`."""
        try:
            return os.stat(f"{folder}/{name}").st_size  # noqa: PTH116 - asked at every write
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise Unknown(f"cannot look at {folder}/{name}: {error.strerror}") from error

    def read(self, folder: Place, offset: int, limit: int, name: str = LOG) -> bytes:
        """See `Host.read`."""
        try:
            log = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(log, limit, offset)
            finally:
                os.close(log)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise Unknown(f"cannot read {folder}/{name}: {error.strerror}") from error

    def stamp(self, folder: Place, name: str) -> int:
        """See `Host.stamp`."""
        try:
            return os.stat(f"{folder}/{name}").st_mtime_ns  # noqa: PTH116 - asked each second
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise Unknown(f"cannot look at {folder}/{name}: {error.strerror}") from error

    def state(self, folder: Place) -> State | None:
        """See `Host.state`."""
        return read_state(folder)

    def finished(self, folder: Place) -> Result | None:
        """See `Host.finished`."""
        return read_result(folder)

    def send(
        self, session: str, text: str, submit: bool = True, key: str = "", by: str = ""
    ) -> tuple[str, str]:
        """See `Host.send`."""
        request = {"type": "input", "text": text, "submit": submit, "key": key, "by": by}
        return self._told(session, request)

    def answer(
        self,
        session: str,
        question: str,
        allowed: bool,
        reason: str = "",
        key: str = "",
        by: str = "",
    ) -> tuple[str, str]:
        """See `Host.answer`."""
        kind = "approve" if allowed else "deny"
        request = {"type": kind, "question": question, "reason": reason, "key": key, "by": by}
        return self._told(session, request, ANSWER_SECONDS)

    def limit(self, session: str, budget: dict[str, Any]) -> bool:
        """See `Host.limit`."""
        return self._told(session, {"type": "budget", "budget": budget})[0] == "submitted"

    def take(self, session: str, by: str) -> bool:
        """See `Host.take`."""
        return self._heard(session, {"type": "take", "by": by})

    def interrupt(self, session: str) -> bool:
        """See `Host.interrupt`."""
        return self._heard(session, {"type": "interrupt"})

    def _heard(self, session: str, request: dict[str, Any]) -> bool:
        """Tell a session process something; false when nobody listens there."""
        try:
            wire.ask(self.home.session_socket(session), request, OPENING_SECONDS)
        except wire.Deaf:
            return False
        return True

    def _told(
        self, session: str, request: dict[str, Any], seconds: float = INPUT_SECONDS
    ) -> tuple[str, str]:
        """Ask a session process, which may be about to open its socket."""
        deadline = time.monotonic() + OPENING_SECONDS
        while True:
            try:
                reply = wire.ask(self.home.session_socket(session), request, seconds)
                break
            except wire.Deaf:
                if session not in self.alive():
                    return "refused", "the session has ended, or has not begun"
                if time.monotonic() > deadline:
                    return "refused", "the session takes no input"
                time.sleep(LOOK)
        if "error" in reply:
            return "refused", str(reply["error"])
        return str(reply.get("state", "refused")), str(reply.get("reason", ""))

    def sweep(self, run: str) -> list[int]:
        """See `Host.sweep`."""
        if not run:
            return []
        left: list[int] = []
        for _ in range(3):  # what is forked while we look is found by the next look
            found = marked(run)
            if not found:
                return []
            left = end(found)
        return left

    def _end(self, session: str, pane: int, reason: str) -> None:
        """End a pane's process: ask it, close its terminal, kill it, each with time to obey."""
        born = started(pane)
        if self._asked_to_stop(session, pane, reason):
            _left(pane, born, STOP_SECONDS)
        self.tmux.kill_session(session)  # its pane's process has mostly left by now
        if not _left(pane, born, STOP_SECONDS):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pane, signal.SIGKILL)

    def _asked_to_stop(self, session: str, pane: int, reason: str) -> bool:
        """Ask the session process, which may be about to open its socket; false if it is deaf."""
        request = {"type": "stop", "reason": reason}
        deadline = time.monotonic() + OPENING_SECONDS
        while time.monotonic() < deadline and started(pane) is not None:
            try:
                wire.ask(self.home.session_socket(session), request, OPENING_SECONDS)
            except wire.Deaf:
                time.sleep(LOOK)
            except Unknown:
                return False
            else:
                return True
        return False

    def _runs(self, session: str, folder: Path) -> bool:
        """Whether the pane of that name runs the attempt of this folder."""
        return self._folder(session) == folder

    def _folder(self, session: str) -> Path | None:
        """The attempt's folder that the pane of that name runs; None without one.

        A pane that has only just begun shows tmux's own words for a moment: that is waited out.
        """
        deadline = time.monotonic() + OPENING_SECONDS
        while (pane := self.alive().get(session)) is not None:
            words = _words(pane)
            last = Path(words[-1]) if words else Path()
            if last.name == RUNNER:
                return last.parent
            if "orch.session" in words:
                return last
            if time.monotonic() > deadline:
                return None
            time.sleep(LOOK)
        return None


def _words(pid: int) -> list[str]:
    """The command line of a process; nothing once it has ended. Raises `Unknown`."""
    try:
        return psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
    except psutil.Error as error:
        raise Unknown(f"cannot look at process {pid}: {error}") from error


def _left(pid: int, born: float | None, seconds: float) -> bool:
    """Whether a process has left, waiting so long for it."""
    deadline = time.monotonic() + seconds
    while born is not None and started(pid) == born:
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK)
    return True
