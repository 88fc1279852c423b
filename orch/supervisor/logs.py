"""Keeps logs small: a file over the limit is renamed, and whoever writes it told to open anew."""

from __future__ import annotations

import os
from pathlib import Path

from orch.paths import Home

LIMIT_BYTES = 10 << 20
"""A log file is rotated when it is larger."""

KEPT = 3
"""Old files kept per log, as NAME.1 (youngest) to NAME.3."""


def renewed(home: Home, service: str, *, opened: bool) -> bool:
    """Rotate what has grown too large; whether the service has a log to open anew.

    `opened`: it has had its logs open, so that one that is not there has been deleted.
    """
    raw = home.raw_log(service)
    bound(raw)
    lost = opened and not raw.exists()
    return rotate(raw) | rotate(home.log(service)) | lost


def rotate(path: Path, limit: int = LIMIT_BYTES) -> bool:
    """Rename `path` to `path.1` when it is over `limit` bytes; whether it was."""
    try:
        if path.stat().st_size <= limit:
            return False
        for number in range(KEPT - 1, 0, -1):
            older = _old(path, number)
            if older.exists():
                older.replace(_old(path, number + 1))
        path.replace(_old(path, 1))
    except OSError:
        return False
    return True


def bound(path: Path, limit: int = 2 * LIMIT_BYTES) -> None:
    """Empty the youngest old file when somebody who never opened anew writes on in it."""
    old = _old(path, 1)
    try:
        if old.stat().st_size > limit:
            os.truncate(old, 0)
    except OSError:
        return


def last_line(path: Path, most: int = 300) -> str:
    """The last line that says something, cut to `most` characters; '' when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1][:most] if spoken else ""


def _old(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")
