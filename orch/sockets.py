"""Listening Unix sockets: made private and in one step, never stolen, never stale."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from pathlib import Path

from orch.errors import Refused

BACKLOG = 128
"""Connections that wait while a process is being replaced."""


class Listener:
    """A listening socket and the lock that makes it ours; `close` removes both."""

    def __init__(self, path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        self.path = path
        self._lock = _locked(path.with_name(f"{path.name}.lock"), path)
        try:
            self.socket = _bound(path, kind)
        except BaseException:
            os.close(self._lock)
            raise
        self._inode = path.stat().st_ino

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


def answers(path: Path) -> bool:
    """Whether somebody listens on the stream socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except BlockingIOError:
            return True  # its backlog is full
        except OSError:
            return False
    return True


def _locked(lock: Path, path: Path) -> int:
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise Refused(f"{path} is served by another process", "stop that one first") from None
    return fd


def _bound(path: Path, kind: socket.SocketKind) -> socket.socket:
    _check_place(path, kind)
    made = path.with_name(f".{os.getpid()}")
    made.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    umask = os.umask(0o177)
    try:
        listener.bind(os.fspath(made))
        if kind == socket.SOCK_STREAM:
            listener.listen(BACKLOG)
        listener.setblocking(False)
        made.rename(path)
    except OSError as error:
        listener.close()
        made.unlink(missing_ok=True)
        raise Refused(f"cannot listen on {path}: {error}") from error
    finally:
        os.umask(umask)
    return listener


def _check_place(path: Path, kind: socket.SocketKind) -> None:
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(seen.st_mode):
        raise Refused(f"{path} is there and is not a socket", "move it away")
    if seen.st_uid != os.getuid():
        raise Refused(f"{path} belongs to user {seen.st_uid}", "use a home of your own")
    if kind == socket.SOCK_STREAM and answers(path):
        raise Refused(f"{path} is served by another process", "stop that one first")
