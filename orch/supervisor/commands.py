"""What people ask of orchd, and how each request is answered."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from orch import __version__
from orch.core.supervised import Restart, Start, State, Stop
from orch.errors import NotFound, OrchError, Refused, Unavailable
from orch.messages import (
    Done,
    GetRoster,
    Message,
    PingOrchd,
    Pong,
    ReloadConfig,
    Request,
    RestartService,
    Roster,
    Shutdown,
    StartService,
    StopService,
    Upgrade,
    failure,
)
from orch.model import Served
from orch.supervisor.memory import pss_bytes
from orch.supervisor.upgrade import Upgrading

if TYPE_CHECKING:
    from orch.supervisor.child import Child
    from orch.supervisor.orchd import Orchd

Then = Callable[[str], None]
"""Called once with '' when a command is carried out, or with why it is not."""


class Commands:
    """Carries out requests. Commands on one service are queued there and always answered."""

    def __init__(self, orchd: Orchd) -> None:
        self._orchd = orchd
        self._stopped = orchd.home.run / "stopped"
        self.stopped = self._read_stopped()
        self.upgrading: Upgrading | None = None

    def handle(self, client: int, request: Request[Any]) -> None:
        """Answer the client's request, now or when it is done."""
        try:
            reply = self._answer(client, request)
        except OrchError as error:
            reply = failure(error)
        if reply is not None:
            self._reply(client, reply)

    def tick(self, now: float) -> None:
        """Look after what takes its time."""
        if self.upgrading is not None:
            self.upgrading.tick(now)

    def reload(self) -> None:
        """Read the config again, whatever the files look like, and apply it."""
        self._orchd.notifier.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        if (plan := self._orchd.watch.read()) is not None:
            self._orchd.apply(plan)
        self._orchd.notifier.tell("READY=1")

    def shut_down(self, then: Then) -> None:
        """Stop every service, then leave the loop; sessions are not touched."""
        orchd = self._orchd
        if not orchd.leaving:
            orchd.leaving = True
            orchd.notifier.tell("STOPPING=1")
        waiting = set(orchd.children)

        def stopped(name: str, _error: str = "") -> None:
            waiting.discard(name)
            if not waiting:
                then("")
                orchd.over = True

        if not waiting:
            stopped("")
        for name in list(orchd.children):
            orchd.ask_step(name, Stop, partial(stopped, name))

    def replace_all(self, then: Then) -> None:
        """Replace the wanted services one by one, the engine last; ends at the first failure."""
        orchd = self._orchd
        names = [name for name, child in orchd.children.items() if child.service.wanted]
        names.sort(key=lambda name: name == "engine")

        def following(error: str) -> None:
            if error or not names:
                then(error)
                return
            name = names.pop(0)
            child = orchd.children.get(name)
            if child is None or not child.service.wanted:
                following("")  # it was stopped or removed meanwhile
            else:
                orchd.ask_step(name, Restart, following)

        following("")

    # ---- requests ----------------------------------------------------------------------------

    def _answer(self, client: int, request: Request[Any]) -> Message | None:
        match request:
            case PingOrchd():
                return Pong("orchd", __version__, os.getpid())
            case GetRoster():
                return self._roster()
            case Shutdown():
                self.shut_down(self._then(client))
            case ReloadConfig():
                return self._reloaded()
            case Upgrade():
                self._upgrade(client, request)
            case StopService(name):
                self._stop(client, self._known(name))
            case StartService(name):
                self._run(client, self._known(name), Start)
            case RestartService(""):
                self._refuse_when_leaving()
                self.replace_all(self._then(client))
            case RestartService(name):
                self._run(client, self._known(name), Restart)
            case _:
                raise Refused(f"orchd does not answer {type(request).__name__}")
        return None

    def _reloaded(self) -> Message:
        self._refuse_when_leaving()
        self.reload()
        if self._orchd.watch.problem:
            raise Refused(self._orchd.watch.problem, "the last good configuration is kept")
        return Done()

    def _upgrade(self, client: int, request: Upgrade) -> None:
        self._refuse_when_leaving()
        if self.upgrading is not None and not self.upgrading.over:
            raise Refused("an upgrade is already under way")
        self.upgrading = Upgrading(self._orchd, client, request.python)

    def _stop(self, client: int, child: Child) -> None:
        self._keep_stopped(self.stopped | {child.entry.name})
        self._orchd.ask_step(child.entry.name, Stop, self._then(client))

    def _run(self, client: int, child: Child, event: type[Start | Restart]) -> None:
        self._refuse_when_leaving()
        self._keep_stopped(self.stopped - {child.entry.name})
        self._orchd.ask_step(child.entry.name, event, self._then(client))

    def _roster(self) -> Roster:
        orchd, now = self._orchd, time.monotonic()
        problems = [text for text in (orchd.watch.problem, *orchd.problems.values()) if text]
        return Roster(
            os.getpid(),
            __version__,
            str(orchd.home.root),
            now - orchd.started_at,
            tuple(_served(child, now) for child in orchd.children.values()),
            tuple(problems),
        )

    def _known(self, name: str) -> Child:
        child = self._orchd.children.get(name)
        if child is None:
            names = ", ".join(self._orchd.children)
            raise NotFound(f"there is no service {name!r}", f"services: {names}")
        return child

    def _refuse_when_leaving(self) -> None:
        if self._orchd.leaving:
            raise Refused("orchd is shutting down")

    def _then(self, client: int) -> Then:
        def done(error: str) -> None:
            self._reply(client, failure(Unavailable(error)) if error else Done())

        return done

    def _reply(self, client: int, reply: Message) -> None:
        if self._orchd.desk is not None:
            self._orchd.desk.reply(client, reply)

    # ---- what stays stopped over orchd's own restart ------------------------------------------

    def _read_stopped(self) -> set[str]:
        try:
            return set(msgspec.json.decode(self._stopped.read_bytes(), type=list[str]))
        except (OSError, msgspec.DecodeError):
            return set()

    def _keep_stopped(self, stopped: set[str]) -> None:
        """Write down who is to stay stopped; raises `Unavailable`, and nothing has changed then."""
        if stopped == self.stopped:
            return
        made = Path(f"{self._stopped}.new")
        try:
            made.write_bytes(msgspec.json.encode(sorted(stopped)))
            made.replace(self._stopped)
        except OSError as error:
            raise Unavailable(f"{self._stopped} cannot be written: {error.strerror}") from error
        self.stopped = stopped


def _served(child: Child, now: float) -> Served:
    service = child.service
    alive = service.pid and service.state is not State.DISABLED
    return Served(
        name=service.name,
        state=service.state.value,
        pid=service.pid,
        uptime_seconds=round(now - service.launched_at, 3) if alive else 0.0,
        restarts=max(0, service.launches - 1),
        pss_bytes=pss_bytes(service.pid) if service.pid else 0,
        last_error=service.last_error,
    )
