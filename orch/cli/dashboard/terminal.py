"""The terminal as a screen: taken over and given back whole, painted only where it changed."""

from __future__ import annotations

import contextlib
import os
import termios
import tty
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Span, Text

from orch.cli.dashboard.draw import Frame

ENTER = "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[?2004h\x1b[2J"
"""Another screen, no wrapping at its edge, no cursor, pastes told apart from keys."""

LEAVE = "\x1b[0m\x1b[2J\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l"

"""All of it undone. Cleared first: after a resize tmux leaves some of it behind."""

WRITE_BYTES = 1 << 16


class Terminal:
    """The terminal of stdin and stdout, while a program has the whole of it."""

    def __init__(self) -> None:
        self.input, self.output = 0, 1
        self._console = Console(
            force_terminal=True, color_system="standard", highlight=False, markup=False,
            emoji=False, width=10_000, legacy_windows=False,
        )  # fmt: skip
        self._before: list[Any] | None = None
        self._painted: dict[tuple[int, int], str] | None = None
        self._known: dict[tuple[str, tuple[Span, ...]], str] = {}

    def size(self) -> tuple[int, int]:
        """Columns and rows; what the variables say is not asked, they know of no resize."""
        try:
            seen = os.get_terminal_size(self.output)
        except OSError:
            return 80, 24
        return seen.columns or 80, seen.lines or 24

    def take(self) -> None:
        """Take the terminal over."""
        self._before = termios.tcgetattr(self.input)
        tty.setraw(self.input, termios.TCSADRAIN)
        self.forget()
        self._write(ENTER)

    def give_back(self) -> None:
        """Leave the terminal as it was found; nothing happens when it was not taken."""
        before, self._before = self._before, None
        if before is None:
            return
        with contextlib.suppress(OSError, termios.error):  # it is gone, with nobody before it
            self._write(LEAVE)
            termios.tcsetattr(self.input, termios.TCSADRAIN, before)

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """Give the terminal to another program for a while."""
        self.give_back()
        try:
            yield
        finally:
            self.take()

    def forget(self) -> None:
        """Whatever is on the screen: paint all of it the next time."""
        self._painted = None

    def read(self) -> bytes:
        """What was typed; nothing when there is nothing. Raises `EOFError` without a terminal."""
        try:
            data = os.read(self.input, 65536)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        return data

    def paint(self, frame: Frame) -> None:
        """Show a frame: each line that changed, at its own place, so that none moves another."""
        known, self._known = self._known, {}
        seen = {}
        for block in frame.blocks:
            for n, line in enumerate(block.lines):
                key = line.plain, (Span(0, 0, line.style), *line.spans)
                shown = known.get(key) or self._ansi(line)
                self._known[key] = seen[block.row + n, block.column] = shown
        old, out = self._painted, [""]
        if old is None or old.keys() != seen.keys():
            old, out = {}, ["\x1b[2J"]
        for (row, column), shown in seen.items():
            if old.get((row, column)) != shown:
                out.append(f"\x1b[{row + 1};{column + 1}H{shown}\x1b[0m")
        self._painted = seen
        caret = frame.caret
        cursor = f"\x1b[{caret[0] + 1};{caret[1] + 1}H\x1b[?25h" if caret else ""
        self._write("\x1b[?25l" + "".join(out) + cursor)

    def _ansi(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line, end="", soft_wrap=True)
        return captured.get()

    def _write(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "replace"))
        while data:
            data = data[os.write(self.output, data[:WRITE_BYTES]) :]
