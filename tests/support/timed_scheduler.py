"""The real scheduler on a clock of its own: the time stands in the file named by `ORCH_CLOCK`."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from orch.service import run
from services.scheduler import Scheduler


class TimedScheduler(Scheduler):
    """Reads the time from a file, and looks at it often: its time goes faster than sleep does."""

    name = "scheduler"
    glance_seconds = 0.05

    def now(self) -> float:
        """Seconds since the epoch, as the test has it."""
        return read_clock(Path(os.environ["ORCH_CLOCK"]))


def read_clock(path: Path) -> float:
    """The time in the file."""
    return float(struct.unpack("d", path.read_bytes())[0])


def write_clock(path: Path, at: float) -> None:
    """Set the time, in one write that no reader sees half done."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(struct.pack("d", at))
    fresh.replace(path)


def main() -> None:
    """Run it like the real one."""
    raise SystemExit(run(TimedScheduler))


if __name__ == "__main__":
    main()
