"""The files of an attempt as the session process reads and writes them: with nothing but json."""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH105, PTH110, PTH123

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orch.session.launch import Launch

ANSWER_BYTES = 1 << 20
"""How much of the agent's output file is kept in `result.json`."""


class Taken(Exception):
    """Another session process runs, or has run, the attempt of this folder."""


def own(folder: str) -> bool:
    """Take the folder for the life of this process by a lock on `session.json`; raises `Taken`.

    Returns whether it was another's before, who was killed: then something may be left of it.
    """
    held = os.open(f"{folder}/session.json", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        raise Taken(f"a session process already runs in {folder}") from None
    if os.path.exists(f"{folder}/exit.txt"):
        os.close(held)
        raise Taken(f"the attempt in {folder} has ended")
    note = {"pid": os.getpid(), "started": started(), "at": time.time()}
    before = os.fstat(held).st_size > 0
    os.ftruncate(held, 0)
    os.pwrite(held, json.dumps(note).encode(), 0)
    return before


def read(folder: str) -> Launch:
    """The launch order. Raises `OSError`, or `ValueError` when it cannot be understood."""
    with open(f"{folder}/launch.json", encoding="utf-8") as file:
        found: Any = json.load(file)
    if not isinstance(found, dict) or not found.get("argv"):
        raise ValueError("launch.json names no program")
    order: Any = SimpleNamespace(**found)
    return order  # type: ignore[no-any-return]


def finish(folder: str, result: dict[str, Any]) -> None:
    """Write `result.json`, then `exit.txt`, each whole and lasting. Raises `OSError`."""
    replace(f"{folder}/result.json", json.dumps(result, indent=1).encode())
    code = result["exit_code"]
    if code is None:
        code = 128 + result["signal"] if result["signal"] else 1
    replace(f"{folder}/exit.txt", f"{code} {result['ended_by']}\n".encode())


def answer(path: str) -> str:
    """The beginning of the agent's output file; '' when there is none."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            return file.read(ANSWER_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def started() -> float:
    """When this process started: seconds since boot where /proc tells, else since the epoch."""
    if sys.platform != "linux":
        return time.time()
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def replace(path: str, data: bytes, lasting: bool = True) -> None:
    """Write a file whole: a reader sees the old or the new one. Raises `OSError`."""
    fresh = f"{path}.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        if lasting:
            os.fsync(file.fileno())
    os.replace(fresh, path)
