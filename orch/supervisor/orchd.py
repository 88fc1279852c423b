"""orchd's loop: one thread around a selector that carries out what supervision decides."""

from __future__ import annotations

import logging
import random
import selectors
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from orch import log, sockets
from orch.core import supervision
from orch.core.supervised import (
    ALIVE,
    Abort,
    Action,
    Answer,
    Ask,
    Event,
    Exited,
    Heartbeat,
    Kill,
    Launch,
    Launched,
    NotLaunched,
    Remove,
    Report,
    Restart,
    Start,
    State,
    Stop,
    Terminate,
    Tick,
)
from orch.errors import OrchError
from orch.paths import Home
from orch.supervisor import leftovers, logs, processes, spawn
from orch.supervisor.child import Child, begin
from orch.supervisor.commands import Commands
from orch.supervisor.desk import Desk
from orch.supervisor.events import Ring
from orch.supervisor.notify import Notifier
from orch.supervisor.roster import Entry, Plan
from orch.supervisor.watch import Watch

LATE_SECONDS = 0.5
"""orchd itself was late when it wakes up by more than this after it meant to."""

LONGEST_NAP = 1.0
"""The loop goes round at least so often, in seconds."""

ROTATE_SECONDS = 2.0
"""How often log sizes are looked at."""

EVENTS_TO = "engine"
"""The service that is told of supervision events."""

logger = logging.getLogger("orchd")


class Orchd:
    """The supervisor of one home, with the lock held and leftovers gone."""

    def __init__(
        self, home: Home, mode: spawn.Mode, watch: Watch, lock: int, notifier: Notifier
    ) -> None:
        self.home = home
        self.mode = mode
        self.watch = watch
        self.lock = lock
        self.notifier = notifier
        self.plan: Plan = watch.plan
        self.children: dict[str, Child] = {}
        self.events = Ring()
        self.problems: dict[str, str] = {}
        self.started_at = time.monotonic()
        self.leaving = False
        self.over = False
        self.selector = selectors.DefaultSelector()
        self._askers: dict[int, Callable[[str], None]] = {}
        self._asker = 0
        self._turned_at = time.monotonic()
        self._due: dict[str, float] = {}
        self._unrecorded = True
        self._wake, self._waker = socket.socketpair()
        self.commands = Commands(self)
        self.desk: Desk | None = None

    # ---- the loop ----------------------------------------------------------------------------

    def serve(self, listener: socket.socket) -> None:
        """Answer on `ctl.sock` from now on."""
        self.desk = Desk(self.selector, listener, self.commands.handle)

    def hear_signals(self) -> None:
        """Let signals wake the loop, which acts on them."""
        for end in (self._wake, self._waker):
            end.setblocking(False)
        self.selector.register(self._wake, selectors.EVENT_READ, self._heard)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, _only_wake)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def run(self) -> None:
        """Go round until everything is stopped."""
        self._turned_at = time.monotonic()
        while not self.over:
            self.turn()
        assert self.desk is not None
        self.desk.close()

    def turn(self) -> None:
        """Wait for something to happen or fall due, then act on it."""
        nap = self._nap()
        ready = self.selector.select(nap)
        now = time.monotonic()
        passed, self._turned_at = now - self._turned_at, now
        if passed > nap + LATE_SECONDS:
            self._excuse(passed)
        for key, mask in ready:
            current = self.selector.get_map().get(key.fd)
            if current is not None and current.fileobj is key.fileobj:
                key.data(mask)  # still wanted, after what was done before it in this round
        self._tick(now)  # not a later time: what passes while we act is excused next round

    def _nap(self) -> float:
        now = time.monotonic()
        due = [child.service.deadline for child in self.children.values()]
        soonest = min((at for at in due if at is not None), default=now + LONGEST_NAP)
        return min(max(0.0, soonest - now), LONGEST_NAP)

    def _excuse(self, passed: float) -> None:
        """orchd was not running: for the services, that time has not passed."""
        logger.warning("orchd was late", extra={"seconds": round(passed, 3)})
        for child in self.children.values():
            child.service = supervision.shift(child.service, passed)

    def _tick(self, now: float) -> None:
        for name in list(self.children):
            self.step(name, Tick(), now)
        if self._is_due("second", now, 1.0):
            self._reap()
            if self._unrecorded:
                self._record()
            self._tell_engine()
            self._tell_systemd()
            self.commands.tick(now)
            assert self.desk is not None
            self.desk.tick(now)
            if (plan := self.watch.look()) is not None:
                self.apply(plan)
        if self._is_due("rotate", now, ROTATE_SECONDS):
            self._rotate()
        if self.notifier.watchdog_seconds and self._is_due(
            "watchdog", now, self.notifier.watchdog_seconds
        ):
            self.notifier.tell("WATCHDOG=1")

    def _is_due(self, what: str, now: float, seconds: float) -> bool:
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + seconds
        return True

    def _heard(self, _mask: int) -> None:
        """Signals only set a byte; this is where they are acted on."""
        numbers = self._wake.recv(4096)
        if signal.SIGCHLD in numbers:
            self._reap()
        if signal.SIGHUP in numbers:
            self.commands.reload()
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self.commands.shut_down(lambda _error: None)

    # ---- services ----------------------------------------------------------------------------

    def step(self, name: str, event: Event, now: float | None = None) -> None:
        """Let supervision decide on `event` and do what follows."""
        child = self.children.get(name)
        if child is None:
            return
        now = time.monotonic() if now is None else now
        before = child.service.state
        child.service, actions = supervision.step(
            child.service, event, now, self.plan.limits, random.random()
        )
        if child.service.state is not before:
            logger.info(child.service.state.value, extra={"of": name, "pid": child.service.pid})
        for action in actions:
            self._do(child, action)
        if child.service.leaving and child.service.state is State.DISABLED:
            self._forget(child)

    def ask_step(
        self, name: str, event: type[Start | Stop | Restart], then: Callable[[str], None]
    ) -> None:
        """Step with a command; `then` is called with '' once done, or with why not."""
        self._asker += 1
        self._askers[self._asker] = then
        self.step(name, event(self._asker))

    @property
    def pending(self) -> bool:
        """Whether somebody waits for a service."""
        return bool(self._askers)

    def add(self, entry: Entry, listeners: dict[str, socket.socket] | None = None) -> Child:
        """Take a service in, with its sockets; raises `Refused` when one cannot be made."""
        if listeners is None:
            listeners = {}
            try:
                for kind in entry.sockets:
                    listeners[kind] = sockets.listen(self.home.socket(entry.name, kind), kind)
            except OrchError:
                for listener in listeners.values():
                    listener.close()
                raise
        self.children[entry.name] = child = Child(entry, listeners)
        return child

    def watch_child(self, child: Child) -> None:
        """Hear what the child says."""
        assert child.lifeline is not None
        self.selector.register(
            child.lifeline, selectors.EVENT_READ, lambda mask: self._spoke(child, mask)
        )

    def apply(self, plan: Plan) -> None:
        """Apply the difference to the roster before: exactly the changed services restart."""
        self.plan = plan
        wanted = {entry.name: entry for entry in plan.services}
        for name, child in list(self.children.items()):
            if name not in wanted:
                self.step(name, Remove())
            elif wanted[name].sockets != child.entry.sockets:
                self.step(name, Remove())  # it comes back, by a later look, with other sockets
                self.watch.look_again()
            elif wanted[name] != child.entry:
                changed = wanted[name].settings != child.entry.settings
                child.entry = wanted[name]
                if child.service.leaving or (changed and child.service.wanted):
                    self.step(name, Restart())
        for name, entry in wanted.items():
            if name not in self.children:
                self._introduce(entry)

    def _introduce(self, entry: Entry) -> None:
        try:
            self.add(entry)
        except OrchError as error:
            self.problems[entry.name] = error.message
            logger.error(error.message)
            return
        self.problems.pop(entry.name, None)
        if entry.name not in self.commands.stopped and not self.leaving:
            self.step(entry.name, Start())

    def _forget(self, child: Child) -> None:
        self.children.pop(child.entry.name, None)
        for kind, listener in child.listeners.items():
            listener.close()
            sockets.remove(self.home.socket(child.entry.name, kind))

    # ---- what supervision wants done ---------------------------------------------------------

    def _do(self, child: Child, action: Action) -> None:
        match action:
            case Launch():
                self._launch(child)
            case Ask():
                child.send("STOP")
                self._mind_waiting(child)
            case Terminate():
                processes.signal_all(child.service.pid, signal.SIGTERM, signal.SIGCONT)
            case Abort():
                processes.signal_all(child.service.pid, signal.SIGABRT, signal.SIGCONT)
            case Kill():
                processes.kill_group(child.service.pid)
            case Answer(asker, error):
                then = self._askers.pop(asker, None)
                if then is not None:
                    then(error)
            case Report(event, data):
                self.report(event, data)

    def report(self, event: str, data: dict[str, Any]) -> None:
        """Log an event, and tell the engine now or once it is ready."""
        fields = {f"about_{key}": value for key, value in data.items()}
        logger.info(event, extra=fields)
        self.events.add(event, data)
        self._tell_engine()

    def _tell_engine(self) -> None:
        engine = self.children.get(EVENTS_TO)
        if engine is None or engine.service.state is not State.READY:
            return
        self.events.tell(engine.send)
        self._mind_waiting(engine)

    def _mind_waiting(self, child: Child) -> None:
        """Be told when there is room for what waits."""
        if child.lifeline is None or child.lifeline not in self.selector.get_map():
            return
        mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.waiting else 0)
        key = self.selector.get_key(child.lifeline)
        if key.events != mask:
            self.selector.modify(child.lifeline, mask, key.data)

    def _launch(self, child: Child) -> None:
        entry = child.entry
        self._hang_up(child)
        logs.rotate(self.home.raw_log(entry.name))
        try:
            pid = begin(self.home, child, self.mode)
        except OSError as error:
            self.step(entry.name, NotLaunched(f"it cannot be made: {error.strerror}"))
            return
        self.watch_child(child)
        self.step(entry.name, Launched(pid))
        self._unrecorded = True

    def _hang_up(self, child: Child) -> None:
        if child.lifeline is not None and child.lifeline in self.selector.get_map():
            self.selector.unregister(child.lifeline)
        child.hang_up()

    def _record(self) -> None:
        """Write down who lives, for the orchd after a `kill -9` of this one.

        Not while somebody starts, for up to a second: it would be in the way, and whoever has not
        begun its work dies with orchd anyway.
        """
        self._unrecorded = False
        leftovers.record_children(self.home, self.children.values())

    # ---- what processes do -------------------------------------------------------------------

    def _spoke(self, child: Child, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            child.flush()
            self._mind_waiting(child)
        if mask & selectors.EVENT_READ and not self._listen(child):
            self._hang_up(child)  # dead or mute: its exit or its deadline tells which

    def _listen(self, child: Child) -> bool:
        events, is_open = child.receive()
        for event in events:
            if child.entry.name == EVENTS_TO and isinstance(event, Heartbeat):
                self.events.beat()
            was = child.service.state
            self.step(child.entry.name, event)
            if was is not child.service.state is State.READY:
                self._became_ready(child)
        return is_open

    def _became_ready(self, child: Child) -> None:
        if child.entry.name == EVENTS_TO:
            self._tell_engine()
        if State.STARTING in {other.service.state for other in self.children.values()}:
            return
        if self._unrecorded:
            self._record()
        self._tell_systemd()

    def _tell_systemd(self) -> None:
        """READY once every service runs or has shown that it cannot: one of them that is broken
        must not have systemd end the others."""
        self.notifier.report([child.service for child in self.children.values()])

    def _reap(self) -> None:
        """See which processes have ended. The group is killed while its number is still taken."""
        for child in list(self.children.values()):
            pid = child.service.pid
            if not pid or not processes.has_ended(pid):
                continue
            self._listen(child)
            self._hang_up(child)
            processes.kill_group(pid)
            raw = self.home.raw_log(child.entry.name)
            reason = processes.reason(processes.collected(pid), partial(logs.last_line, raw))
            self._unrecorded = True
            if child.entry.name == EVENTS_TO:
                self.events.take_back()
            self.step(child.entry.name, Exited(reason))

    def _rotate(self) -> None:
        for name, child in self.children.items():
            opened = child.service.ready_at is not None
            if child.service.state in ALIVE and logs.renewed(self.home, name, opened=opened):
                child.send("REOPEN")
                self._mind_waiting(child)
        own = self.home.log("orchd")
        if logs.rotate(own) or not own.exists():
            log.reopen()


def _only_wake(_number: int, _frame: object) -> None:
    """Signals are acted on in the loop, which the wakeup descriptor wakes."""
