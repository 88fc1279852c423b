"""Asking a session process over its control socket (`orch.session.control`)."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import msgspec

from orch.errors import Unknown

MOST_BYTES = 1 << 20
"""The largest frame, as the session process has it."""


class Deaf(Exception):
    """Nobody listens at the socket: the session has ended, or has not begun."""


def ask(path: Path, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Send one request and wait for its answer.

    Raises `Deaf` when nobody listens, `Unknown` when no answer comes in time.
    """
    data = msgspec.msgpack.encode(request)
    if len(data) > MOST_BYTES:
        return {"error": f"a text of {len(data)} bytes is over the limit of {MOST_BYTES}"}
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        try:
            link.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise Deaf(str(path)) from error
        except OSError as error:
            raise Unknown(f"cannot reach the session at {path}: {error}") from error
        try:
            link.sendall(len(data).to_bytes(4, "big") + data)
            size = int.from_bytes(_exactly(link, 4, deadline), "big")
            reply = msgspec.msgpack.decode(_exactly(link, min(size, MOST_BYTES), deadline))
        except (OSError, msgspec.DecodeError) as error:
            raise Unknown(f"the session at {path} did not answer: {error}") from error
    if not isinstance(reply, dict):
        raise Unknown(f"the session at {path} answered strangely")
    return reply


def _exactly(link: socket.socket, count: int, deadline: float) -> bytes:
    data = b""
    while len(data) < count:
        link.settimeout(max(0.001, deadline - time.monotonic()))
        block = link.recv(count - len(data))
        if not block:
            raise OSError("the connection was closed")
        data += block
    return data
