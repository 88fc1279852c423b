"""Where requests are answered: read, checked, handed to one handler once, replied to."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from orch import __version__
from orch.errors import Malformed, OrchError, Refused
from orch.log import Seldom
from orch.messages import (
    Envelope,
    Failed,
    Message,
    Request,
    decode,
    encode,
    failure,
    reply_type,
)

REMEMBERED = 256
"""Recent replies kept, so that a request that comes again is not done again."""

REMEMBERED_BYTES = 16384
"""A larger reply is not kept: its request is done again, which all requests allow."""

MAX_PENDING = 1024
"""Requests whose reply may be outstanding; more are refused."""

ID_BYTES = range(16, 65)
"""How long an id may be; a shorter one might not be unique over all clients."""

SLOW = 1.0
"""Seconds in one handler that are worth a line in the log."""

_encoder = msgspec.msgpack.Encoder()
_envelope = msgspec.msgpack.Decoder(Envelope)


class Later:
    """A reply that is given later: return it from a handler, then call it, once, in the loop."""

    def __init__(self) -> None:
        self._outcome: Message | Exception | None = None
        self._send: Callable[[Message | Exception], None] | None = None

    def __call__(self, outcome: Message | Exception) -> None:
        """Answer with a reply or an expected error; any other error is raised. Once only."""
        if self._outcome is not None:
            return
        self._outcome = outcome
        if self._send is not None:
            self._send(outcome)

    def bind(self, send: Callable[[Message | Exception], None]) -> None:
        """Say where the reply goes; called by the desk."""
        self._send = send
        if self._outcome is not None:
            send(self._outcome)


Handler = Callable[[Any], Message | Later]
Handle = Callable[[Request[Any], Handler], Message | Later]


class Desk:
    """Takes the frames of a request, `[peer, envelope]`, and sends those of its reply."""

    def __init__(
        self,
        service: str,
        handlers: dict[type[Message], Handler],
        handle: Handle,
        send: Callable[[list[bytes]], None],
        seldom: Seldom,
    ) -> None:
        self._service = service
        self._handlers = handlers
        self._promises = {
            request: reply_type(request) for request in handlers if issubclass(request, Request)
        }
        self._handle = handle
        self._send = send
        self._seldom = seldom
        self._pending: dict[bytes, bytes] = {}
        self._recent: OrderedDict[bytes, bytes] = OrderedDict()
        self.dropped: dict[str, int] = {}
        """How many requests got no answer, by reason."""

    def take(self, frames: list[bytes]) -> None:
        """Answer one request, or drop it. Raises what a handler raises unless it is expected."""
        asked = read_envelope(frames)
        if asked is None:
            self._drop("unreadable", frames=len(frames), bytes=sum(map(len, frames)))
            return
        peer = frames[0]
        if not time.monotonic() <= asked.deadline:
            self._drop("past its deadline")
        elif (known := self._recent.get(asked.id)) is not None:
            self._reply(peer, asked.id, known)
        elif asked.id in self._pending:
            self._pending[asked.id] = peer
        else:
            self._answer(peer, asked, len(frames))

    def _answer(self, peer: bytes, asked: Envelope, frame_count: int) -> None:
        request: Request[Any] | None = None
        began = time.monotonic()
        try:
            request, handler = self._read(asked, frame_count)
            outcome = self._handle(request, handler)
        except OrchError as error:
            self._finish(peer, asked, request, error)
            return
        took = time.monotonic() - began
        if took > SLOW:
            name = type(request).__name__
            self._seldom.warning(f"slow {name}", f"{name} took {took:.1f} s", seconds=took)
        if isinstance(outcome, Later):
            self._wait(peer, asked, request, outcome)
        else:
            self._finish(peer, asked, request, outcome)

    def _read(self, asked: Envelope, frame_count: int) -> tuple[Request[Any], Handler]:
        if frame_count != 2:
            raise Malformed(f"a request is one frame, this one {frame_count - 1}")
        request = decode(asked.body, Request, peer=asked.version)
        handler = self._handlers.get(type(request))
        if handler is None or not isinstance(request, Request):
            raise Malformed(f"{self._service} does not answer {type(request).__name__}")
        return request, handler

    def _wait(self, peer: bytes, asked: Envelope, request: Request[Any], later: Later) -> None:
        if len(self._pending) >= MAX_PENDING:
            full = Refused(f"{MAX_PENDING} requests wait for their reply already", "try later")
            self._finish(peer, asked, request, full)
            return
        self._pending[asked.id] = peer

        def send(outcome: Message | Exception) -> None:
            back = self._pending.pop(asked.id, peer)
            self._finish(back, asked, request, outcome)

        later.bind(send)

    def _finish(
        self,
        peer: bytes,
        asked: Envelope,
        request: Request[Any] | None,
        outcome: Message | Exception,
    ) -> None:
        if isinstance(outcome, OrchError):
            outcome = failure(outcome)
        elif isinstance(outcome, Exception):
            raise outcome
        promised = None if request is None else self._promises[type(request)]
        if type(outcome) not in (promised, Failed):
            raise TypeError(f"{type(request).__name__} promises {promised}, not {outcome!r}")
        if time.monotonic() > asked.deadline:
            self._drop("answered past its deadline")
            return
        body = self._encoded(outcome)
        if len(body) <= REMEMBERED_BYTES:
            self._recent[asked.id] = body
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        self._reply(peer, asked.id, body)

    def _encoded(self, reply: Message) -> bytes:
        try:
            return encode(reply)
        except OrchError as error:
            return encode(failure(error))

    def _reply(self, peer: bytes, ident: bytes, body: bytes) -> None:
        self._send([peer, _encoder.encode(Envelope(ident, __version__, 0.0, body))])

    def _drop(self, reason: str, **fields: object) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self._seldom.warning(reason, f"dropped a request: {reason}", **fields)


def read_envelope(frames: list[bytes]) -> Envelope | None:
    """The envelope after the peer's frame, or None when there is none that can be answered."""
    if len(frames) < 2:
        return None
    try:
        envelope = _envelope.decode(frames[1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return envelope if len(envelope.id) in ID_BYTES else None
