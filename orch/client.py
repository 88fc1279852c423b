"""Asking a service and hearing its events, through kills and restarts of the other side."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import zmq

from orch import __version__
from orch.errors import Malformed, NotRunning, OrchError, Unavailable
from orch.messages import (
    MAX_BYTES,
    Envelope,
    Failed,
    Message,
    Occurred,
    Request,
    decode,
    encode,
    raised,
    reply_type,
)
from orch.paths import Home

R = TypeVar("R", bound=Message)
E = TypeVar("E", bound=Occurred)

FIRST_TRY = 0.25
"""Seconds a request is given before it is sent again; doubled on each try."""

SLICE = 0.25
"""Seconds between two calls of a client's `waiting`."""

AT_ONCE = 3
"""How often a request is sent again because the connection it went into was lost."""

MAX_EVENTS = 1000
"""Events queued for a subscriber, and handed out by one `Subscription.poll`."""

MAX_FRAME = MAX_BYTES + 1024
"""The longest frame a socket takes, in bytes: a message and its envelope."""

GREETING = b""
"""What a service sends first on each connection (`ZMQ_PROBE_ROUTER` makes ZeroMQ do it)."""

_NOWAIT = int(zmq.NOBLOCK)
_encoder = msgspec.msgpack.Encoder()
_envelope = msgspec.msgpack.Decoder(Envelope)
_replies: dict[type[Message], type[Message]] = {}


class Client:
    """Talks to the services of one home; for one thread. `waiting` is called while it waits.

    `first_try`: seconds until a request without an answer is sent again on the same connection.
    """

    def __init__(
        self,
        home: Home,
        context: zmq.Context[Any] | None = None,
        waiting: Callable[[], None] | None = None,
        first_try: float = FIRST_TRY,
    ) -> None:
        self.home = home
        self._context = context
        self._own = context is None
        self._waiting = waiting
        self._first_try = first_try
        self._connections: dict[str, Connection] = {}
        self._nonce = os.urandom(12)
        self._counter = itertools.count(1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Request[R], timeout: float = 5.0, to: str = "") -> R:
        """The reply of the request's owner (or of service `to`) within `timeout` seconds.

        The request is sent again, under the same id and key, until an answer comes: at once when
        the connection was lost and made anew, else after a while. Raises the error of a `Failed`
        reply, `Unavailable` past the deadline, `NotRunning` without orchd.
        """
        service = to or type(request).owner
        if not service or service == "orchd":
            raise Malformed(f"{type(request).__name__} goes to {service or 'a service to name'}")
        deadline = time.monotonic() + timeout
        ident = self._nonce + next(self._counter).to_bytes(8, "big")
        frame = _encoder.encode(Envelope(ident, __version__, deadline, encode(keyed(request))))
        answer = self._exchange(service, ident, frame, deadline)
        reply = decode(answer.body, Message, peer=answer.version)
        if isinstance(reply, Failed):
            raise raised(reply)
        if type(reply) is not _promised(type(request)):
            raise Malformed(
                f"{service} answered {type(request).__name__} by {type(reply).__name__}"
            )
        return cast(R, reply)

    def subscribe(self, *events: type[Occurred]) -> Subscription:
        """A doorbell for these events: they may be lost, so read the truth after each ring."""
        return Subscription(self.home, self._ready_context(), events)

    def close(self) -> None:
        """Drop every connection; what was not answered is given up."""
        for connection in self._connections.values():
            connection.socket.close(linger=0)
        self._connections.clear()
        if self._own and self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    def _exchange(self, service: str, ident: bytes, frame: bytes, deadline: float) -> Envelope:
        connection = self._connection(service)
        pause, sent, at_once = self._first_try, False, AT_ONCE
        while (now := time.monotonic()) < deadline:
            until = min(deadline, now + pause)
            if not self._meet(connection, until) or not self._send(connection, frame, until):
                self._check_running(service)
                continue
            sent = True
            try:
                answer = self._receive(connection, ident, until, heed=at_once > 0)
            except Reconnected:
                at_once -= 1
                continue
            if answer is not None:
                return answer
            pause *= 2
        state = "did not answer in time" if sent else "could not be reached in time"
        raise Unavailable(f"{service} {state}", "`orch status` shows how it is")

    def _meet(self, connection: Connection, until: float) -> bool:
        """Wait for the service's first greeting; False if none comes in time. Nothing is sent
        before, so that every later greeting tells of a connection made anew."""
        while not connection.met and (left := until - time.monotonic()) > 0:
            connection.wait_at_most(_milliseconds(min(left, SLICE)))
            try:
                connection.met = connection.socket.recv_multipart()[0] == GREETING
            except zmq.Again:
                self._idle()
        return connection.met

    def _send(self, connection: Connection, frame: bytes, until: float) -> bool:
        """Send at once, or as soon as there is a connection; False if there is none in time."""
        try:
            connection.socket.send(frame, _NOWAIT)
        except zmq.Again:
            while (left := until - time.monotonic()) > 0:
                if connection.socket.poll(_milliseconds(min(left, SLICE)), zmq.POLLOUT):
                    return self._send(connection, frame, until)
                self._idle()
            return False
        return True

    def _receive(
        self, connection: Connection, ident: bytes, until: float, heed: bool
    ) -> Envelope | None:
        """The reply to `ident`; whatever else comes, late replies to earlier tries, is dropped.

        Raises `Reconnected`, if it is to be heeded, when the service greets a new connection.
        """
        while (left := until - time.monotonic()) > 0:
            connection.wait_at_most(_milliseconds(min(left, SLICE)))
            try:
                frames = connection.socket.recv_multipart()
            except zmq.Again:
                self._idle()
                continue
            if frames[0] == GREETING:
                if heed:
                    raise Reconnected
                continue
            answer = open_envelope(frames[0])
            if answer is not None and answer.id == ident:
                return answer
        return None

    def _idle(self) -> None:
        if self._waiting is not None:
            self._waiting()

    def _check_running(self, service: str) -> None:
        """Raise `NotRunning` when nobody listens and no orchd is there to change that."""
        if _answers(self.home.socket(service, "req")) or orchd_lives(self.home):
            return
        raise NotRunning(f"orch is not running on {self.home.root}", "start it with `orch up -d`")

    def _connection(self, service: str) -> Connection:
        connection = self._connections.get(service)
        if connection is None:
            path = self.home.socket(service, "req")
            if not path.exists():
                self._check_running(service)
            connection = self._connections[service] = Connection(self._ready_context(), path)
        return connection

    def _ready_context(self) -> zmq.Context[Any]:
        if self._context is None:
            self._context = zmq.Context()
        return self._context


class Reconnected(Exception):
    """The connection is a new one: what went into the old one may be lost."""


class Connection:
    """The way to one service: a socket that connects again by itself, and what it has seen."""

    def __init__(self, context: zmq.Context[Any], path: Path) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        configure(self.socket, queue=64)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.connect(f"ipc://{path}")
        self.met = False
        self._wait = -1

    def wait_at_most(self, milliseconds: int) -> None:
        """How long a `recv` waits from now on."""
        if milliseconds != self._wait:
            self._wait = milliseconds
            self.socket.setsockopt(zmq.RCVTIMEO, milliseconds)


class Subscription:
    """Events of some types, until closed. After a gap in time, ask for the truth."""

    def __init__(
        self, home: Home, context: zmq.Context[Any], events: tuple[type[Occurred], ...]
    ) -> None:
        self.socket: zmq.Socket[bytes] = context.socket(zmq.SUB)
        configure(self.socket, queue=MAX_EVENTS)
        for event in events:
            self.socket.setsockopt(zmq.SUBSCRIBE, topic(event))
        for owner in sorted({event.owner for event in events}):
            self.socket.connect(f"ipc://{home.socket(owner, 'pub')}")

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Occurred]:
        while True:
            yield from self.poll(None)

    def poll(self, timeout: float | None = 0.0) -> list[Occurred]:
        """The events that are there, waiting up to `timeout` seconds (None: for ever) for one."""
        events = self._drain()
        if not events and timeout != 0:
            wait = -1 if timeout is None else _milliseconds(timeout)
            self.socket.setsockopt(zmq.RCVTIMEO, wait)
            with contextlib.suppress(zmq.Again):
                event = read_event(self.socket.recv_multipart()[0])
                events = [] if event is None else [event, *self._drain()]
        return events

    def fileno(self) -> int:
        """A descriptor for pollers. It rings once for many: call `poll(0)` until it is empty,
        also before the first wait."""
        return int(self.socket.getsockopt(zmq.FD))

    def close(self) -> None:
        """Stop listening."""
        self.socket.close(linger=0)

    def _drain(self) -> list[Occurred]:
        events: list[Occurred] = []
        for _ in range(MAX_EVENTS):
            try:
                event = read_event(self.socket.recv_multipart(_NOWAIT)[0])
            except zmq.Again:
                break
            if event is not None:
                events.append(event)
        return events


def keyed(request: Request[R]) -> Request[R]:
    """The request with its empty `key`, if it has one, filled: every try carries the same."""
    if getattr(request, "key", None) == "":
        return msgspec.structs.replace(request, key=uuid.uuid4().hex)
    return request


def configure(made: zmq.Socket[bytes], queue: int) -> None:
    """The options all sockets share: bounded, quick to reconnect, nothing kept after close."""
    made.setsockopt(zmq.LINGER, 0)
    made.setsockopt(zmq.SNDHWM, queue)
    made.setsockopt(zmq.RCVHWM, queue)
    made.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME)
    made.setsockopt(zmq.RECONNECT_IVL, 5)
    made.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
    made.setsockopt(zmq.HANDSHAKE_IVL, 5000)


def topic(event: type[Occurred]) -> bytes:
    """What the frame of such an event begins with; what a subscription to it asks for."""
    return event.__name__.encode() + b"\0"


def read_event(frame: bytes) -> Occurred | None:
    """The event in a frame (topic, body), or None when it cannot be read."""
    try:
        return cast(Occurred, decode(frame[frame.find(b"\0") + 1 :], Occurred))
    except OrchError:
        return None  # a nudge that cannot be read is a lost one, and those are allowed for


def open_envelope(frame: bytes) -> Envelope | None:
    """The envelope in a frame, or None when it is none."""
    try:
        return _envelope.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def orchd_lives(home: Home) -> bool:
    """Whether an orchd serves this home or holds its lock (starting, or changing its program)."""
    return _answers(home.control) or _lock_held(home)


def _answers(path: Path) -> bool:
    from orch.sockets import answers  # noqa: PLC0415 - only when nobody answers as usual

    return answers(path)


def _lock_held(home: Home) -> bool:
    """Looked up, not tried: a try would hold the lock for a moment, in a starting orchd's way."""
    try:
        seen = home.lock.stat()
        device = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
        with Path("/proc/locks").open(encoding="ascii") as table:
            return any(f" {device} " in line and "FLOCK" in line for line in table)
    except OSError:
        return False


def _promised(request: type[Request[Any]]) -> type[Message]:
    if request not in _replies:
        _replies[request] = reply_type(request)
    return _replies[request]


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
