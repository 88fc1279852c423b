"""The record of a session: every byte of its output, when it came, and a nudge for who follows.

`terminal.timing` is text, one record a line: `t EPOCH` (when it began), `r SECONDS COLUMNS ROWS`
(the terminal's size from then on), `o SECONDS OFFSET` (so much of `terminal.log` was there by
then; seconds since the beginning). Read it with `orch.session.timing`.
"""

from __future__ import annotations

import errno
import os
import socket
import time

STEP = 0.005
"""Seconds: output closer together than this shares one timing record."""

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Write errors that may pass: no space, quota, size limit, a disk that hiccups."""


class Record:
    """Appends to `terminal.log` and `terminal.timing`; what a full disk refuses is kept."""

    def __init__(
        self, folder: str, session: str, nudges: tuple[str, ...], endings: tuple[str, ...] = ()
    ) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._log = os.open(f"{folder}/terminal.log", flags, 0o600)
        self._timing = os.open(f"{folder}/terminal.timing", flags, 0o600)
        self.size = os.fstat(self._log).st_size
        self.waiting = b""
        self.problem = ""
        self._began = time.monotonic()
        self._noted = -1.0
        self._pending: tuple[float, int] | None = None
        self._nudges, self._endings = nudges, endings
        self.told = -1
        """The size that followers were told last."""
        name = session.encode()[:200]
        self._nudge = b"\x83\xa7session\xd9" + bytes([len(name)]) + name + b"\xa4size\xcf"
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bell.setblocking(False)
        self._note(f"t {time.time():.6f}\n")

    def add(self, data: bytes) -> None:
        """Append `data`; what cannot be written now waits."""
        if data:
            self.waiting += data
            self.retry()

    def retry(self) -> bool:
        """Write what waits; true when nothing waits any more."""
        before = self.size
        while self.waiting:
            try:
                done = os.write(self._log, self.waiting)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                self.problem = error.strerror or "cannot write"
                break
            self.size += done
            self.waiting = self.waiting[done:]
        if self.size > before:
            self._time()
        if not self.waiting:
            self.problem = ""
        return not self.waiting

    def resized(self, columns: int, rows: int) -> None:
        """Note that the terminal has this size from now on."""
        self._flush()
        self._note(f"r {time.monotonic() - self._began:.6f} {columns} {rows}\n")

    def tell(self, ended: bool = False, asking: bool = False) -> None:
        """Nudge the followers, best effort: a lost nudge is found by their own timers. `asking`
        says that the agent waits for an answer (`state.json` holds the question)."""
        size = self.size.to_bytes(8, "big")
        note = self._nudge + size + (b"\xa5ended\xc3" if ended else b"\xa5ended\xc2")
        if asking:
            note = b"\x84" + note[1:] + b"\xa6asking\xc3"
        self.told = self.size
        for path in (*self._nudges, *self._endings) if ended else self._nudges:
            try:
                self._bell.sendto(note, path)
            except OSError:
                continue

    def close(self) -> None:
        """Bring everything to the disk. Raises `OSError` when that cannot be done."""
        if not self.retry():
            raise OSError(errno.ENOSPC, self.problem)
        self._flush()
        os.fsync(self._log)

    def _time(self) -> None:
        now = time.monotonic() - self._began
        if now - self._noted < STEP:
            self._pending = (now, self.size)
            return
        self._flush()
        self._noted = now
        self._note(f"o {now:.6f} {self.size}\n")

    def _flush(self) -> None:
        if self._pending:
            at, size = self._pending
            self._pending = None
            self._note(f"o {at:.6f} {size}\n")

    def _note(self, line: str) -> None:
        try:
            os.write(self._timing, line.encode())
        except OSError:
            return  # only the pace of a replay is lost
