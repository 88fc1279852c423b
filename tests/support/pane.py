"""A person at a terminal: a command in a real tmux pane, its keys pressed, its screen read."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Pane:
    """One pane of a tmux server of its own at `socket`; `close` ends both.

    When the command leaves, the pane shows `left` and its exit code.
    """

    def __init__(
        self, socket: Path, argv: Sequence[str], env: Mapping[str, str], cwd: Path,
        size: tuple[int, int] = (80, 24),
    ) -> None:  # fmt: skip
        self.socket = socket
        self._env = {**env, "LC_ALL": "C.UTF-8", "TERM": "screen-256color"}
        place = ("-x", str(size[0]), "-y", str(size[1]), "-c", os.fspath(cwd))
        script = f"{shlex.join(argv)}; echo left $?; exec cat"
        self._tmux("new-session", "-d", "-s", "p", *place, "--", "sh", "-c", script)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names."""
        self._tmux("send-keys", "-t", "=p:", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tmux("send-keys", "-t", "=p:", "-l", "--", text)

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        self._tmux("resize-window", "-t", "=p:", "-x", str(width), "-y", str(height))

    def screen(self, *, colours: bool = False) -> str:
        """What is on the screen, its lines without spaces at their ends."""
        shown = self._tmux("capture-pane", "-p", "-t", "=p:", *(["-e"] if colours else []))
        return "\n".join(line.rstrip() for line in shown.split("\n"))

    def shows(self, *texts: str, without: str = "", seconds: float = 30) -> str:
        """Wait until the screen has these texts (and lacks one); returns it."""
        return self.until(
            lambda seen: all(one in seen for one in texts) and not (without and without in seen),
            f"{texts} on the screen" + (f" without {without!r}" if without else ""),
            seconds,
        )

    def until(self, right: Callable[[str], bool], what: str, seconds: float = 30) -> str:
        """Wait until the screen is right; returns it."""
        deadline = time.monotonic() + seconds
        while not right(seen := self.screen()):
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}\n{seen}"
            time.sleep(0.05)
        return seen

    def close(self) -> None:
        """End the pane and its server."""
        subprocess.run(
            ["tmux", "-S", os.fspath(self.socket), "kill-server"], check=False, capture_output=True
        )

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-S", os.fspath(self.socket), "-f", "/dev/null", "-u", *words],
            check=True, capture_output=True, text=True, encoding="utf-8", env=self._env,
        ).stdout  # fmt: skip
