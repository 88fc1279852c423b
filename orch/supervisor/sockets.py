"""The sockets orchd makes for its services: private, there in one step, never stale."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from orch.errors import Refused
from orch.paths import SOCKET_BYTES

BACKLOG = 512
"""Connections that wait while a service is being replaced (the kernel may allow fewer)."""

DATAGRAM_KINDS = frozenset({"nudge"})
"""The kinds of sockets that carry datagrams; all others carry streams."""


def listen(path: Path, kind: str) -> socket.socket:
    """Listen on `path`, readable by this user alone; raises `Refused`.

    The socket is bound to a temporary name and renamed into place, so whoever sees it can connect.
    What a dead orchd left is replaced; anything else at `path` is refused and stays.
    """
    if len(os.fsencode(path)) > SOCKET_BYTES:
        raise Refused(f"{path} is longer than the {SOCKET_BYTES} bytes a socket's path may have")
    datagrams = kind in DATAGRAM_KINDS
    style = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    check_free(path, style)
    made = path.with_name(f".{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, style)
    before = os.umask(0o177)
    try:
        made.unlink(missing_ok=True)
        listener.bind(os.fspath(made))
        if not datagrams:
            listener.listen(BACKLOG)
        listener.setblocking(False)
        made.rename(path)
    except OSError as error:
        listener.close()
        made.unlink(missing_ok=True)
        raise Refused(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return listener


def check_free(path: Path, style: socket.SocketKind) -> None:
    """Raise `Refused` unless nothing is at `path`, or a socket of ours that nobody serves."""
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(seen.st_mode):
        raise Refused(f"{path} is in the way: it is not a socket", "move it away")
    if seen.st_uid != os.getuid():
        raise Refused(f"{path} belongs to user {seen.st_uid}", "use a home of your own")
    if _served(path, style):
        raise Refused(f"{path} is served by another process", "stop that one first")


def remove(path: Path) -> None:
    """Remove a socket of ours from `path`; anything else stays."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except OSError:
        return


def _served(path: Path, style: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_UNIX, style) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True  # somebody listens, and is busy
        except ConnectionRefusedError:
            return False
        except OSError as error:
            raise Refused(f"{path} cannot be examined: {error.strerror}") from error
    return True
