"""The session's control socket: text, stop, interrupt, resize and status, by framed msgpack.

A frame is a length (4 bytes, big-endian) and a msgpack map. Requests have a `type`:
`input {text, submit, by, key}` is answered `{state, reason}`, once the truth is known; so are
`approve` and `deny {question, reason, by, key}`, which settle what a structured agent asks
(`question` '' is the oldest), and `budget {budget}`, which gives it other limits. `take {by}`
(somebody works in the session; '' nobody any more), `stop {reason}`, `interrupt`, `resize
{columns, rows}` and `status` are answered with the session's status. What cannot be understood is
answered `{error}` and the connection closed.
"""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH104, PTH108, PTH116, PTH118, PTH120

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MOST_BYTES = 1 << 20
"""The largest frame."""
MOST_PEERS = 32
"""Connections at a time; one more is closed at once."""
ONCE = ("input", "approve", "deny")
"""Requests that are done once for each key."""
MOST_KEYS = 512
"""Answers that are remembered, to answer a repeated key alike."""


class Peer:
    """One connection: what came in so far, and what is to go out."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.into = bytearray()
        self.out = bytearray()
        self.closing = False

    def fileno(self) -> int:
        """For select."""
        return self.link.fileno()


class Control:
    """Listens at `path`; calls `handle(request, answer)` for each request."""

    def __init__(
        self, path: str, handle: Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], None]
    ) -> None:
        self.peers: list[Peer] = []
        self._handle = handle
        self._path = path
        self.door = listen(path)
        self._inode = os.stat(path).st_ino
        self._answers: dict[str, dict[str, Any] | list[Peer]] = {}

    def accept(self) -> None:
        """Take a new connection."""
        try:
            link, _ = self.door.accept()
        except OSError:
            return
        link.setblocking(False)
        if len(self.peers) >= MOST_PEERS:
            link.close()
        else:
            self.peers.append(Peer(link))

    def receive(self, peer: Peer) -> None:
        """Read what came, and handle every whole request in it."""
        try:
            data = peer.link.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return
        peer.into += data
        while len(peer.into) >= 4 and not peer.closing:
            size = int.from_bytes(peer.into[:4], "big")
            if size > MOST_BYTES:
                self._fail(peer, f"a request of {size} bytes is over the limit of {MOST_BYTES}")
                return
            if len(peer.into) < 4 + size:
                return
            body = bytes(peer.into[4 : 4 + size])
            del peer.into[: 4 + size]
            self._request(peer, body)

    def flush(self, peer: Peer) -> None:
        """Send what waits for a connection."""
        try:
            del peer.out[: peer.link.send(peer.out)]
        except BlockingIOError:
            return
        except OSError:
            self._drop(peer)
            return
        if peer.closing and not peer.out:
            self._drop(peer)

    def close(self) -> None:
        """Answer what has come, and leave; the socket goes if it is still ours."""
        before = -1
        while before != len(self.peers):
            before = len(self.peers)
            self.accept()
        for peer in list(self.peers):
            self.receive(peer)
            if peer in self.peers and peer.out:
                self.flush(peer)
            self._drop(peer)
        self.door.close()
        with contextlib.suppress(OSError):
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)

    def _request(self, peer: Peer, body: bytes) -> None:
        import msgspec.msgpack  # noqa: PLC0415 - most sessions are never asked anything

        try:
            request = msgspec.msgpack.decode(body)
        except msgspec.DecodeError as error:
            self._fail(peer, f"cannot read the request: {error}")
            return
        if not isinstance(request, dict) or not isinstance(request.get("type"), str):
            self._fail(peer, "a request is a map with a type")
            return
        key = str(request.get("key") or "") if request["type"] in ONCE else ""
        if not key:
            self._handle(request, lambda reply: self._send(peer, reply))
            return
        known = self._answers.get(key)
        if isinstance(known, dict):
            self._send(peer, known)
        elif known is not None:
            known.append(peer)
        else:
            self._answers[key] = [peer]
            self._handle(request, lambda reply: self._settle(key, reply))

    def _settle(self, key: str, reply: dict[str, Any]) -> None:
        waiting = self._answers.pop(key, None)
        if reply.get("state") != "refused":  # nothing was typed, so it may be tried again
            self._answers[key] = reply
        for peer in waiting if isinstance(waiting, list) else ():
            self._send(peer, reply)
        while len(self._answers) > MOST_KEYS:
            oldest = next((k for k, v in self._answers.items() if isinstance(v, dict)), None)
            if oldest is None:
                return
            del self._answers[oldest]

    def _send(self, peer: Peer, reply: dict[str, Any]) -> None:
        import msgspec.msgpack  # noqa: PLC0415

        if peer in self.peers and len(peer.out) <= MOST_BYTES:
            data = msgspec.msgpack.encode(reply)
            peer.out += len(data).to_bytes(4, "big") + data

    def _fail(self, peer: Peer, problem: str) -> None:
        peer.closing = True
        self._send(peer, {"error": problem})

    def _drop(self, peer: Peer) -> None:
        peer.link.close()
        if peer in self.peers:
            self.peers.remove(peer)


def listen(path: str) -> socket.socket:
    """A listening socket at `path` (0600). A socket left there is replaced, nothing else is.

    It gets its name only once it listens, so that who finds it is heard. Raises `OSError`.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "something that is no socket is there", path)
    fresh = os.path.join(os.path.dirname(path), f".{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        door.bind(fresh)
    finally:
        os.umask(before)
    door.listen(16)
    door.setblocking(False)
    os.rename(fresh, path)
    return door
