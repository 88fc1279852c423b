"""Recorded sessions: their steps in time, played back or written as an asciicast."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from orch.cli.lines import Characters
from orch.errors import NotFound
from orch.session import timing

COLUMNS, ROWS = 200, 50
"""The size of a terminal that never said its own."""

BLOCK = 65536


class Step(NamedTuple):
    """Output, or a new size (`columns` is not 0), so many seconds after the beginning."""

    seconds: float
    data: bytes
    columns: int = 0
    rows: int = 0


class Recording:
    """An attempt folder's `terminal.log` and `terminal.timing`, as far as they go."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "terminal.log"
        self.timing = folder / "terminal.timing"
        if not self.log.is_file():
            raise NotFound(f"there is no recording in {folder}")
        self.bytes = self.log.stat().st_size
        self.began = timing.began(self.timing)

    def size(self) -> tuple[int, int]:
        """Columns and rows at the beginning."""
        sizes = (moment.size for moment in timing.moments(self.timing, self.bytes))
        return next((size for size in sizes if size), (COLUMNS, ROWS))

    def steps(self) -> Iterator[Step]:
        """Everything in order; bytes that no timing record covers come last, at once."""
        with self.log.open("rb") as file:
            for moment in timing.moments(self.timing, self.bytes):
                if moment.size:
                    yield Step(moment.at, b"", *moment.size)
                while data := file.read(min(BLOCK, max(moment.offset - file.tell(), 0))):
                    yield Step(moment.at, data)


def play(
    recording: Recording, write: Callable[[bytes], object], speed: float, most_pause: float
) -> None:
    """Write the output at its recorded pace times `speed`; no pause is longer than `most_pause`."""
    shown = 0.0
    for step in recording.steps():
        pause = min((step.seconds - shown) / speed, most_pause)
        shown = step.seconds
        if pause > 0:
            time.sleep(pause)
        if step.data:
            write(step.data)


def cast(recording: Recording, title: str) -> Iterator[bytes]:
    """The recording as lines of an asciicast v2 (docs.asciinema.org/manual/asciicast/v2)."""
    columns, rows = recording.size()
    header: dict[str, object] = {"version": 2, "width": columns, "height": rows, "title": title}
    if recording.began:
        header["timestamp"] = int(recording.began)
    yield msgspec.json.encode({**header, "env": {"TERM": "xterm-256color"}})
    characters = Characters()
    offset = 0
    last = 0.0
    first = True
    for step in recording.steps():
        last = step.seconds
        if step.columns:
            if not first:
                yield _line(last, "r", f"{step.columns}x{step.rows}")
            first = False
        for piece in characters.add(offset, step.data):
            yield _line(last, "o", piece.text)
        offset += len(step.data)
    for piece in characters.rest():
        yield _line(last, "o", piece.text)


def _line(seconds: float, code: str, text: str) -> bytes:
    if code == "o":  # a terminal's line discipline would have done this on the way out
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return msgspec.json.encode([round(seconds, 6), code, text])
