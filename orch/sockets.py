"""Listening Unix sockets: private, there in one step, never stolen, never stale."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

from orch.errors import Refused

BACKLOG = 512
"""Connections that wait while a process is being replaced (the kernel may allow fewer)."""

DATAGRAM_KINDS = frozenset({"nudge"})
"""The kinds of sockets that carry datagrams; all others carry streams."""


def listen(path: Path, kind: str) -> socket.socket:
    """Listen on `path`, readable by this user alone; raises `Refused`.

    The socket is bound to a temporary name and renamed into place, so whoever sees it can connect.
    What a dead process left is replaced; anything else at `path` is refused and stays.
    """
    style = _style(kind)
    _check_free(path, style)
    # At least as long as what it becomes, so that the kernel checks the length.
    made = path.with_name(f".{os.getpid()}".ljust(len(path.name), "_"))
    listener = socket.socket(socket.AF_UNIX, style)
    umask = os.umask(0o177)
    try:
        made.unlink(missing_ok=True)
        listener.bind(os.fspath(made))
        if style == socket.SOCK_STREAM:
            listener.listen(BACKLOG)
        listener.setblocking(False)
        made.rename(path)
    except OSError as error:
        listener.close()
        made.unlink(missing_ok=True)
        raise Refused(f"cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(umask)
    return listener


def answers(path: Path, style: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether somebody listens on the socket `path`, as far as can be seen."""
    try:
        return _served(path, style)
    except OSError:
        return False


def remove(path: Path) -> None:
    """Remove a socket from `path`; anything else stays."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    except OSError:
        return


class Listener:
    """A listening socket of a service that runs without orchd, and the lock that makes it ours.

    ZeroMQ lets a second binder take over an endpoint in silence; the lock does not.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._lock = _locked(path.with_name(f"{path.name}.lock"), path)
        try:
            self.socket = listen(path, kind)
        except BaseException:
            os.close(self._lock)
            raise
        self._inode = path.lstat().st_ino

    def fileno(self) -> int:
        """The listening descriptor."""
        return self.socket.fileno()

    def close(self) -> None:
        """Stop listening and remove our socket file, if it is still ours."""
        self.socket.close()
        try:
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            pass
        os.close(self._lock)


def _served(path: Path, style: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_UNIX, style) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True  # its backlog is full
        except (ConnectionRefusedError, FileNotFoundError):
            return False
    return True


def _style(kind: str) -> socket.SocketKind:
    return socket.SOCK_DGRAM if kind in DATAGRAM_KINDS else socket.SOCK_STREAM


def _locked(lock: Path, path: Path) -> int:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise Refused(f"{path} is served by another process", "stop that one first") from None
    return fd


def _check_free(path: Path, style: socket.SocketKind) -> None:
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(seen.st_mode):
        raise Refused(f"{path} is in the way: it is not a socket", "move it away")
    if seen.st_uid != os.getuid():
        raise Refused(f"{path} belongs to user {seen.st_uid}", "use a home of your own")
    try:
        served = _served(path, style)
    except OSError as error:
        raise Refused(f"{path} cannot be examined: {error.strerror or error}") from error
    if served:
        raise Refused(f"{path} is served by another process", "stop that one first")
