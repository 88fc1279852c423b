"""`orch log`: the services' JSON logs, readable, merged by time, followed through rotation."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from orch.cli import complete, show
from orch.cli.app import App
from orch.errors import NotFound

LEVELS = ("debug", "info", "warning", "error", "critical")
COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "red"}
BLOCK = 65536
INDENT = 13
"""Columns that wrapped lines stand in: below what comes after the clock."""

PERIOD = 0.2
"""Seconds between two looks at the files while following."""

_decoder = msgspec.json.Decoder()


class LogLine(msgspec.Struct, frozen=True):
    """One line of a log: what it says as fields, and the file it stands in."""

    time: str
    level: str
    service: str
    message: str
    extra: dict[str, Any]


@click.command()
@click.argument("words", nargs=-1, metavar="[NAME] [N|watch]", shell_complete=complete.services)
@click.option("-n", "count", type=click.IntRange(0), default=None, help="So many lines (100).")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="This one and above.")
@click.option("--raw", is_flag=True, help="What the service wrote to stdout and stderr instead.")
@click.pass_obj
def log(
    app: App, words: tuple[str, ...], count: int | None, follow: bool, level: str, raw: bool
) -> None:
    """Read the services' logs: the last lines of all, or of the one called NAME.

    \b
    Example:
      orch log engine -n 20 --level warning
      orch log -f
    """
    name = ""
    for word in words:
        if word.isdigit():
            count = int(word)
        elif word == "watch":
            follow = True
        elif not name:
            name = word
        else:
            raise click.UsageError(f"one name only, not {name!r} and {word!r}")
    tails = [Tail(path) for path in log_files(app.home.logs, name, ".out" if raw else ".log")]
    wanted = 100 if count is None else count
    printer = Printer(level, app.json)
    _print_last(tails, wanted, printer)
    while follow:
        for tail in tails:
            for text in tail.added():
                printer.print(read_line(text, tail.name))
        time.sleep(PERIOD)


def log_files(folder: Path, name: str, suffix: str) -> list[Path]:
    """The log called `name`, or all of them; raises `NotFound`, naming those there are."""
    there = sorted(path for path in folder.glob(f"*{suffix}")) if folder.is_dir() else []
    if not name:
        return there
    chosen = [path for path in there if path.stem == name]
    if not chosen:
        names = ", ".join(path.stem for path in there) or "none"
        raise NotFound(f"there is no log called {name!r}", f"there are: {names}")
    return chosen


class Tail:
    """One file's last lines, then what is added to it, also after it was rotated away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self._inode = 0
        self._at = 0
        self._rest = b""

    def last(self, count: int) -> list[str]:
        """The last `count` whole lines, oldest first; following goes on after them."""
        try:
            with self.path.open("rb") as file:
                size = self._at = file.seek(0, os.SEEK_END)
                self._inode = os.fstat(file.fileno()).st_ino
                data = b""
                while size > 0 and data.count(b"\n") <= count:
                    step = min(BLOCK, size)
                    size -= step
                    file.seek(size)
                    data = file.read(step) + data
        except FileNotFoundError:
            return []
        whole, _, self._rest = data.rpartition(b"\n")
        lines = whole.decode("utf-8", "replace").split("\n") if whole else []
        return lines[-count:] if count else []

    def added(self) -> Iterator[str]:
        """Whole lines that came since; a file that was replaced is read from its beginning."""
        try:
            with self.path.open("rb") as file:
                seen = os.fstat(file.fileno())
                if seen.st_ino != self._inode or seen.st_size < self._at:
                    self._inode, self._at, self._rest = seen.st_ino, 0, b""
                file.seek(self._at)
                while block := file.read(BLOCK):
                    self._at += len(block)
                    *whole, self._rest = (self._rest + block).split(b"\n")
                    yield from (one.decode("utf-8", "replace") for one in whole)
        except FileNotFoundError:
            return


def read_line(text: str, name: str) -> LogLine:
    """A line as fields; one that is no JSON object is all message."""
    try:
        found = _decoder.decode(text)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        return LogLine("", "", name, text, {})
    taken = {key: str(found.pop(key, "")) for key in ("time", "level", "service", "message")}
    return LogLine(taken["time"], taken["level"], taken["service"] or name, taken["message"], found)


def _print_last(tails: list[Tail], count: int, printer: Printer) -> None:
    lines: list[LogLine] = []
    for tail in tails:
        shown = ""
        for text in tail.last(count * 4 if printer.level != "debug" else count):
            line = read_line(text, tail.name)
            shown = line.time or shown  # what a traceback's lines belong to
            lines.append(msgspec.structs.replace(line, time=line.time or shown))
    lines.sort(key=lambda line: line.time)
    chosen = [line for line in lines if _reaches(line, printer.level)]
    for line in chosen[-count:] if count else []:
        printer.print(line)


def _reaches(line: LogLine, level: str) -> bool:
    return line.level not in LEVELS or LEVELS.index(line.level) >= LEVELS.index(level)


class Printer:
    """Prints lines of at least a level; on a terminal the day stands in a line of its own."""

    def __init__(self, level: str, as_json: bool) -> None:
        self.level = level
        self.as_json = as_json
        self._day = ""

    def print(self, line: LogLine) -> None:
        """Print a line, if it reaches the level."""
        if not _reaches(line, self.level):
            return
        if self.as_json:
            fields = {"time": line.time, "level": line.level, "service": line.service}
            show.json_line({**fields, "message": line.message, **line.extra})
            return
        extra = " ".join(f"{key}={value}" for key, value in line.extra.items() if key != "error")
        words = [
            show.paint(self._clock(line.time), "dim"),
            show.paint(f"{line.service:<9}", "cyan"),
            show.paint(f"{line.level:<7}", COLOURS.get(line.level, "")),
        ]
        told = [(show.clean(line.message), ""), (show.clean(extra), "dim")]
        show.hanging(" ".join(word for word in words if word), told, INDENT)
        if "error" in line.extra:
            show.line(show.clean(str(line.extra["error"]), lines=True).rstrip())
        show.flush()

    def _clock(self, text: str) -> str:
        """The time of a line; on a terminal without its day, which is printed when it changes."""
        date, clock = local_time(text)
        if not (date and show.is_terminal(sys.stdout)):
            return f"{date} {clock}".strip()
        if date != self._day:
            self._day = date
            show.line(show.paint(date, "bold"))
        return clock


def local_time(text: str) -> tuple[str, str]:
    """A time of a log (RFC 3339, UTC) as local date and clock; as it is where it is none."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return "", text
    there = at.astimezone()
    return f"{there:%Y-%m-%d}", f"{there:%H:%M:%S}.{there.microsecond // 1000:03d}"
