"""How much memory a process takes, its share of what it shares included."""

from __future__ import annotations

import sys
from pathlib import Path


def pss_bytes(pid: int) -> int:
    """The proportional set size (`/proc/PID/smaps_rollup`, proc(5)); 0 when it cannot be read.

    Where there is no /proc: the unique set size, or what the system gives instead.
    """
    if sys.platform == "linux":
        return _rollup(pid)
    import psutil  # noqa: PLC0415 - only where there is no /proc

    try:
        full = psutil.Process(pid).memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(full, "pss", 0) or full.uss)


def _rollup(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        return 0
    return 0
