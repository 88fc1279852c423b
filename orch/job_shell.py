"""`python -I -m orch.job_shell FOLDER`: stands between a session and a job's command.

The session process sees to everything that must survive a crash: one life per folder, the time
limit, the end of all that the command started, `exit.txt`. This one starts the command, in the
group and with the environment that it was given itself, and prints what it writes: secrets masked,
so that none reaches the disk, and no more than `KEPT` bytes from the beginning and `TAIL` from the
end.
"""

from __future__ import annotations

import codecs
import os
import signal
import sys
from pathlib import Path

import msgspec

from orch.config.layers import secrets
from orch.config.load import load
from orch.core.redact import Masker, masked
from orch.errors import OrchError
from orch.paths import Home
from orch.tools import process

ORDER = "job.json"
"""The file that says what to run."""

KEPT = 1 << 20
TAIL = 64 << 10
NOT_STARTED = 127


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, in which folder, and for which home's project."""

    argv: tuple[str, ...]
    cwd: str
    home: str
    project: str


class Printer:
    """Prints bytes as masked text: the first `kept` of them, and the last `tail` at the end."""

    def __init__(self, known: tuple[str, ...], kept: int = KEPT, tail: int = TAIL) -> None:
        self._known = known
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._masker = Masker(known)
        self._room = kept
        self._most = tail
        self._tail = b""
        self._left_out = 0

    def add(self, data: bytes) -> str:
        """What is to be printed now."""
        now, later = data[: self._room], data[self._room :]
        self._room -= len(now)
        if later:
            self._tail += later
            over = max(0, len(self._tail) - self._most)
            self._left_out, self._tail = self._left_out + over, self._tail[over:]
        return self._masker.add(self._decoder.decode(now)) if now else ""

    def rest(self) -> str:
        """What is to be printed at the end."""
        held = self._masker.add(self._decoder.decode(b"", final=True)) + self._masker.rest()
        if not self._tail:
            return held
        note = f"\n… {self._left_out} bytes left out …\n" if self._left_out else ""
        return held + note + masked(self._tail.decode("utf-8", "replace"), self._known)


def main(folder: str) -> int:
    """Run the order in the folder; returns its exit code, as a shell tells it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the command gets it too; its last words are heard
    path = Path(folder) / ORDER
    order = msgspec.json.decode(path.read_bytes(), type=Order)
    path.unlink()  # the command may name a secret, and nobody else reads it
    printer = Printer(_known(order))
    try:
        code = process.follow(order.argv, order.cwd, lambda data: _print(printer.add(data)))
    except OrchError as error:
        _print(f"{error.message}{f' ({error.hint})' if error.hint else ''}\n")
        return NOT_STARTED
    finally:
        _print(printer.rest())
    return 128 - code if code < 0 else code


def _known(order: Order) -> tuple[str, ...]:
    """The secret values of the home's configuration and of the project's; while it is invalid,
    only the patterns hold."""
    try:
        loaded = load(Home(order.home))
    except OrchError:
        return ()
    project = loaded.projects.get(order.project)
    return secrets(loaded.config) + (secrets(project.config) if project else ())


def _print(text: str) -> None:
    data = memoryview(text.encode("utf-8", "replace"))
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
