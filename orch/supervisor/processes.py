"""Signals to processes and process groups, and how processes ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable


def signal_all(pid: int, *numbers: int) -> None:
    """Send signals in order; a process that is gone gets none."""
    for number in numbers:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            return


def kill_group(pid: int) -> None:
    """SIGKILL the group that `pid` leads, or `pid` alone while it leads none yet."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        signal_all(pid, signal.SIGKILL)


def has_ended(pid: int) -> bool:
    """Whether our child has ended. Its number stays taken until `collected`."""
    try:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, pid, flags) is not None
    except ChildProcessError:
        return True


def collected(pid: int) -> int:
    """Let go of a child that has ended; its wait status."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0


def reason(status: int, said: Callable[[], str]) -> str:
    """A wait status for the reader, with the last thing a failed process said."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    last = said() if code else ""
    return f"exit status {code}" + (f": {last}" if last else "")
