"""Asking a service and hearing its events, through kills and restarts of the other side."""

from __future__ import annotations

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
    Failed,
    Header,
    Message,
    Occurred,
    Request,
    decode,
    encode,
    raised,
    reply_type,
)
from orch.paths import Home
from orch.sockets import answers

R = TypeVar("R", bound=Message)
E = TypeVar("E", bound=Occurred)

FIRST_TRY = 0.25
"""Seconds a request is given before it is sent again; doubled on each try."""

SLICE = 0.25
"""Seconds between two calls of a client's `waiting`."""

MAX_EVENTS = 1000
"""Events queued for a subscriber, and handed out by one `Subscription.poll`."""

_header = msgspec.msgpack.Encoder()
_reply_header = msgspec.msgpack.Decoder(Header)
_replies: dict[type[Message], type[Message]] = {}


class Client:
    """Talks to the services of one home; for one thread. `waiting` is called while it waits."""

    def __init__(
        self,
        home: Home,
        context: zmq.Context[Any] | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> None:
        self.home = home
        self._context = context
        self._own = context is None
        self._waiting = waiting
        self._dealers: dict[str, zmq.Socket[bytes]] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Request[R], timeout: float = 5.0, to: str = "") -> R:
        """The reply of the request's owner (or of service `to`) within `timeout` seconds.

        The request is sent again, under the same id and key, until an answer comes. Raises the
        error of a `Failed` reply, `Unavailable` past the deadline, `NotRunning` without orchd.
        """
        service = to or type(request).owner
        if not service or service == "orchd":
            raise Malformed(f"{type(request).__name__} goes to {service or 'a service to name'}")
        deadline = time.monotonic() + timeout
        header = Header(os.urandom(16), __version__, deadline)
        frames = [_header.encode(header), encode(keyed(request))]
        seen, body = self._exchange(service, header.id, frames, deadline)
        reply = decode(body, Message, peer=seen.version)
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
        for dealer in self._dealers.values():
            dealer.close(linger=0)
        self._dealers.clear()
        if self._own and self._context is not None:
            self._context.destroy(linger=0)
            self._context = None

    def _exchange(
        self, service: str, ident: bytes, frames: list[bytes], deadline: float
    ) -> tuple[Header, bytes]:
        dealer = self._dealer(service)
        pause, sent = FIRST_TRY, False
        while (now := time.monotonic()) < deadline:
            until = min(deadline, now + pause)
            if not self._send(dealer, frames, until):
                self._check_running(service)
                continue
            sent = True
            answer = self._receive(dealer, ident, until)
            if answer is not None:
                return answer
            pause *= 2
        state = "did not answer in time" if sent else "could not be reached in time"
        raise Unavailable(f"{service} {state}", "`orch status` shows how it is")

    def _send(self, dealer: zmq.Socket[bytes], frames: list[bytes], until: float) -> bool:
        try:
            dealer.send_multipart(frames, zmq.NOBLOCK, copy=True)
        except zmq.Again:
            return self._send_connected(dealer, frames, until)
        return True

    def _send_connected(self, dealer: zmq.Socket[bytes], frames: list[bytes], until: float) -> bool:
        while (left := until - time.monotonic()) > 0:
            dealer.setsockopt(zmq.SNDTIMEO, _milliseconds(min(left, SLICE)))
            try:
                dealer.send_multipart(frames, copy=True)
            except zmq.Again:
                self._idle()
            else:
                return True
        return False

    def _receive(
        self, dealer: zmq.Socket[bytes], ident: bytes, until: float
    ) -> tuple[Header, bytes] | None:
        while (left := until - time.monotonic()) > 0:
            dealer.setsockopt(zmq.RCVTIMEO, _milliseconds(min(left, SLICE)))
            try:
                frames = dealer.recv_multipart()
            except zmq.Again:
                self._idle()
                continue
            header = _read_header(frames)
            if header is not None and header.id == ident:
                return header, frames[1]
        return None

    def _idle(self) -> None:
        if self._waiting is not None:
            self._waiting()

    def _check_running(self, service: str) -> None:
        """Raise `NotRunning` when nobody listens and no orchd is there to change that."""
        if answers(self.home.socket(service, "req")) or orchd_lives(self.home):
            return
        raise NotRunning(f"orch is not running on {self.home.root}", "start it with `orch up -d`")

    def _dealer(self, service: str) -> zmq.Socket[bytes]:
        dealer = self._dealers.get(service)
        if dealer is None:
            path = self.home.socket(service, "req")
            if not path.exists():
                self._check_running(service)
            dealer = self._ready_context().socket(zmq.DEALER)
            configure(dealer, queue=64)
            dealer.setsockopt(zmq.IMMEDIATE, 1)
            dealer.connect(f"ipc://{path}")
            self._dealers[service] = dealer
        return dealer

    def _ready_context(self) -> zmq.Context[Any]:
        if self._context is None:
            self._context = zmq.Context()
        return self._context


class Subscription:
    """Events of some types, until closed. After a gap in time, ask for the truth."""

    def __init__(
        self, home: Home, context: zmq.Context[Any], events: tuple[type[Occurred], ...]
    ) -> None:
        self._names = frozenset(event.__name__.encode() for event in events)
        self.socket: zmq.Socket[bytes] = context.socket(zmq.SUB)
        configure(self.socket, queue=MAX_EVENTS)
        for name in self._names:
            self.socket.setsockopt(zmq.SUBSCRIBE, name)
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
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not events and (left := deadline - time.monotonic()) > 0:
            self.socket.poll(None if left == math.inf else _milliseconds(left))
            events = self._drain()
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
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event = read_event(frames, self._names)
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
    made.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
    made.setsockopt(zmq.RECONNECT_IVL, 5)
    made.setsockopt(zmq.RECONNECT_IVL_MAX, 100)
    made.setsockopt(zmq.HANDSHAKE_IVL, 5000)


def read_event(frames: list[bytes], names: frozenset[bytes]) -> Occurred | None:
    """The event in two frames (class name, body), or None if it is not one of `names`."""
    if len(frames) != 2 or frames[0] not in names:
        return None
    try:
        return cast(Occurred, decode(frames[1], Occurred))
    except OrchError:
        return None  # a nudge that cannot be read is a lost one, and those are allowed for


def orchd_lives(home: Home) -> bool:
    """Whether an orchd serves this home or holds its lock (starting, or changing its program)."""
    return answers(home.control) or _lock_held(home)


def _lock_held(home: Home) -> bool:
    """Looked up, not tried: a try would hold the lock for a moment, in a starting orchd's way."""
    try:
        seen = home.lock.stat()
        device = f"{os.major(seen.st_dev):02x}:{os.minor(seen.st_dev):02x}:{seen.st_ino}"
        with Path("/proc/locks").open(encoding="ascii") as table:
            return any(f" {device} " in line and "FLOCK" in line for line in table)
    except OSError:
        return False


def _read_header(frames: list[bytes]) -> Header | None:
    if len(frames) != 2:
        return None
    try:
        return _reply_header.decode(frames[0])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _promised(request: type[Request[Any]]) -> type[Message]:
    if request not in _replies:
        _replies[request] = reply_type(request)
    return _replies[request]


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
