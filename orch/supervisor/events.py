"""Supervision events: kept until the engine has them, told to it one line each."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

KEPT = 500
"""Events kept for an engine that is away; older ones are dropped."""

BEATS = 2
"""A told event is in the engine's log after so many heartbeats: the first may have been under way
when it was told, but each goes out only after what had come was handled."""


class Occurrence(msgspec.Struct, frozen=True):
    """An event of supervision. `id` is unique, so that one told twice can be recognised."""

    id: str
    name: str
    at: float
    data: dict[str, Any]


class Ring:
    """The events that the engine may not have yet, oldest first."""

    def __init__(self, waiting: list[Occurrence] | None = None) -> None:
        self._waiting: deque[Occurrence] = deque(waiting or (), maxlen=KEPT)
        self._told: deque[tuple[int, Occurrence]] = deque(maxlen=KEPT)
        self._beats = 0
        self._prefix = f"{os.getpid()}-{time.time_ns():x}"
        self._count = 0

    def add(self, name: str, data: dict[str, Any]) -> None:
        """Keep an event; `name` is a noun with a past participle."""
        self._count += 1
        self._waiting.append(Occurrence(f"{self._prefix}-{self._count}", name, time.time(), data))

    def tell(self, send: Callable[[str], bool]) -> None:
        """Tell the engine what waits, as far as `send` takes it."""
        while self._waiting:
            if not send(f"EVENT {msgspec.json.encode(self._waiting[0]).decode()}"):
                return
            self._told.append((self._beats, self._waiting.popleft()))

    def beat(self) -> None:
        """The engine's loop went round: what it was told some beats ago, it has."""
        self._beats += 1
        while self._told and self._told[0][0] + BEATS <= self._beats:
            self._told.popleft()

    def take_back(self) -> None:
        """The engine is gone: what it may not have read is to be told to the next one."""
        self._waiting = deque(self.unsure(), maxlen=KEPT)
        self._told.clear()

    def unsure(self) -> list[Occurrence]:
        """What the engine may not have yet, oldest first."""
        return [*(event for _, event in self._told), *self._waiting]
