"""One line of the table that `make bench` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure beside its peer in the same run; `target` is a ratio to the peer, or absolute."""

    figure: str
    value: float
    unit: str
    peer: str
    peer_value: float
    target: float
    ok: bool
    note: str = ""
