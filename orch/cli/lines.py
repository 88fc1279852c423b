"""Bytes of sessions as text for readers: whole characters, whole lines, one session per row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_LINE = 8192
"""Characters of a line that are held back, waiting for its end."""

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control and other strings
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences, colours among them
    r"|\x1b[ -/]*[0-~]"  # the rest
)
"""Escape sequences of a terminal (ECMA-48)."""

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]*m)")


class Piece(NamedTuple):
    """A range of output as text; `exact` holds its bytes where they are not UTF-8."""

    offset: int
    text: str
    exact: bytes | None = None


class Characters:
    """One session's byte ranges as text. A character cut by a range's end waits for its rest."""

    def __init__(self) -> None:
        self._offset = 0
        self._held = b""

    def add(self, offset: int, data: bytes) -> Iterator[Piece]:
        """The text of these bytes; after a gap what was held back comes first, as it is."""
        if self._held and offset != self._offset + len(self._held):
            yield from self.rest()
        if not self._held:
            self._offset = offset
        data = self._held + data
        whole = len(data) - cut_bytes(data)
        at, self._offset, self._held = self._offset, self._offset + whole, data[whole:]
        if whole:
            yield _piece(at, data[:whole])

    def rest(self) -> Iterator[Piece]:
        """What is still held back: no more will come."""
        held, self._held = self._held, b""
        if held:
            yield _piece(self._offset, held)


class Rows:
    """Rows of a screen that many sessions share: each row belongs to one and begins with its name.

    Lines are shown when they end. What waits longer is shown by `flush`, and its session goes on in
    that row as long as no other has written.
    """

    def __init__(self, colours: bool) -> None:
        self._colours = colours
        self._waiting: dict[str, str] = {}
        self._open = ""

    def add(self, prefix: str, text: str) -> str:
        """What to print now that a session has said `text`."""
        *lines, rest = (self._waiting.pop(prefix, "") + text).split("\n")
        printed = "".join(self._row(prefix, line) + self._close() for line in lines)
        if len(rest) > LONGEST_LINE:
            printed += self._row(prefix, rest)
        elif rest:
            self._waiting[prefix] = rest
        return printed

    def flush(self) -> str:
        """Print the unfinished lines: nothing has come for a while."""
        waiting, self._waiting = self._waiting, {}
        return "".join(self._row(prefix, text) for prefix, text in waiting.items() if text != "\r")

    def whole(self, line: str) -> str:
        """A row of its own, after whatever row is open."""
        return f"{self._close()}{line}\n"

    def finish(self, prefix: str) -> str:
        """The session has ended: its unfinished line ends too."""
        rest = self._waiting.pop(prefix, "")
        printed = self._row(prefix, rest) if rest else ""
        return printed + (self._close() if self._open == prefix else "")

    def _row(self, prefix: str, text: str) -> str:
        begun = self._open == prefix
        lead = "" if begun else f"{self._close()}{prefix}"
        self._open = prefix
        return lead + plain(text, self._colours)

    def _close(self) -> str:
        end = "\n" if self._open else ""
        self._open = ""
        return end


def plain(line: str, colours: bool = False) -> str:
    """A line as it last stood on the terminal: nothing moves the cursor, colours only if wanted."""
    line = line.rstrip("\r")
    line = line.rpartition("\r")[2]  # a progress bar redraws its line
    coloured = bool(colours and _COLOUR.search(line))
    line = _ESCAPES.sub(_keep_colour if coloured else "", line)
    line = _CONTROLS.sub("", line)
    return f"{line}\x1b[0m" if coloured else line


def cut_bytes(data: bytes) -> int:
    """How many bytes at the end begin a UTF-8 character that is not complete (0 to 3)."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if 0xF0 <= byte < 0xF5 else 3 if 0xE0 <= byte < 0xF0 else 2
        return back if 0xC2 <= byte < 0xF5 and needed > back else 0
    return 0


def _piece(offset: int, data: bytes) -> Piece:
    try:
        return Piece(offset, data.decode())
    except UnicodeDecodeError:
        return Piece(offset, data.decode("utf-8", "replace"), data)


def _keep_colour(found: re.Match[str]) -> str:
    return found[0] if _COLOUR.fullmatch(found[0]) else ""
