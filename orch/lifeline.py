"""The child's side of descriptor 3: tell orchd how we are, hear what it wants, notice its end."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

FDS_VARIABLE = "ORCH_FDS"
"""Names the descriptors handed to a supervised process: `lifeline=3,req=4,pub=5,nudge=6`."""

MAX_LINE = 1 << 20
"""The longest line orchd may send, in bytes; a longer one ends the lifeline."""


def handed(environment: Mapping[str, str] | None = None) -> dict[str, int]:
    """The descriptors in `ORCH_FDS` by name; empty when started by hand. Raises ValueError."""
    text = (os.environ if environment is None else environment).get(FDS_VARIABLE, "")
    pairs = (item.split("=", 1) for item in text.split(",") if item)
    return {name: int(number) for name, number in pairs}


def entitle(title: str) -> None:
    """Name this process in `ps`, leaving the environment that others see as it was."""
    os.environ.setdefault("SPT_NOENV", "1")
    import setproctitle  # noqa: PLC0415 - it takes the variable into account when it is loaded

    setproctitle.setproctitle(title)


class Lifeline:
    """A socket to orchd that carries lines; without one (`fd` None) every method does nothing.

    Nothing here blocks: a line that orchd has no room for is dropped, except what `ready` says,
    which is the first line and always fits.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._socket: socket.socket | None = None
        self._rest = b""
        self.ended = False
        """Whether orchd has closed its side, which it does by dying."""
        if fd is not None:
            os.set_inheritable(fd, False)
            self._socket = socket.socket(fileno=fd)
            self._socket.setblocking(False)

    @property
    def supervised(self) -> bool:
        """Whether this process was started by orchd."""
        return self._socket is not None

    def fileno(self) -> int:
        """The descriptor to wait on, -1 when there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def ready(self) -> None:
        """Say that requests are being served from now on."""
        self._say("READY")

    def heartbeat(self, progress: int) -> None:
        """Say that the work loop turns; `progress` counts what it has done."""
        self._say(f"HEARTBEAT {progress}")

    def extend(self, seconds: float) -> None:
        """Announce work that keeps the loop busy for up to `seconds`."""
        self._say(f"EXTEND {seconds:g}")

    def receive(self) -> list[str]:
        """The whole lines that have come, oldest first; sets `ended` at the end of the stream."""
        while self._socket is not None and not self.ended:
            try:
                data = self._socket.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data = b""
            self._rest += data
            self.ended = not data or len(self._rest) > MAX_LINE
        *lines, self._rest = self._rest.split(b"\n")
        return [line.decode("utf-8", "replace") for line in lines if line]

    def close(self) -> None:
        """Give the descriptor back; orchd sees the end of the stream."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, line: str) -> None:
        if self._socket is None or self.ended:
            return
        try:
            self._socket.send(f"{line}\n".encode())
        except BlockingIOError:
            return
        except OSError:
            self.ended = True
