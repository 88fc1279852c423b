"""One control-mode connection to a tmux server: a command a line in, a framed answer out."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping, Sequence

from orch.errors import ToolFailed, Unknown
from orch.tools.process import Dialogue

MOST_BYTES = 16 << 20
"""The largest answer."""


class Broken(Exception):
    """The connection has ended, or never came about: ask again by another."""


class Connection:
    """A `tmux -C` process. Not safe from several threads at once.

    Raises `Broken` when it cannot attach, `Unknown` when the server does not answer.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], timeout: float) -> None:
        try:
            self._client = Dialogue(argv, env=env, cwd="/")
        except ToolFailed as error:
            raise Broken(error.message) from error
        self._poll = select.poll()
        self._poll.register(self._client.out, select.POLLIN)
        self._open = True
        self._buffer = b""
        try:
            self._answer(own=False, deadline=time.monotonic() + timeout)  # that of the attaching
        except ToolFailed as error:
            self.close()
            raise Broken(error.message) from error
        except (Broken, Unknown):
            self.close()
            raise

    def ask(self, words: Sequence[str], timeout: float) -> list[str]:
        """Run one command; returns the lines it printed.

        Raises `ToolFailed` when tmux refuses it, `Broken` when the connection ended before an
        answer came, `Unknown` when none came in time: then it may have been done or not.
        """
        if not self._open:
            raise Broken("the connection was closed")
        line = b" ".join(quoted(word) for word in words) + b"\n"
        try:
            if self._poll.poll(0):
                self._fill()  # notifications, or the end
            os.write(self._client.into, line)
        except OSError as error:
            raise Broken(str(error)) from error
        try:
            return self._answer(own=True, deadline=time.monotonic() + timeout)
        except (Broken, Unknown):
            self.close()
            raise

    def close(self) -> None:
        """Detach."""
        self._open = False
        self._client.close()

    def _answer(self, own: bool, deadline: float) -> list[str]:
        """The lines of the next answer; notifications in between are dropped."""
        lines: list[str] | None = None
        frame = b""
        while True:
            line = self._line(deadline)
            head, _, rest = line.partition(b" ")
            if lines is None:
                if head == b"%begin" and (rest.split()[-1:] == [b"1"]) == own:
                    lines, frame = [], rest
                elif head == b"%exit":
                    raise Broken("the connection was ended")
            elif head in (b"%end", b"%error") and rest == frame:
                if head == b"%error":
                    raise ToolFailed("tmux: " + "\n".join(lines))
                return lines
            else:
                lines.append(line.decode("utf-8", "surrogateescape"))

    def _line(self, deadline: float) -> bytes:
        while True:
            line, newline, rest = self._buffer.partition(b"\n")
            if newline:
                self._buffer = rest
                return line
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise Unknown("the tmux server does not answer")
            self._fill()

    def _fill(self) -> None:
        try:
            block = os.read(self._client.out, 65536)
        except OSError as error:
            raise Broken(str(error)) from error
        if not block:
            raise Broken("the connection was closed")
        if len(self._buffer) > MOST_BYTES:
            raise Unknown("the tmux server answers without end")
        self._buffer += block


def quoted(word: str) -> bytes:
    """One argument as tmux's own parser reads it back (`tmux(1)`, parsing syntax): printable text
    in single quotes, where nothing is special; the rest in double quotes as octal escapes."""
    out, plain = b"", b""
    for byte in os.fsencode(word):
        if byte >= 32 and byte not in (39, 127):
            plain += bytes([byte])
            continue
        if plain:
            out, plain = out + b"'" + plain + b"'", b""
        out += b'"\'"' if byte == 39 else b'"\\%03o"' % byte
    if plain or not out:
        out += b"'" + plain + b"'"
    return out
