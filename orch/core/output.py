"""Output as ranges of bytes: cutting without harm to characters, pacing, gaps and repeats."""

from __future__ import annotations

from typing import NamedTuple

CHUNK = 64 * 1024
"""The most bytes published at once."""

SHORTEST, LONGEST = 0.005, 0.1
"""Seconds between two publications in a burst: at least, and however heavy the load."""

CREDIT, REFILL = 12.0, 100.0
"""How many publications go out at once before a burst is one, and how many come back a second."""

SHARE = 4.0
"""For each second spent on publishing in a burst this many are left to others."""


def whole(data: bytes) -> int:
    """How many bytes of `data` end with a complete character; rubbish counts as complete.

    At most three bytes are held back: the beginning of a UTF-8 character (RFC 3629) whose rest
    is not there yet.
    """
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if byte < 0xF8 and needed > back else len(data)
    return len(data)


def cut(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes of `data`, ending between characters, never nothing of something."""
    if len(data) <= limit:
        return data
    return data[: whole(data[:limit]) or limit]


class Piece(NamedTuple):
    """What a range of output is to a reader at a position: what lacks before it, what is new."""

    gap: int
    offset: int
    data: bytes


def fit(position: int, offset: int, data: bytes) -> Piece:
    """The part of `data` (which begins at `offset`) that a reader at `position` has not seen.

    `gap` bytes lack between the position and the range; `data` is what is new, from `offset`.
    """
    if offset >= position:
        return Piece(offset - position, offset, data)
    return Piece(0, position, data[position - offset :])


class Pace:
    """When to publish: at once when it is quiet, in batches in a burst. Times are monotonic."""

    def __init__(self) -> None:
        self._credit = CREDIT
        self._since = 0.0
        self._ready = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next publication may go out; 0 for at once."""
        return max(0.0, self._ready - now)

    def published(self, began: float, ended: float) -> None:
        """A publication was made: work out when the next one may be."""
        earned = max(0.0, began - self._since) * REFILL
        self._credit = max(-1.0, min(CREDIT, self._credit + earned) - 1.0)
        self._since = ended
        least = SHORTEST if self._credit < 0.0 else 0.0
        self._ready = ended + min(LONGEST, max(least, (ended - began) * SHARE))
