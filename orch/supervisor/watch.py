"""Looks whether the files behind the roster have changed, and keeps the last good roster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from orch.errors import ConfigError
from orch.supervisor.roster import Plan

Signature = tuple[tuple[int, int, int] | None, ...]
"""Of each file: inode, size and time of change; None where it is missing."""


class Watch:
    """Calls `plan` again when a file changed; one that cannot be read changes nothing."""

    def __init__(self, files: tuple[Path, ...], plan: Callable[[], Plan], default: Plan) -> None:
        self.problem = ""
        self.plan = default
        self._files = files
        self._make = plan
        self._applied = signature(files)
        self._seen = self._applied
        self._again = False
        self.read()

    def look(self) -> Plan | None:
        """A new plan when the files have changed and been left alone since the last look."""
        now = signature(self._files)
        settled = now == self._seen
        self._seen = now
        if not settled or (now == self._applied and not self._again):
            return None
        self._again = False
        return self.read()

    def look_again(self) -> None:
        """Give the plan at the next look, changed or not."""
        self._again = True

    def read(self) -> Plan | None:
        """The plan as the files say now; None and a `problem` when they cannot be understood."""
        self._applied = signature(self._files)
        try:
            self.plan = self._make()
        except ConfigError as error:
            self.problem = error.message
            return None
        self.problem = ""
        return self.plan


def signature(files: tuple[Path, ...]) -> Signature:
    """What tells a file from its next version."""
    return tuple(_of(path) for path in files)


def _of(path: Path) -> tuple[int, int, int] | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
