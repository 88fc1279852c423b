"""A service as orchd holds it: what supervision knows of it, its sockets, and its lifeline."""

from __future__ import annotations

import socket

from orch.core.supervised import Event, Extend, Heartbeat, Ready, Service
from orch.paths import Home
from orch.supervisor import spawn
from orch.supervisor.roster import Entry

LINE_BYTES = 256
"""The longest line a child has reason to send; more is cut."""

BACKLOG_BYTES = 1 << 20
"""What may wait to be read by a child before lines to it are dropped."""


class Child:
    """One roster entry with its listening sockets, and the lifeline while a process exists."""

    def __init__(self, entry: Entry, listeners: dict[str, socket.socket]) -> None:
        self.entry = entry
        self.listeners = listeners
        self.service = Service(name=entry.name)
        self.lifeline: socket.socket | None = None
        self._in = b""
        self._out = bytearray()
        self._beat = b""

    def open(self, lifeline: socket.socket) -> None:
        """Begin with a new process, that holds the other end."""
        self.hang_up()
        lifeline.setblocking(False)
        self.lifeline = lifeline

    def hang_up(self) -> None:
        """Close our end; a process that still lives sees the end of the stream."""
        if self.lifeline is not None:
            self.lifeline.close()
        self.lifeline = None
        self._in = b""
        self._beat = b""
        self._out.clear()

    def receive(self) -> tuple[list[Event], bool]:
        """What the process has said, oldest first, and whether its side is still open."""
        data, is_open = self._received()
        *lines, rest = (self._in + data).split(b"\n")
        self._in = rest[-LINE_BYTES:]
        events = (parsed(line) for line in lines if self._is_news(line))
        return [event for event in events if event is not None], is_open

    def send(self, line: str) -> bool:
        """Say a line; what does not fit waits, and `flush` sends it on. Lines are never cut.

        False when there is nobody to say it to, or too much waits already.
        """
        data = line.encode() + b"\n"
        if self.lifeline is None or len(self._out) + len(data) > BACKLOG_BYTES:
            return False
        self._out += data
        self.flush()
        return True

    @property
    def waiting(self) -> bool:
        """Whether there is something the process has not made room for yet."""
        return bool(self._out)

    def flush(self) -> None:
        """Send on what waits, as far as there is room."""
        if self.lifeline is None or not self._out:
            return
        try:
            sent = self.lifeline.send(self._out)
        except BlockingIOError:
            return
        except OSError:
            self._out.clear()  # it is dead; its end is reported elsewhere
            return
        del self._out[:sent]

    def _is_news(self, line: bytes) -> bool:
        """False for a heartbeat whose count stands still: the work behind it does, too."""
        if not line.startswith(b"HEARTBEAT"):
            return True
        before, self._beat = self._beat, line
        return line != before

    def _received(self) -> tuple[bytes, bool]:
        if self.lifeline is None:
            return b"", False
        try:
            data = self.lifeline.recv(65536)
        except (BlockingIOError, InterruptedError):
            return b"", True
        except OSError:
            return b"", False
        return data, bool(data)


def begin(home: Home, child: Child, mode: spawn.Mode) -> int:
    """Make the service's process and hold its lifeline; its pid. Raises OSError."""
    entry = child.entry
    ours, theirs = socket.socketpair()
    fds = {"lifeline": theirs.fileno()}
    fds |= {kind: listener.fileno() for kind, listener in child.listeners.items()}
    places = {"ORCH_HOME": str(home.root), "ORCH_SERVICE": entry.name}
    order = spawn.Order(
        name=entry.name,
        module=entry.module,
        fds=fds,
        environment={**places, **entry.environment},
        folder=home.state,
        output=home.raw_log(entry.name),
    )
    try:
        pid = spawn.spawn(order, mode)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    child.open(ours)
    return pid


def parsed(line: bytes) -> Event | None:
    """The event a line of the lifeline stands for; None for what is not understood."""
    word, _, rest = line.strip().partition(b" ")
    if word == b"HEARTBEAT":
        return Heartbeat()
    if word == b"READY":
        return Ready()
    if word == b"EXTEND":
        try:
            seconds = float(rest)
        except ValueError:
            return None
        return Extend(seconds) if seconds >= 0 else None
    return None
