"""The files of a structured session: raw messages, stderr, and what the agent does now."""

from __future__ import annotations

import errno
import json
import os

from orch.session import order
from orch.session.record import FULL


class Tape:
    """A file that is only appended to; what a full disk refuses is kept until it is written.

    Beyond `most` bytes nothing is kept (0: no limit).
    """

    def __init__(self, path: str, most: int = 0) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = os.open(path, flags, 0o600)
        self._left = most - os.fstat(self._file).st_size if most else -1
        self.waiting = b""
        self.problem = ""

    def add(self, data: bytes) -> None:
        """Append `data`; what cannot be written now waits."""
        if self._left >= 0:
            data = data[: self._left]
            self._left -= len(data)
        if data:
            self.waiting += data
            self.retry()

    def retry(self) -> bool:
        """Write what waits; true when nothing waits any more."""
        while self.waiting:
            try:
                done = os.write(self._file, self.waiting)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                self.problem = error.strerror or "cannot write"
                return False
            self.waiting = self.waiting[done:]
        self.problem = ""
        return True

    def close(self) -> None:
        """Bring everything to the disk. Raises `OSError` when that cannot be done."""
        if not self.retry():
            raise OSError(errno.ENOSPC, self.problem)
        os.fsync(self._file)


class StateFile:
    """`state.json`: replaced whenever what it says changes."""

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/state.json"
        self._last = b""

    def write(self, state: dict[str, object]) -> bool:
        """Write the state if it is another; true when it was. A full disk leaves the old one."""
        data = json.dumps(state, ensure_ascii=False).encode("utf-8", "replace")
        if data == self._last:
            return False
        try:
            order.replace(self._path, data, lasting=False)
        except OSError:
            return False
        self._last = data
        return True
