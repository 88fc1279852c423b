"""What a dead orchd left running: written down while it lived, found and ended by the next."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from orch.paths import Home

if TYPE_CHECKING:
    from orch.supervisor.child import Child

GRACE_SECONDS = 1.5
"""How long a leftover may finish what it does before it is killed."""


class Recorded(msgspec.Struct, frozen=True):
    """A child as written down: `started` tells it from a later process with the same pid."""

    name: str
    pid: int
    started: str


def record(home: Home, children: list[Recorded]) -> None:
    """Write down the living children, replacing what was written before."""
    path = _file(home)
    made = path.with_name(f".children.{os.getpid()}")
    try:
        made.write_bytes(msgspec.json.encode(children))
        made.replace(path)
    except OSError:
        return  # a full disk: the lifeline and the death signal still end them


def record_children(home: Home, children: Iterable[Child]) -> None:
    """Write down those of the children that have a process."""
    living = [(child.entry.name, child.service.pid) for child in children if child.service.pid]
    record(home, [Recorded(name, pid, started(pid)) for name, pid in living])


def recorded(home: Home) -> list[Recorded]:
    """The children of the orchd before; [] when nothing readable was left."""
    try:
        return msgspec.json.decode(_file(home).read_bytes(), type=list[Recorded])
    except (OSError, msgspec.DecodeError):
        return []


def started(pid: int) -> str:
    """When a process began, unique over reboots; '' when there is none."""
    if sys.platform == "linux":
        fields = _stat(pid)
        return f"{_boot()}:{fields[19]}" if fields and fields[0] != "Z" else ""
    import psutil  # noqa: PLC0415 - only where there is no /proc

    with contextlib.suppress(psutil.Error):
        return str(psutil.Process(pid).create_time())
    return ""


def sweep(home: Home) -> list[str]:
    """End what is left of the orchd before, with the lock held; the names of what was found."""
    found = recorded(home)
    left = [child for child in found if child.started and started(child.pid) == child.started]
    for child in left:
        _signal(child.pid, signal.SIGTERM)
        _signal(child.pid, signal.SIGCONT)
    deadline = time.monotonic() + GRACE_SECONDS
    for child in left:
        _end(child, deadline)
    for child in found:
        _end_group(child)
    _file(home).unlink(missing_ok=True)
    return [child.name for child in left]


def _end(child: Recorded, deadline: float) -> None:
    """Wait until the leftover is gone, kill it at the deadline, and see it gone."""
    try:
        pidfd = os.pidfd_open(child.pid)
    except (OSError, AttributeError):
        pidfd = -1
    try:
        if not _gone(child, pidfd, deadline) and started(child.pid) == child.started:
            if pidfd >= 0:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            else:
                _signal(child.pid, signal.SIGKILL)
            _gone(child, pidfd, time.monotonic() + GRACE_SECONDS)
    except ProcessLookupError:
        return
    finally:
        if pidfd >= 0:
            os.close(pidfd)


def _gone(child: Recorded, pidfd: int, deadline: float) -> bool:
    if pidfd >= 0:
        remaining = max(0.0, deadline - time.monotonic())
        return bool(select.select([pidfd], [], [], remaining)[0])
    while started(child.pid) == child.started:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _end_group(child: Recorded) -> None:
    """Kill what the child left in its own session; the tmux server has one of its own."""
    if sys.platform != "linux" or started(child.pid):
        return  # still alive, or the pid is somebody else's by now
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and fields[2] == fields[3] == str(child.pid):
                _signal(int(entry.name), signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the state on (proc(5), field 3 is index 0)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _file(home: Home) -> Path:
    return home.run / "children"
