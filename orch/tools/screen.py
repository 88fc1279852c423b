"""What a terminal shows after some output: rendered by pyte (heavy: import this when needed).

pyte covers the VT102 (pyte.readthedocs.io) and stumbles over what it does not know, so the output
is first reduced to what it does know (`tame`); alternate screens and wide characters at the edge
are added here (xterm's ctlseqs, "DEC Private Mode Set").
"""

from __future__ import annotations

import codecs
import copy
import re
import unicodedata
from collections.abc import Iterable
from typing import Any, NamedTuple

import pyte
from pyte import charsets, modes
from pyte.screens import wcwidth

MOST_BYTES = 256 * 1024
"""The most output that is fed; only the end of a longer one matters to what is shown."""

PORTION = 1024
"""Characters fed at once: so many are lost at most when pyte fails."""

WIDEST, TALLEST = 500, 300
"""The largest screen that is rendered, in columns and rows."""

ALTERNATES = {47, 1047, 1049}
"""Private modes that switch to the alternate screen (xterm)."""

IGNORED_MODES = {3, 5}
"""Private modes that would change the width, or every cell: not worth it."""

USUAL = {modes.DECAWM, modes.IRM}
"""Modes that change how characters are drawn; wrapping alone is the usual state."""

LINES = 2 * TALLEST
"""How many of the last lines can matter when the output never moves the cursor."""

MOVES = re.compile(rb"\x1b(?:\[[0-9;?]*[A-HJLMPSTXZ`adefhlrsu]|[78DEMc(])|[\x0b\x0c\x0e]")
"""What makes earlier output matter: moves, margins, erasing, modes, character sets."""

ENTERS, LEAVES = (b"\x1b[?1049h", b"\x1bc"), re.compile(rb"\x1b\[\?(?:1049|1047|47)l")

STRINGS = r"\x1b[P_^X\]][^\x1b\x07\x18\x1a]*(?:\x07|\x1b\\|[\x18\x1a]|(?=\x1b)|$)"
CSI = r"\x1b\[([\x30-\x3f]*)([\x20-\x2f]*)([\x40-\x7e])"
HALF = r"\x1b\[[\x20-\x3f]*"
CODES = r"\x1b[\x20-\x22\x24-\x27\x2a-\x2f][\x20-\x7e]?|\x1b[<=>]|\x1b(?![\x20-\x7e])"
SEQUENCE = re.compile(f"(?:{CSI})|{STRINGS}|{HALF}|{CODES}")

RUNS = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]")

POSITIONS = "Hfr"
SINGLES = "@ABCDEFGJKLMPX`adeg"
CHOICES = {"J": ("", "0", "1", "2", "3"), "K": ("", "0", "1", "2"), "g": ("", "0", "3")}
COLOURS = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
STYLES = (("bold", 1), ("italics", 3), ("underscore", 4), ("blink", 5), ("reverse", 7))


class Shown(NamedTuple):
    """The lines of a screen from the top, and the cursor's row and column (from 0)."""

    lines: tuple[str, ...]
    row: int
    column: int


class Resize(NamedTuple):
    """From this byte of the output on, the terminal had this size."""

    offset: int
    columns: int
    rows: int


def render(
    data: bytes, start: int, sizes: Iterable[Resize], *, plain: bool = False, ansi: bool = False
) -> Shown:
    """The screen after `data`, which is the output from byte `start` on.

    `sizes` are the terminal's sizes by offset, oldest first. `plain`: a line feed also returns to
    the first column. `ansi` keeps colours and styles as escape sequences.
    """
    begin = safe_start(data, start)
    known = [clamp(size) for size in sizes] or [Resize(0, 80, 24)]
    before = [size for size in known if size.offset <= start + begin]
    later = [size for size in known if size.offset > start + begin]
    now = before[-1] if before else later[0]
    screen = Terminal(now.columns, now.rows, plain)
    at = begin
    for size in later:
        until = min(len(data), max(at, size.offset - start))
        screen.feed(data[at:until])
        screen.resize(size.rows, size.columns)
        at = until
    screen.feed(data[at:])
    lines = _coloured(screen) if ansi else _plain(screen)
    column = min(screen.cursor.x, screen.columns - 1)
    return Shown(tuple(lines), screen.cursor.y, column)


def clamp(size: Resize) -> Resize:
    """The size within what is rendered."""
    columns, rows = max(1, min(size.columns, WIDEST)), max(1, min(size.rows, TALLEST))
    return Resize(size.offset, columns, rows)


def safe_start(data: bytes, start: int) -> int:
    """Where in `data`, the output from byte `start` on, rendering may begin.

    At a moment that cleared everything, if there is one; else, of mere lines, at the last of them;
    else at the very beginning; else after the first line feed or at the first escape: so never
    inside a sequence or a character.
    """
    cleared = max(data.rfind(mark) for mark in ENTERS)
    if cleared >= 0 and not LEAVES.search(data, cleared):
        return cleared
    if not MOVES.search(data):
        lines = data.rsplit(b"\n", LINES)
        if len(lines) > LINES:
            return len(lines[0]) + 1
    if start == 0:
        return 0
    places = [place for place in (data.find(b"\n") + 1, data.find(b"\x1b")) if place > 0]
    if data[:1] == b"\x1b":
        return 0
    return min(places, default=_first_character(data))


def tame(text: str) -> str:
    """The text with only those sequences that pyte understands, in forms it understands."""
    return SEQUENCE.sub(_tamed, text)


def _first_character(data: bytes) -> int:
    for place, byte in enumerate(data[:4]):
        if byte & 0xC0 != 0x80:
            return place
    return 0


def _tamed(match: re.Match[str]) -> str:
    params, between, final = match.groups()
    if final is None or between or params[:1] in ("<", "=", ">"):
        return ""
    if params[:1] == "?":
        return _private(params[1:], final)
    if final == "m":
        style = _style(params)
        return "" if style is None else f"\x1b[{style}m"
    numbers = [number if number.isdigit() else "" for number in params.split(";")]
    if final in POSITIONS:
        return f"\x1b[{';'.join(numbers[:2])}{final}"
    if numbers[0] not in CHOICES.get(final, numbers):
        return ""
    if final in SINGLES:
        return f"\x1b[{numbers[0]}{final}"
    if final in "hl":
        return f"\x1b[{';'.join(number for number in numbers if number == '4')}{final}"
    return {"s": "\x1b7", "u": "\x1b8"}.get(final, "") if not params else ""


def _private(params: str, final: str) -> str:
    modes = [mode for mode in params.split(";") if mode.isdigit()]
    modes = [mode for mode in modes if int(mode) not in IGNORED_MODES]
    if final not in "hl" or not modes:
        return ""
    return f"\x1b[?{';'.join(modes)}{final}"


def _style(params: str) -> str | None:
    """The styles as numbers with semicolons; None when none is left (ISO 8613-6 has colons)."""
    if ":" not in params and "58" not in params:
        return params if re.fullmatch(r"[0-9;]*", params) else None
    told: list[str] = []
    tokens = params.split(";")
    while tokens:
        token = tokens.pop(0)
        if token in ("38", "48", "58"):
            taken = 4 if tokens[:1] == ["2"] else 2
            token, tokens = ":".join([token, *tokens[:taken]]), tokens[taken:]
        told += _with_colons(token.split(":")) if ":" in token else [token]
    return ";".join(told) if told else None


def _with_colons(parts: list[str]) -> list[str]:
    """One style of several parts: a colour, or a kind of underline; else nothing."""
    head, kind, values = parts[0], parts[1], [part for part in parts[2:] if part.isdigit()]
    if head in ("38", "48") and kind == "2" and len(values) >= 3:
        return [head, "2", *values[-3:]]
    if head in ("38", "48") and kind == "5" and values:
        return [head, "5", values[-1]]
    if head == "4":
        return ["24" if kind == "0" else "4"]
    return []


class Terminal(pyte.Screen):
    """pyte's screen with alternate screens and careful drawing."""

    def __init__(self, columns: int, rows: int, plain: bool) -> None:
        self.plain = plain
        self.known: dict[Any, dict[str, Any]] = {}
        self.main: tuple[Any, Any] | None = None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        super().__init__(columns, rows)
        self.stream = pyte.Stream(self)
        self.stream.use_utf8 = False  # so that line-drawing character sets work

    def feed(self, data: bytes) -> None:
        """Take output; what pyte cannot take in spite of all is passed over."""
        text = tame(self.decoder.decode(data))
        for begin in range(0, len(text), PORTION):
            try:
                self.stream.feed(text[begin : begin + PORTION])
            except (TypeError, ValueError, LookupError, NameError):
                continue

    def reset(self) -> None:
        """Everything as at the start (RIS)."""
        self.main = None
        super().reset()

    def linefeed(self) -> None:
        """The next line; of a plain terminal, from its first column."""
        super().linefeed()
        if self.plain:
            self.carriage_return()

    def draw(self, data: str) -> None:
        """Draw characters; those without a width are left out, wide ones kept whole."""
        if self.mode & USUAL != {modes.DECAWM} or self._translates():
            for run in RUNS.findall(data):
                self._draw_run(run)
            return
        for run in RUNS.findall(data):
            if run.isascii() and run.isprintable():
                self._draw_plain(run)
            else:
                self._draw_run(run)

    def set_mode(self, *wanted: int, **kind: Any) -> None:
        """Switch modes on; the alternate screens begin empty."""
        if kind.get("private") and ALTERNATES.intersection(wanted) and self.main is None:
            lines = {row: copy.copy(line) for row, line in self.buffer.items()}
            self.main = (lines, copy.copy(self.cursor))
            self.erase_in_display(2)
        super().set_mode(*wanted, **kind)

    def reset_mode(self, *wanted: int, **kind: Any) -> None:
        """Switch modes off; after an alternate screen the main one is back, if it is known."""
        if kind.get("private") and ALTERNATES.intersection(wanted):
            self.erase_in_display(2)
            if self.main is not None:
                lines, self.cursor = self.main
                self.buffer.update(lines)
                self.main = None
                self.ensure_vbounds(use_margins=False)
                self.ensure_hbounds()
        super().reset_mode(*wanted, **kind)

    def _translates(self) -> bool:
        return (self.g1_charset if self.charset else self.g0_charset) is not charsets.LAT1_MAP

    def _draw_plain(self, run: str) -> None:
        """What pyte's own method does with characters of width one, several times as quickly."""
        cursor = self.cursor
        known = self.known.setdefault(cursor.attrs, {})
        while run:
            if cursor.x >= self.columns:
                self.carriage_return()
                self.linefeed()
            line = self.buffer[cursor.y]
            part, run = run[: self.columns - cursor.x], run[self.columns - cursor.x :]
            for column, char in enumerate(part, cursor.x):
                cell = known.get(char)
                if cell is None:
                    cell = known[char] = cursor.attrs._replace(data=char)
                line[column] = cell
            cursor.x += len(part)

    def _draw_run(self, run: str) -> None:
        if not run.isascii() or not run.isprintable():
            width = wcwidth(run)
            if width < 1 and not unicodedata.combining(run):
                return  # it has no place of its own
            wraps = modes.DECAWM in self.mode
            if width == 2 and wraps and self.cursor.x == self.columns - 1:
                self.cursor.x = self.columns
        super().draw(run)


def _cells(screen: Terminal, row: int) -> list[tuple[str, Any]]:
    """A row's cells with the text of each; halves of overwritten wide characters are blank."""
    line = screen.buffer[row]
    cells = [line[column] for column in range(screen.columns)]
    found = []
    for place, cell in enumerate(cells):
        text = cell.data
        if text and wcwidth(text[0]) == 2:
            follows = cells[place + 1].data if place + 1 < len(cells) else ""
            text = text if follows == "" else " "
        elif not text:
            before = cells[place - 1].data if place else ""
            text = "" if before and wcwidth(before[0]) == 2 else " "
        found.append((text, cell))
    return found


def _plain(screen: Terminal) -> list[str]:
    rows = range(screen.lines)
    return ["".join(text for text, _ in _cells(screen, row)).rstrip() for row in rows]


def _coloured(screen: Terminal) -> list[str]:
    lines = []
    for row in range(screen.lines):
        cells = _cells(screen, row)
        while cells and cells[-1][1] == screen.default_char:
            cells.pop()
        parts, style = [], ""
        for text, cell in cells:
            wanted = _codes(cell)
            if wanted != style:
                parts.append(f"\x1b[0{wanted}m")
                style = wanted
            parts.append(text)
        lines.append("".join(parts) + ("\x1b[0m" if style else ""))
    return lines


def _codes(cell: Any) -> str:
    """The cell's look as parameters after `0`, each with its semicolon; '' for the usual look."""
    codes = [str(code) for name, code in STYLES if getattr(cell, name)]
    codes += ["9"] if cell.strikethrough else []
    codes += _colour(cell.fg, 30) + _colour(cell.bg, 40)
    return "".join(f";{code}" for code in codes)


def _colour(name: str, base: int) -> list[str]:
    if name == "default":
        return []
    if name in COLOURS:
        return [str(base + COLOURS.index(name))]
    bright = name.removeprefix("bright").replace("yellow", "brown")
    if bright in COLOURS:
        return [str(base + 60 + COLOURS.index(bright))]
    if re.fullmatch(r"[0-9a-f]{6}", name):
        red, green, blue = (int(name[place : place + 2], 16) for place in (0, 2, 4))
        return [f"{base + 8};2;{red};{green};{blue}"]
    return []
