"""Configuration files on disk: where they are, what state they are in, what they say."""

from __future__ import annotations

import os
import time
from pathlib import Path

from orch.config.check import Checked, Problem, check
from orch.config.expand import Lookup
from orch.config.tree import LARGEST, MappingNode, Unreadable, parse

PROJECT_FILE = ".orch.yml"
OLD_PROJECT_FILE = ".orchestrator.yml"

Stamp = tuple[int, int, int, int]
"""What changes when a file does: inode, size, time of change of content and of entry (ns)."""

_SETTLED_NS = 2_000_000_000
_MOST_TREES = 500
_trees: dict[str, tuple[Stamp, MappingNode | None]] = {}


def stamp(path: Path) -> Stamp | None:
    """What tells one state of a file from another; None where there is no file."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def find_project(folder: Path | str) -> Path | None:
    """The project's file (`.orch.yml`, else the old `.orchestrator.yml`), from `folder` upwards."""
    start = Path(folder).absolute()
    for place in (start, *start.parents):
        file = project_file(place)
        if file is not None:
            return file
    return None


def project_file(folder: Path) -> Path | None:
    """The project file in `folder` itself."""
    for name in (PROJECT_FILE, OLD_PROJECT_FILE):
        if (folder / name).is_file():
            return folder / name
    return None


def read_file(path: Path, lookup: Lookup, *, project: bool, name: str = "") -> Checked:
    """What one file says, called `name` in its problems. A missing file says nothing."""
    file = name or str(path)
    try:
        root = _tree(path)
    except Unreadable as error:
        return Checked(file, {}, {}, [Problem(file, error.line, "", error.text)], [])
    return check(root, file, lookup, project=project)


def check_text(data: bytes, path: Path, lookup: Lookup, *, project: bool) -> Checked:
    """What the file would say with `data` as its text."""
    try:
        root = parse(data)
    except Unreadable as error:
        return Checked(str(path), {}, {}, [Problem(str(path), error.line, "", error.text)], [])
    return check(root, str(path), lookup, project=project)


def _tree(path: Path) -> MappingNode | None:
    """The file's tree, parsed again only when the file changed."""
    try:
        with path.open("rb") as file:
            seen = _stamp(os.fstat(file.fileno()))
            known = _trees.get(str(path))
            if known and known[0] == seen:
                return known[1]
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(1, f"cannot be read: {error.strerror}") from None
    root = parse(data)
    # A file changed a moment ago may change again within the resolution of its times.
    if time.time_ns() - max(seen[2], seen[3]) > _SETTLED_NS:
        if len(_trees) >= _MOST_TREES:
            _trees.clear()
        _trees[str(path)] = (seen, root)
    return root


def _stamp(seen: os.stat_result) -> Stamp:
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
