"""Real sessions in a scratch home with a tmux server of its own, for tests of what runs in them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from orch.hosts import wire
from orch.hosts.local import Local
from orch.paths import Home, scratch
from orch.session.launch import LOG, Launch, Result, prepare
from orch.tools.process import marked, started

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds to wait for what must come; only a failing test waits so long."""


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true value of `look` within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {found!r}")
        time.sleep(0.005)


class Run:
    """One attempt in its folder."""

    def __init__(self, world: Sessions, launch: Launch) -> None:
        self.world = world
        self.launch = launch
        self.folder = Path(launch.folder)

    @property
    def log(self) -> bytes:
        """All of `terminal.log`."""
        return self.world.host.read(self.folder, 0, 1 << 30)

    def shows(self, text: bytes) -> None:
        """Wait until the log holds `text`."""
        until(lambda: text in self.log, f"{text!r} in {self.log[-300:]!r}")

    def ends(self) -> Result:
        """Wait for the end."""
        return until(lambda: self.world.host.finished(self.folder), f"the end of {self.folder}")

    def answers(self) -> None:
        """Wait until the session process listens."""
        until(lambda: Path(self.launch.socket).exists(), "the control socket")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask the session process."""
        self.answers()
        return wire.ask(Path(self.launch.socket), request, 20.0)

    def send(self, text: str, submit: bool = True, key: str = "") -> tuple[str, str]:
        """Type through the host."""
        self.answers()
        return self.world.host.send(self.launch.session, text, submit, key)

    @property
    def pane(self) -> int:
        """The pid of the session process."""
        return self.world.host.alive()[self.launch.session]

    @property
    def left(self) -> list[int]:
        """The processes of the attempt that live."""
        return marked(self.launch.run)


class Sessions:
    """A scratch home; `start` runs a program as an agent."""

    def __init__(self) -> None:
        self.root = scratch("os-")
        self.home = Home(self.root / "h")
        self.home.make()
        self.host = Local(self.home)
        self.runs: list[Run] = []

    def order(self, *argv: str, session: str = "", **more: Any) -> Run:
        """An attempt that is written down, but not started."""
        n = len(self.runs) + 1
        session = session or f"orch-t-{n}"
        folder = self.root / "attempts" / str(n)
        env = {"PATH": os.environ["PATH"], "HOME": str(self.root), **more.pop("env", {})}
        launch = Launch(
            session=session,
            task=f"int-{n}",
            attempt=1,
            run=f"{folder}",
            argv=argv,
            cwd=more.pop("cwd", str(self.root)),
            env=env,
            folder=str(folder),
            socket=str(self.home.session_socket(session)),
            **more,
        )
        prepare(launch)
        run = Run(self, launch)
        self.runs.append(run)
        return run

    def start(self, *argv: str, session: str = "", **more: Any) -> Run:
        """Run a program as an agent in a tmux session."""
        run = self.order(*argv, session=session, **more)
        self.host.start(run.launch.session, run.folder, self.root)
        return run

    def python(self, script: str, *, session: str = "", **more: Any) -> Run:
        """Run a Python text as an agent."""
        return self.start(sys.executable, "-c", script, session=session, **more)

    def close(self) -> None:
        """End everything; what a test left running is an error of the test or of orch."""
        self.host.tmux.kill_server()
        for run in self.runs:
            for pid in [*self.host.sweep(run.launch.run), *session_processes(run.folder)]:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)


def session_processes(folder: Path) -> list[int]:
    """The session process that says it owns the folder, if it lives."""
    import json

    try:
        note = json.loads((folder / "session.json").read_text())
    except (OSError, ValueError):
        return []
    return [note["pid"]] if started(note["pid"]) == note["started"] else []


@contextmanager
def sessions() -> Iterator[Sessions]:
    """A scratch home that is taken down afterwards."""
    world = Sessions()
    try:
        yield world
    finally:
        world.close()


__all__ = ["LOG", "Run", "Sessions", "session_processes", "sessions", "until"]
