"""Talking to orchd on `ctl.sock`: frames of a 4-byte length and msgpack, and the asking side."""

from __future__ import annotations

import socket
import time
from typing import cast

from orch.errors import Malformed, NotRunning, Unavailable
from orch.messages import MAX_BYTES, Failed, Message, R, Request, decode, encode, raised, reply_type
from orch.paths import Home

LENGTH_BYTES = 4
"""The length of a frame's body, big-endian, goes before it."""


class Frames:
    """Takes bytes as they come and gives whole bodies, none longer than `limit`."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._rest = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are held that `next` has not given yet."""
        return len(self._rest)

    def take(self, data: bytes) -> None:
        """Add what was received."""
        self._rest += data

    def next(self) -> bytes | None:
        """The next whole body, None until there is one; raises `Malformed` when it is too long."""
        if len(self._rest) < LENGTH_BYTES:
            return None
        length = int.from_bytes(self._rest[:LENGTH_BYTES], "big")
        if length > self._limit:
            raise Malformed(f"a frame of {length} bytes is over the limit of {self._limit}")
        end = LENGTH_BYTES + length
        if len(self._rest) < end:
            return None
        body = bytes(self._rest[LENGTH_BYTES:end])
        del self._rest[:end]
        return body


def framed(message: Message) -> bytes:
    """The message as it goes over `ctl.sock`; raises `Malformed` when it is too large."""
    body = encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def ask(home: Home, request: Request[R], timeout: float = 30.0) -> R:
    """orchd's reply to `request` within `timeout` seconds.

    Raises `NotRunning` when nobody listens, `Unavailable` when no answer comes in time or orchd
    goes away first, and the error that a `Failed` reply carries.
    """
    deadline = time.monotonic() + timeout
    with _connected(home, deadline) as connection:
        try:
            connection.sendall(framed(request))
            body = _body(connection, deadline)
        except TimeoutError:
            name = type(request).__name__
            raise Unavailable(f"orchd did not answer {name} within {timeout:g} s") from None
        except OSError as error:
            raise _went_away(error.strerror or str(error)) from error
    reply = decode(body, Message)
    if isinstance(reply, Failed):
        raise raised(reply)
    if not isinstance(reply, reply_type(type(request))):
        raise Malformed(f"orchd answered {type(request).__name__} with {type(reply).__name__}")
    return cast("R", reply)


def _connected(home: Home, deadline: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_left(deadline))
        connection.connect(str(home.control))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        raise NotRunning(f"orchd does not run on {home.root}", "start it with `orch up`") from None
    except OSError as error:
        connection.close()
        raise Unavailable(f"orchd cannot be reached: {error}") from error
    return connection


def _body(connection: socket.socket, deadline: float) -> bytes:
    frames = Frames()
    while (body := frames.next()) is None:
        connection.settimeout(_left(deadline))
        data = connection.recv(65536)
        if not data:
            raise _went_away("it closed the connection")
        frames.take(data)
    return body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _went_away(why: str) -> Unavailable:
    return Unavailable(f"orchd went away before it answered: {why}", "see `orch status`")
