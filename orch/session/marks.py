"""Finding and ending what an attempt left behind, by the mark in its environment."""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import sys


def marked(run: str) -> list[int]:
    """The processes, this one apart, whose environment holds `ORCH_RUN={run}`."""
    mark = f"ORCH_RUN={run}"
    found = _by_proc(mark.encode()) if sys.platform == "linux" else _by_ps(mark)
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


def _by_ps(mark: str) -> list[int]:
    """Where there is no /proc: `ps -E` (BSD, macOS) shows the environment after the command."""
    import subprocess  # noqa: PLC0415 - only needed here

    argv = ["ps", "-axEwwo", "pid=,command="]
    listed = subprocess.run(argv, capture_output=True, timeout=10, check=False).stdout
    found = []
    for line in listed.decode("utf-8", "replace").splitlines():
        pid, _, rest = line.strip().partition(" ")
        if f" {mark} " in f"{rest} " and pid.isdigit():
            found.append(int(pid))
    return found
