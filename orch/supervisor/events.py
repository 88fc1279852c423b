"""Supervision events: kept until the engine is ready, then told to it, one line each."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any

import msgspec

KEPT = 500
"""Events kept for an engine that is away; older ones are dropped."""


class Occurrence(msgspec.Struct, frozen=True):
    """An event of supervision. `id` is unique, so that one told twice can be recognised."""

    id: str
    name: str
    at: float
    data: dict[str, Any]


class Ring:
    """The events that the engine has not been told yet, oldest first."""

    def __init__(self, waiting: list[Occurrence] | None = None) -> None:
        self.waiting: deque[Occurrence] = deque(waiting or (), maxlen=KEPT)
        self._prefix = f"{os.getpid()}-{time.time_ns():x}"
        self._count = 0

    def add(self, name: str, data: dict[str, Any]) -> None:
        """Keep an event; `name` is a noun with a past participle."""
        self._count += 1
        self.waiting.append(Occurrence(f"{self._prefix}-{self._count}", name, time.time(), data))

    def take(self) -> list[str]:
        """The lines for the engine's lifeline, which are not given again."""
        lines = [f"EVENT {msgspec.json.encode(event).decode()}" for event in self.waiting]
        self.waiting.clear()
        return lines
