"""Changes orchd's own program in place: same pid, children, sockets and lock."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from orch.core.supervised import Service, State
from orch.errors import Refused
from orch.messages import Done, failure
from orch.supervisor import spawn
from orch.supervisor.events import Occurrence, Ring
from orch.supervisor.roster import Entry

if TYPE_CHECKING:
    from orch.supervisor.child import Child
    from orch.supervisor.orchd import Orchd

FORMAT = "orchd-state-1"
"""The form of `Carried`. A preflight that prints another one is refused."""

PREFLIGHT_SECONDS = 20.0
"""A new program that takes longer to import itself is not taken."""


class CarriedService(msgspec.Struct, frozen=True, kw_only=True):
    """A service as carried over the exec: what is known of it, and its descriptors."""

    entry: Entry
    service: Service
    lifeline: int
    listeners: dict[str, int]


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the next program needs; `back` starts the one before, should adoption fail."""

    format: str = FORMAT
    services: list[CarriedService]
    events: list[Occurrence]
    lock: int
    control: int
    client: int
    started_at: float
    told_ready: bool
    back: list[str]
    failed: str = ""


class Upgrading:
    """One upgrade under way: the new program is examined first, then becomes this process."""

    def __init__(self, orchd: Orchd, client: int, python: str) -> None:
        self._orchd = orchd
        self._client = client
        self._python = python or sys.executable
        self._said = b""
        self.over = False
        self._deadline = time.monotonic() + PREFLIGHT_SECONDS
        try:
            self._preflight = spawn.examine(program(self._python, "--preflight"))
        except OSError as error:
            self.over = True
            raise Refused(f"{self._python} cannot be run: {error.strerror}") from error
        assert self._preflight.stdout is not None
        os.set_blocking(self._preflight.stdout.fileno(), False)
        orchd.selector.register(self._preflight.stdout, selectors.EVENT_READ, self._heard)

    def tick(self, now: float) -> None:
        """Give up on a new program that does not say that it is well in time."""
        if not self.over and now > self._deadline:
            self._finish(f"its preflight took longer than {PREFLIGHT_SECONDS:g} s")

    def _heard(self, _mask: int) -> None:
        assert self._preflight.stdout is not None
        data = self._preflight.stdout.read(65536)
        self._said = (self._said + (data or b""))[-65536:]
        if data == b"":
            said = self._said.decode("utf-8", "replace").strip()
            last = said.splitlines()[-1] if said else "it said nothing"
            self._finish("" if last == FORMAT else f"its preflight failed: {last}")

    def _finish(self, problem: str) -> None:
        assert self._preflight.stdout is not None
        self._orchd.selector.unregister(self._preflight.stdout)
        self._preflight.stdout.close()
        self._preflight.kill()
        self._preflight.wait()
        if not problem and self._orchd.leaving:
            problem = "orchd is shutting down"
        if not problem and self._orchd.pending:
            problem = "other commands are under way; try again"
        if not problem:
            problem = self._change()
        self.over = True
        self._refuse(problem)

    def _refuse(self, problem: str) -> None:
        self._orchd.report("upgrade_failed", {"reason": problem, "python": self._python})
        assert self._orchd.desk is not None
        self._orchd.desk.reply(self._client, failure(Refused(f"orchd was not upgraded: {problem}")))

    def _change(self) -> str:
        """Become the new program. Returns only when that cannot be done, with the reason."""
        orchd = self._orchd
        fds = carry(orchd, self._client)
        environment = {**os.environ, **orchd.notifier.variables}
        arguments = program(self._python, "--home", str(orchd.home.root), "--spawn", orchd.mode)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            for fd in fds:
                os.set_inheritable(fd, True)
            os.execve(arguments[0], [*arguments, "--adopt", str(fds[0])], environment)
        except OSError as error:
            for fd in fds:
                os.set_inheritable(fd, False)
            os.close(fds[0])
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            return f"{self._python} cannot be run: {error.strerror}"


def program(python: str, *arguments: str) -> list[str]:
    """How `python` runs orchd, with this interpreter's own isolation."""
    isolated = ["-I"] if sys.flags.isolated else ["-P"] if sys.flags.safe_path else []
    return [python, *isolated, "-u", "-m", "orch.supervisor", *arguments]


def carry(orchd: Orchd, client: int) -> list[int]:
    """Write down orchd's state; the descriptors to keep, that of the state first."""
    assert orchd.desk is not None
    connection = orchd.desk.connection(client)
    carried = Carried(
        services=[_carried(child) for child in orchd.children.values()],
        events=orchd.events.unsure(),
        lock=orchd.lock,
        control=orchd.desk.listener.fileno(),
        client=connection.fileno() if connection else -1,
        started_at=orchd.started_at,
        told_ready=orchd.notifier.told_ready,
        back=program(sys.executable, "--home", str(orchd.home.root), "--spawn", orchd.mode),
    )
    return [write(carried), *_descriptors(msgspec.to_builtins(carried))]


def write(carried: Carried) -> int:
    """A descriptor of an unnamed file that holds the state."""
    import tempfile  # noqa: PLC0415 - seldom needed, and slow to import

    with tempfile.TemporaryFile() as file:
        file.write(msgspec.json.encode(carried))
        file.flush()
        return os.dup(file.fileno())


def read(fd: int) -> Carried:
    """The state in the unnamed file `fd`; raises `msgspec.DecodeError`."""
    return msgspec.json.decode(_whole(fd), type=Carried)


def go_back(fd: int, failed: str) -> None:
    """Become the program before again, that is told why; returns when that is not possible."""
    import tempfile  # noqa: PLC0415 - seldom needed, and slow to import

    with contextlib.suppress(OSError, msgspec.DecodeError, KeyError, TypeError):
        state: dict[str, Any] = msgspec.json.decode(_whole(fd))
        if state.get("failed"):
            return  # this is the program before
        back = [str(part) for part in state["back"]]
        state["failed"] = failed[:500]
        for kept in _descriptors(state):
            os.set_inheritable(kept, True)
        with tempfile.TemporaryFile() as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.set_inheritable(file.fileno(), True)
            os.execv(back[0], [*back, "--adopt", str(file.fileno())])


def adopt(orchd: Orchd, carried: Carried) -> int:
    """Take over services and the asking client; that client's number, 0 when there is none.

    Services that left the roster with the new program are stopped, new ones started, by `apply`.
    """
    now = time.monotonic()
    entries = {entry.name: entry for entry in orchd.plan.services}
    for known in carried.services:
        entry = entries.get(known.entry.name, known.entry)
        listeners = {kind: _socket(fd) for kind, fd in known.listeners.items()}
        child = orchd.add(known.entry, listeners)
        child.entry = entry if set(entry.sockets) == set(listeners) else known.entry
        child.service = _settled(known.service, now, orchd)
        if known.lifeline >= 0:
            child.open(_socket(known.lifeline))
            orchd.watch_child(child)
    orchd.events = Ring(carried.events)
    orchd.started_at = carried.started_at
    orchd.notifier.told_ready = carried.told_ready
    if carried.client < 0:
        return 0
    assert orchd.desk is not None
    return orchd.desk.adopt(_socket(carried.client))


def finish(orchd: Orchd, client: int, failed: str) -> None:
    """After the exec: replace the services, or tell why the program before is back."""
    assert orchd.desk is not None
    desk = orchd.desk
    if failed:
        orchd.report("upgrade_failed", {"reason": failed})
        desk.reply(client, failure(Refused(f"orchd was not upgraded: {failed}")))
        return
    orchd.report("orchd_upgraded", {"python": sys.executable})

    def replaced(error: str) -> None:
        desk.reply(client, failure(Refused(error)) if error else Done())

    orchd.commands.replace_all(replaced)


def _settled(service: Service, now: float, orchd: Orchd) -> Service:
    """The service with the waits of its state begun anew: nobody watched it for a moment."""
    limits = orchd.plan.limits
    wait = {State.READY: limits.heartbeat, State.STARTING: limits.start}.get(service.state)
    if wait is None:
        return service
    return msgspec.structs.replace(service, deadline=now + wait)


def _carried(child: Child) -> CarriedService:
    return CarriedService(
        entry=child.entry,
        service=child.service,
        lifeline=child.lifeline.fileno() if child.lifeline else -1,
        listeners={kind: listener.fileno() for kind, listener in child.listeners.items()},
    )


def _socket(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)
    taken = socket.socket(fileno=fd)
    taken.setblocking(False)
    return taken


def _descriptors(state: dict[str, Any]) -> list[int]:
    """The descriptors named in a state, of whatever format."""
    fds = [state["lock"], state["control"], state["client"]]
    for service in state["services"]:
        fds += [service["lifeline"], *service["listeners"].values()]
    return [int(fd) for fd in fds if int(fd) >= 0]


def _whole(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)
