"""A structured agent's process: on three pipes, with a terminal of its own beside them.

It writes to the pipes. The terminal is only its controlling one: when the session process dies,
however suddenly, the kernel hangs it up, so that the agent does not work on unwatched.
"""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH123

from __future__ import annotations

import errno
import os

from orch.session.program import BLOCK, LaunchFailed, Program, launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orch.session.launch import Launch


class Piped(Program):
    """A running agent on pipes. `errors` is what it writes to stderr; -1 once that has ended."""

    def __init__(self, pid: int, master: int, slave: int, ends: tuple[int, int, int]) -> None:
        super().__init__(pid, master, slave)
        self.input, self.output, self.errors = ends
        for end in ends:
            if end >= 0:
                os.set_blocking(end, False)

    def read(self) -> bytes | None:
        """See `Program.read`."""
        return _read(self.output)

    def write(self, data: bytes) -> int:
        """See `Program.write`: what nobody reads any more counts as written."""
        if self.input < 0:
            return len(data)
        try:
            return os.write(self.input, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno == errno.EPIPE:
                return len(data)
            raise

    def read_errors(self) -> bytes:
        """What it wrote to stderr; b'' when there is nothing now."""
        data = _read(self.errors) if self.errors >= 0 else b""
        if data is None:
            os.close(self.errors)
            self.errors = -1
        return data or b""

    def hang_up(self) -> None:
        """End its input: there is nothing more to be said."""
        if self.input >= 0:
            os.close(self.input)
            self.input = -1

    def close(self) -> None:
        """Close what is left of an ended agent, when another takes its place."""
        self.hang_up()
        for end in (self.master, self.output, self.errors):
            if end >= 0:
                os.close(end)


def start(order: Launch, columns: int, rows: int, given: bytes | None = None) -> Piped:
    """Start the agent on pipes; with `given`, that is all of its input. Raises `LaunchFailed`."""
    into = os.pipe() if given is None else (_file(f"{order.folder}/stdin.txt", given), -1)
    out, errors = os.pipe(), os.pipe()
    theirs = (into[0], out[1], errors[1])
    ends = (into[1], out[0], errors[0])
    try:
        pid, master, slave = launch(order, columns, rows, theirs)
    except BaseException:
        for end in ends:
            if end >= 0:
                os.close(end)
        raise
    finally:
        for end in theirs:
            os.close(end)
    return Piped(pid, master, slave, ends)


def _file(path: str, data: bytes) -> int:
    """A file that holds `data`, opened for reading: what a CLI reads to the end, at its pace."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as problem:
        raise LaunchFailed(f"cannot write {path}: {problem.strerror}") from problem


def _read(file: int) -> bytes | None:
    try:
        return os.read(file, BLOCK) or None
    except BlockingIOError:
        return b""
