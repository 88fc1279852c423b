"""The nouns of supervision: a service as seen, what happens to it, what follows from that."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class State(StrEnum):
    """Where a service stands."""

    READY = "ready"
    STARTING = "starting"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    FAILING = "failing"
    DISABLED = "disabled"


ALIVE = (State.READY, State.STARTING, State.STOPPING)
"""The states in which a process exists."""


class Stage(StrEnum):
    """How far the ending of a process has come."""

    NONE = ""
    ASKED = "asked"
    TERMINATED = "terminated"
    ABORTED = "aborted"
    KILLED = "killed"


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The waits of supervision, in seconds; `crashes` is a count within `window`."""

    start: float = 30.0
    heartbeat: float = 5.0
    ask: float = 3.0
    terminate: float = 10.0
    abort: float = 2.0
    kill: float = 5.0
    first_wait: float = 0.2
    longest_wait: float = 30.0
    failing_wait: float = 60.0
    window: float = 300.0
    crashes: int = 10
    healthy: float = 60.0
    extend: float = 600.0


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service as supervision sees it; times are seconds of the monotonic clock.

    `deadline` is when the state acts by itself (start again, take for hung, kill); `crashes` and
    `misstarts` are the falls after and before READY within the window; `for_ready` and
    `for_stop` are the commands that wait for an answer.
    """

    name: str
    state: State = State.DISABLED
    stage: Stage = Stage.NONE
    wanted: bool = False
    leaving: bool = False
    hung: bool = False
    failing: bool = False
    pid: int = 0
    launched_at: float = 0.0
    ready_at: float | None = None
    deadline: float | None = None
    launches: int = 0
    crashes: tuple[float, ...] = ()
    misstarts: tuple[float, ...] = ()
    for_ready: tuple[int, ...] = ()
    for_stop: tuple[int, ...] = ()
    last_error: str = ""


# ---- events: what is asked, and what is seen -------------------------------------------------


class Event(msgspec.Struct, frozen=True):
    """Base of what happens to a service."""


class Start(Event, frozen=True):
    """Asked to run; `asker` is answered when it is ready (0: nobody waits)."""

    asker: int = 0


class Stop(Event, frozen=True):
    """Asked not to run; `asker` is answered when its process is gone. Cancels a start."""

    asker: int = 0


class Restart(Event, frozen=True):
    """Asked for a new process; `asker` is answered when that is ready."""

    asker: int = 0


class Remove(Event, frozen=True):
    """It left the roster: stop it, then forget it."""


class Launched(Event, frozen=True):
    """Its process exists."""

    pid: int


class NotLaunched(Event, frozen=True):
    """No process could be made."""

    error: str


class Ready(Event, frozen=True):
    """It said READY."""


class Heartbeat(Event, frozen=True):
    """Its work loop went round."""


class Extend(Event, frozen=True):
    """It asks for this many seconds of silence."""

    seconds: float


class Exited(Event, frozen=True):
    """Its process is gone, for this reason."""

    reason: str


class Tick(Event, frozen=True):
    """Time has passed."""


# ---- actions: what the supervisor has to do --------------------------------------------------


class Action(msgspec.Struct, frozen=True):
    """Base of what follows from a step."""


class Launch(Action, frozen=True):
    """Make its process, then step on with `Launched` or `NotLaunched`."""


class Ask(Action, frozen=True):
    """Send STOP on its lifeline."""


class Terminate(Action, frozen=True):
    """Send SIGTERM to its process (and SIGCONT, so that it is heard)."""


class Abort(Action, frozen=True):
    """Send SIGABRT, then SIGCONT: the process writes its stacks and dies."""


class Kill(Action, frozen=True):
    """Send SIGKILL to its process group."""


class Answer(Action, frozen=True):
    """Answer a command: done, or why not."""

    asker: int
    error: str = ""


class Report(Action, frozen=True):
    """Tell the events log."""

    event: str
    data: dict[str, Any]
