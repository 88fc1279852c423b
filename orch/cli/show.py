"""The only printer of the command line: tables, times, sizes, JSON, errors."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TextIO

import msgspec

COLOURS = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}

STATES = {
    "new": "blue",
    "routed": "blue",
    "in_progress": "cyan",
    "in_review": "magenta",
    "done": "green",
    "blocked": "red",
    "needs_review": "yellow",
    "ready": "green",
    "starting": "blue",
    "stopping": "yellow",
    "backoff": "yellow",
    "failing": "red",
    "disabled": "dim",
}
"""The colour of each status of a task and each state of a service."""


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def line(text: str = "") -> None:
    """Print one line on stdout."""
    if sys.stdout is not None:  # closed by `>&-`
        sys.stdout.write(text + "\n")


def write(text: str) -> None:
    """Print text as it is, at once: for streams."""
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


def flush() -> None:
    """Have everything written; raises `BrokenPipeError` when the reader has left."""
    if sys.stdout is not None:
        sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Print bytes as they are, at once: what a session wrote."""
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Tell something beside the result, on stderr."""
    if sys.stderr is not None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def result(as_json: bool, document: Any, text: str) -> None:
    """Print a command's result: the document with `--json`, the text without."""
    if as_json:
        json(document)
    elif text:
        line(text)


def json(document: Any) -> None:
    """Print one JSON document: indented for eyes, on one line for programs."""
    data = msgspec.json.encode(document)
    if is_terminal(sys.stdout):
        data = msgspec.json.format(data, indent=2)
    line(data.decode())


def json_list(items: Iterable[bytes]) -> None:
    """Print encoded documents as one JSON list, piece by piece."""
    pretty = is_terminal(sys.stdout)
    lead = "[\n" if pretty else "["
    for item in items:
        text = msgspec.json.format(item, indent=2) if pretty else item
        if sys.stdout is not None:
            sys.stdout.write(lead + text.decode())
        lead = ",\n" if pretty else ","
    line("[]" if lead[0] == "[" else "\n]" if pretty else "]")


def json_line(document: Any) -> None:
    """Print one line of a JSON stream, at once."""
    write(msgspec.json.encode(document).decode() + "\n")


def error(as_json: bool, kind: str, message: str, hint: str = "") -> None:
    """Print an error: a document on stdout with `--json`, `error:` and `hint:` on stderr."""
    if as_json:
        json({"error": {"class": kind, "message": message, "hint": hint}})
        flush()
        return
    note(f"{paint('error:', 'red', sys.stderr)} {clean(message, lines=True)}")
    if hint:
        note(f"{paint('hint:', 'cyan', sys.stderr)} {clean(hint, lines=True)}")


def table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, grow: int = -1, states: int = -1
) -> None:
    """Print aligned columns, those of the column `states` in the colours of `STATES`.

    On a terminal the column `grow` (the last unless named) is cut so that rows fit its width.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [
        max([width(head), *(width(row[i]) for row in cells)]) for i, head in enumerate(headers)
    ]
    if is_terminal(sys.stdout):
        spare = terminal_width() - sum(widths) - 2 * (len(widths) - 1)
        widths[grow] = max(widths[grow] + min(spare, 0), 12)
    line(paint(_row(headers, widths), "bold"))
    for row in cells:
        padded = [pad(cell, columns) for cell, columns in zip(row, widths, strict=True)]
        if states >= 0:
            padded[states] = paint(padded[states], STATES.get(row[states], ""))
        line("  ".join(padded).rstrip())


def pairs(found: Iterable[tuple[str, str]]) -> None:
    """Print labels and values under each other; pairs without a value are left out."""
    kept = [(label, value) for label, value in found if value]
    longest = max((width(label) for label, _ in kept), default=0)
    for label, value in kept:
        first, *more = clean(value, lines=True).split("\n")
        line(f"{paint(pad(label, longest), 'dim')}  {state(first)}".rstrip())
        for rest in more:
            line(f"{' ' * longest}  {rest}".rstrip())


def paint(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in a colour where the stream (stdout unless named) is a terminal that wants it."""
    if colour not in COLOURS or not text or not colourful(stream or sys.stdout):
        return text
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def state(name: str) -> str:
    """A status or state in its colour."""
    return paint(name, STATES.get(name, ""))


def colourful(stream: TextIO | None) -> bool:
    """Whether to colour what goes to the stream: a terminal, and NO_COLOR unset (no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return is_terminal(stream)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether the stream is open and a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


@cache
def terminal_width() -> int:
    """Columns of the terminal on stdout; 80 when it does not say."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def clean(text: str, *, lines: bool = False) -> str:
    """The text with control characters made visible, and line breaks as spaces unless `lines`.

    Titles and messages come from outside: they must not move the reader's cursor.
    """
    if text.isprintable():
        return text
    return "".join(char if lines and char == "\n" else _shown(char) for char in text)


def _shown(char: str) -> str:
    if char.isprintable() or char == "\u200d":
        return char
    if char in "\n\r\t\u2028\u2029":
        return " "
    return "�" if char < " " else char.encode("unicode_escape", "surrogatepass").decode()


def width(text: str) -> int:
    """Columns the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return max(_wcswidth(text), 0)


def pad(text: str, columns: int) -> str:
    """The text filled with spaces, or cut with an ellipsis, to so many columns."""
    taken = width(text)
    if taken <= columns:
        return text + " " * (columns - taken)
    kept = ""
    used = 0
    for char in text:
        used += width(char)
        if used > columns - 1:
            break
        kept += char
    kept += "…"
    return kept + " " * (columns - width(kept))


def hanging(lead: str, parts: Iterable[tuple[str, str]], indent: int = -1, rest: str = "") -> None:
    """Print `lead` and the parts (text, colour) behind it. On a terminal they are wrapped between
    words, further lines indented by `indent` columns (the lead's own unless given), or begun by
    `rest`."""
    lines = [(part, colour) for part, colour in parts if part]
    if not is_terminal(sys.stdout):
        line(" ".join([lead, *(part for part, _ in lines)]).rstrip())
        return
    begin = width(_plain(lead)) + 1 if lead else 0
    indent = width(rest) + 1 if rest else begin if indent < 0 else indent
    row, used = [lead] if lead else [], begin
    for part, colour in lines:
        for word in _pieces(part, terminal_width() - indent):
            if used + width(word) > terminal_width() and used > indent:
                line(" ".join(row).rstrip())
                row, used = [rest or " " * (indent - 1)] if indent else [], indent
            row.append(paint(word, colour))
            used += width(word) + 1
    line(" ".join(row).rstrip())


def cut(text: str, used: int = 0) -> str:
    """Plain text; on a terminal, of whose line `used` columns are taken, cut so that it fits."""
    room = max(terminal_width() - used, 12)
    return pad(text, room) if is_terminal(sys.stdout) and width(text) > room else text


def _pieces(text: str, most: int) -> Iterator[str]:
    """The words of a text; one that is wider than `most` columns in pieces."""
    for word in text.split(" "):
        rest = word
        while width(rest) > most:
            piece = ""
            while width(piece + rest[0]) <= most or not piece:
                piece, rest = piece + rest[0], rest[1:]
            yield piece
        yield rest


def _plain(text: str) -> str:
    """The text without our own colours."""
    return text if "\x1b" not in text else _COLOUR.sub("", text)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(pad, cells, widths)).rstrip()


def _wcswidth(text: str) -> int:
    from wcwidth import wcswidth  # noqa: PLC0415 - its tables are large, most text is ASCII

    return int(wcswidth(text))


def rfc3339(at: float | None) -> str | None:
    """Seconds since the epoch as `2024-05-01T12:00:00.123Z` (RFC 3339); None for no time."""
    if not at:
        return None
    millis = round(at * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000))
    return f"{whole}.{millis % 1000:03d}Z"


def moment(at: float | None) -> str:
    """Seconds since the epoch as local date and time for people; '' for no time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else ""


def ago(at: float | None, now: float) -> str:
    """How long ago `at` was: `3m`; '' for no time."""
    return duration(max(now - at, 0.0)) if at else ""


def duration(seconds: float) -> str:
    """Seconds in at most two units: `850ms`, `4.2s`, `3m 5s`, `2h 10m`, `5d 3h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for unit, size, lesser, lesser_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
        ("m", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // lesser_size
            return f"{whole // size}{unit} {rest}{lesser}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def size(count: int) -> str:
    """Bytes for people: `512 B`, `1.5 KiB`, `27 MiB`."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024 or unit == "TiB":
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    raise AssertionError("no such size")


def money(usd: float | None) -> str:
    """US dollars for people; '' when unknown."""
    return "" if usd is None else f"${usd:.2f}"
