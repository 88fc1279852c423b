"""The processes of a running task as one line, with their pids."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from orch.cli import daemon
from orch.errors import OrchError
from orch.model import Session
from orch.paths import Home
from orch.tools.tmux import Tmux

BEGIN_SECONDS = 0.5
"""How long to wait for a process that is about to start."""


def process_map(home: Home, session: Session) -> str:
    """`orchd 1 → engine 2 · …` and `tmux 5 → session process 6 → agent 7`."""
    roster = daemon.roster(home)
    services = " · ".join(f"{one.name} {one.pid}" for one in roster.services) if roster else ""
    orchd = f"orchd {roster.pid}" if roster else "orchd"
    pane = session_pid(Path(session.folder))
    agent = _child_of(pane)
    steps = [("tmux", _tmux_pid(home)), ("session process", pane), (session.agent, agent)]
    below = " → ".join(f"{name} {pid}" if pid else name for name, pid in steps)
    return f"{orchd} → {services}\n{below}"


def _tmux_pid(home: Home) -> int:
    try:
        return int(Tmux(home.tmux).command("display-message", "-p", "#{pid}")[0])
    except (OrchError, ValueError, IndexError):
        return 0


def session_pid(folder: Path) -> int:
    """The pid that the session process notes first of all; waits a moment for it."""
    deadline = time.monotonic() + BEGIN_SECONDS
    while time.monotonic() < deadline:
        try:
            return int(msgspec.json.decode((folder / "session.json").read_bytes())["pid"])
        except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError):
            time.sleep(0.005)
    return 0


def _child_of(pid: int) -> int:
    import psutil  # noqa: PLC0415 - slow to import

    deadline = time.monotonic() + BEGIN_SECONDS
    while pid and time.monotonic() < deadline:
        try:
            children = psutil.Process(pid).children()
        except psutil.Error:
            break
        if children:
            return children[0].pid
        time.sleep(0.005)
    return 0
