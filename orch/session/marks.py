"""Finding and ending what an attempt left behind, by the mark in its environment."""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import sys


def marked(run: str) -> list[int]:
    """The processes, this one apart, whose environment holds `ORCH_RUN={run}`."""
    mark = b"ORCH_RUN=" + run.encode()
    found = _by_proc(mark) if sys.platform == "linux" else _by_psutil(run)
    return [pid for pid in found if pid != os.getpid()]


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to each; one that is gone already is fine."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def signal_group(group: int, number: int) -> None:
    """Send a signal to a process group; one that is gone already is fine."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _by_proc(mark: bytes) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue  # gone, or somebody else's
        if mark in environment and mark in environment.split(b"\0"):
            found.append(int(name))
    return found


def _by_psutil(run: str) -> list[int]:
    import psutil  # noqa: PLC0415 - only where /proc is missing

    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ORCH_RUN") == run:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
