"""What attempts, logs and migrations left on disk: measured and removed aside, blind to the
database."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from orch.core.keeping import DAY, Artifacts
from orch.paths import Home

INTERNAL = "internal"


def measured(home: Home, projects: dict[str, str]) -> list[Artifacts]:
    """The attempts' folders of every task there is one of, with their sizes. `projects` says
    which slug has which folder; a folder of nobody's is passed over."""
    found = []
    for tasks in (*home.state.glob(f"{INTERNAL}/tasks"), *home.state.glob("*/*/tasks")):
        owner = str(tasks.parent.relative_to(home.state))
        if owner != INTERNAL and owner not in projects:
            continue
        lead = "" if owner == INTERNAL else f"{projects[owner]}#"
        for task in tasks.iterdir():
            folder = task / "attempts"
            if folder.is_dir():
                found.append(Artifacts(f"{lead}{task.name}", str(folder), size(folder)))
    return found


def size(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed, what vanishes is not counted."""
    total = 0
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def remove(folders: Iterable[str]) -> list[str]:
    """Remove attempts' folders; those that could not be removed, with the reason."""
    failed = []
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed.append(f"{folder}: {error.strerror or error}")
    return failed


def old_files(home: Home, now: float, days: int) -> Iterator[tuple[str, Path]]:
    """Rotated logs and copies of the database made before a migration, past their age: each with
    its kind. The newest copy of the database stays, whatever its age."""
    copies = sorted(home.root.glob(f"{home.db.name}.before-*"), key=_changed)
    kinds = {"log": sorted(home.logs.glob("*.[0-9]")), "backup": copies[:-1]}
    for kind, paths in kinds.items():
        for path in paths:
            if path.is_file() and now - _changed(path) > days * DAY:
                yield kind, path


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")
