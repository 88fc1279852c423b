"""The pane: the terminal that shows the session, and the keyboard of whoever attached to it."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
import time

BACKLOG = 65536
"""Bytes that may wait for a slow pane; beyond them the agent's output is held back."""


class Pane:
    """Standard input and output of the session process. `dead` once the terminal is gone."""

    def __init__(self, raw: bool) -> None:
        self.keyboard = os.isatty(0)
        self.screen = os.isatty(1)
        self.dead = False
        self.backlog = bytearray()
        with contextlib.suppress(OSError):
            os.set_blocking(1, False)
        if self.keyboard:
            os.set_blocking(0, False)
            with contextlib.suppress(termios.error):
                _set_modes(raw)

    def size(self) -> tuple[int, int] | None:
        """Columns and rows of the pane; None when it is no terminal or has no size."""
        if not self.screen:
            return None
        try:
            rows, columns = termios.tcgetwinsize(1)
        except termios.error:
            return None
        return (columns, rows) if columns and rows else None

    def show(self, data: bytes) -> None:
        """Show bytes, as far as the pane takes them now; the rest waits."""
        if not self.dead:
            self.backlog += data
            self.flush()

    @property
    def slow(self) -> bool:
        """True while so much waits that no more should be read from the agent."""
        return len(self.backlog) >= BACKLOG

    def flush(self) -> None:
        """Write what waits; notes when the pane is gone."""
        while self.backlog:
            try:
                done = os.write(1, memoryview(self.backlog)[:BACKLOG])
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EPIPE, errno.ENXIO):
                    raise
                self.dead = True
                self.backlog.clear()
                return
            del self.backlog[:done]

    def show_rest(self, seconds: float = 1.0) -> None:
        """Write what waits, for so long as it may take."""
        deadline = time.monotonic() + seconds
        while self.backlog and time.monotonic() < deadline:
            select.select([], [1], [], 0.1)
            self.flush()

    def read(self) -> bytes:
        """What was typed; control-D of a cooked keyboard comes as its byte. Notes a dead pane."""
        try:
            data = os.read(0, 4096)
        except BlockingIOError:
            return b""
        except OSError:
            self.dead = True
            return b""
        if data:
            return data
        try:
            termios.tcgetattr(0)
        except termios.error:
            self.dead = True
            return b""
        return b"\x04"


def _set_modes(raw: bool) -> None:
    """Raw: every key goes to the agent. Else: lines, echoed; only control-C has a meaning."""
    modes = termios.tcgetattr(0)
    modes[0] &= ~(termios.IXON | termios.IXOFF)
    if raw:
        modes[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.ISTRIP)
        modes[0] &= ~(termios.BRKINT | termios.PARMRK)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        modes[6][termios.VMIN], modes[6][termios.VTIME] = 1, 0
    else:
        never = bytes([os.fpathconf(0, "PC_VDISABLE") & 0xFF])
        modes[6][termios.VSUSP] = modes[6][termios.VQUIT] = never
    termios.tcsetattr(0, termios.TCSANOW, modes)
