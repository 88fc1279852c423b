"""Reading `terminal.timing`: when a session's output came, and how large its terminal was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from orch.errors import Unknown


class Moment(msgspec.Struct, frozen=True):
    """At `at` seconds from the beginning `terminal.log` had grown to `offset`; `size` (columns,
    rows) where the terminal got that size at this moment."""

    at: float
    offset: int
    size: tuple[int, int] | None = None


def began(path: Path) -> float:
    """When the recording began (seconds since the epoch); 0.0 when that is not told."""
    for line in _lines(path):
        words = line.split()
        if len(words) == 2 and words[0] == "t":
            return float(words[1])
    return 0.0


def moments(path: Path, size: int) -> Iterator[Moment]:
    """Every moment of the recording of a log of `size` bytes, in order.

    Ends with one at `size`: what came after the last note (a session process that was killed)
    belongs to it. A line that is torn or strange is left out. Raises `Unknown`.
    """
    at, offset = 0.0, 0
    for found in _parsed(_lines(path)):
        at = max(at, found.at)
        offset = min(size, max(offset, found.offset))
        yield Moment(at, offset, found.size)
    if offset < size:
        yield Moment(at, size)


def _parsed(lines: Iterable[str]) -> Iterator[Moment]:
    for line in lines:
        words = line.split()
        try:
            if words[:1] == ["o"]:
                yield Moment(float(words[1]), int(words[2]))
            elif words[:1] == ["r"]:
                yield Moment(float(words[1]), 0, (int(words[2]), int(words[3])))
        except (IndexError, ValueError):
            continue


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            yield from file
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unknown(f"cannot read {path}: {error.strerror}") from error
