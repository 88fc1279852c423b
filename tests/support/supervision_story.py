"""A service under a clock of our own: what happens to it, and what is done about it."""

from __future__ import annotations

from orch.core.supervised import (
    Answer,
    Event,
    Heartbeat,
    Launch,
    Launched,
    Limits,
    NotLaunched,
    Ready,
    Report,
    Service,
    Start,
    State,
    Tick,
)
from orch.core.supervision import step


class Story:
    """One service and what was done about it; launches succeed at once, with growing pids."""

    def __init__(self, **limits: float) -> None:
        self.service = Service(name="engine")
        self.limits = Limits(**limits)
        self.now = 1000.0
        self.pids = 100
        self.launchable = True
        self.launches: list[float] = []
        self.done: list[object] = []

    def tell(self, event: Event, jitter: float = 0.5) -> list[object]:
        """What is done at once about `event`."""
        done = self._step(event, jitter)
        self.done += done
        return done

    def _step(self, event: Event, jitter: float) -> list[object]:
        self.service, actions = step(self.service, event, self.now, self.limits, jitter)
        done: list[object] = []
        for action in actions:
            done.append(action)
            if isinstance(action, Launch):
                self.launches.append(self.now)
                self.pids += 1
                made = Launched(self.pids) if self.launchable else NotLaunched("no process")
                done += self._step(made, jitter)
        return done

    def wait(self, seconds: float, *, every: float = 0.05) -> list[object]:
        """Let time pass with ticks, and give what was done."""
        done: list[object] = []
        until = self.now + seconds
        while self.now < until - 1e-9:
            self.now = min(until, self.now + every)
            done += self.tell(Tick())
        return done

    def ready(self) -> Story:
        """Start it and see it ready."""
        self.tell(Start())
        self.tell(Ready())
        assert self.service.state is State.READY
        return self

    def live(self, seconds: float) -> None:
        """Let a ready service beat for a while."""
        for _ in range(int(seconds)):
            self.now += 1
            self.tell(Heartbeat())
            self.tell(Tick())

    def heard(self, name: str) -> list[Report]:
        """The reports of that name, so far."""
        return [one for one in self.done if isinstance(one, Report) and one.event == name]

    def answers(self) -> dict[int, str]:
        """The answer of each asker; one that is answered twice fails the test."""
        given = [one for one in self.done if isinstance(one, Answer)]
        assert len({one.asker for one in given}) == len(given)
        return {one.asker: one.error for one in given}
