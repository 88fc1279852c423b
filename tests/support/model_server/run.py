"""One run of a scenario: how far it is, what was asked, and the gates that hold answers back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from tests.support.model_server.asked import Asked
from tests.support.model_server.scenario import Place, Scenario, Step, Usage

PATIENCE_SECONDS = 60.0
"""How long `wait_for` waits; only a failing test waits so long."""


class Run:
    """A scenario under an address of its own. Safe to use from any thread."""

    def __init__(self, name: str, address: str, scenario: Scenario) -> None:
        self.name = name
        self.url = address
        """Give this to claude as ANTHROPIC_BASE_URL; the others get it with `/v1` after it."""
        cast = scenario if isinstance(scenario, Mapping) else {"": scenario}
        self._places = {marker: Place(script) for marker, script in cast.items()}
        self._asked: list[Asked] = []
        self._open: set[str] = set()
        self._changed = threading.Condition()

    @property
    def requests(self) -> list[Asked]:
        """The requests that asked for a step, in order of arrival."""
        return [asked for asked in self.everything if asked.kind == "step"]

    @property
    def everything(self) -> list[Asked]:
        """All requests: steps, titles, token counts, and whatever else came to this address."""
        with self._changed:
            return list(self._asked)

    @property
    def spent(self) -> Usage:
        """The sum of what the answered steps were said to cost, helpers' requests apart."""
        told = [usage for asked in self.requests if (usage := getattr(asked.answer, "usage", None))]
        fields = Usage.__dataclass_fields__
        return Usage(**{name: sum(getattr(usage, name) for usage in told) for name in fields})

    def open(self, gate: str) -> None:
        """Let the answers behind `gate` out."""
        with self._changed:
            self._open.add(gate)
            self._changed.notify_all()

    def wait_for(
        self, met: Callable[[Run], object] | int, seconds: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until so many steps were asked for, or until `met(run)` is true."""
        wanted = met if callable(met) else lambda run: len(run.requests) >= met
        deadline = time.monotonic() + seconds
        while not wanted(self):
            with self._changed:
                self._changed.wait(0.1)
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:g} s; asked: {self.summary()}")

    def summary(self) -> str:
        """What was asked, a line each."""
        return "\n".join(
            f"{a.number} {a.kind} {a.method} {a.path} -> {a.status} {a.ended or 'being answered'}"
            for a in self.everything
        )

    def take(self, asked: Asked) -> Step | None:
        """Record a request; the step for it, or None if it asks for none (the server's side)."""
        with self._changed:
            asked.number = len(self._asked) + 1
            self._asked.append(asked)
            if asked.kind == "step":
                asked.answer = self._place(asked).step()
            self._changed.notify_all()
            return asked.answer

    def end(self, asked: Asked, how: str) -> None:
        """Record how the answer to a request ended (the server's side)."""
        with self._changed:
            asked.ended = how
            self._changed.notify_all()

    def waits(self, gate: str, seconds: float) -> bool:
        """Whether `gate` is still shut after so long (the server's side)."""
        with self._changed:
            return not self._changed.wait_for(lambda: gate in self._open, seconds)

    def _place(self, asked: Asked) -> Place:
        for marker, place in self._places.items():
            if marker in asked.text:
                return place
        return Place(())
