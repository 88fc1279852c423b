"""The files of a project in few lines: all of them, or folders with how many files they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

MOST_LINES = 200


def outline(paths: Iterable[str], most: int = MOST_LINES) -> str:
    """The paths, one a line in order, in at most `most` lines. Where there are more, each is cut at
    the greatest depth that fits, and a folder tells how many files lie in it."""
    files = sorted(set(paths))
    if len(files) <= most:
        return "\n".join(files)
    deepest = min(max(path.count("/") for path in files), 30)
    shown = _cut(files, 1)
    for depth in range(2, deepest + 1):
        deeper = _cut(files, depth)
        if len(deeper) > most:
            break
        shown = deeper
    more = len(shown) - most
    if more > 0:
        shown = [*shown[: most - 1], f"… and {more + 1} more"]
    return "\n".join(shown)


def _cut(files: list[str], depth: int) -> list[str]:
    lines: Counter[str] = Counter()
    for path in files:
        parts = path.split("/")
        lines[path if len(parts) <= depth else "/".join(parts[:depth]) + "/"] += 1
    return [
        f"{line} ({count} {'file' if count == 1 else 'files'})" if line.endswith("/") else line
        for line, count in lines.items()
    ]
