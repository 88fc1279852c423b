"""A session's screen from the files of its attempt: the end of its log, and its sizes."""

from __future__ import annotations

import os
from pathlib import Path

from orch.errors import Unknown
from orch.hosts import Host
from orch.messages import Screen
from orch.model import Session
from orch.session.launch import TIMING, read_launch
from orch.tools.screen import MOST_BYTES, Resize, render

BLOCK = 256 * 1024
"""Bytes of `terminal.timing` read at a time, from its end."""

MOST_BLOCKS = 64
"""Blocks read at most; a size that was set before them is not found."""

LARGEST = 900_000
"""Bytes of a screen with colours; beyond, it is given without."""


def screen(host: Host, session: Session, ansi: bool) -> Screen:
    """The session's screen now. Raises `Unknown` when its files cannot be read."""
    folder = Path(session.folder)
    start = max(0, host.size(folder) - MOST_BYTES)
    data = host.read(folder, start, MOST_BYTES)
    launch = read_launch(folder)
    columns, rows = (launch.columns, launch.rows) if launch else (200, 50)
    sizes = [Resize(0, columns, rows), *resizes(folder / TIMING, start)]
    plain = launch is None or launch.protocol != "terminal"
    shown = render(data, start, sizes, plain=plain, ansi=ansi)
    if ansi and sum(len(line) for line in shown.lines) > LARGEST:
        ansi = False
        shown = render(data, start, sizes, plain=plain)
    return Screen(session.session, shown.lines, shown.row, shown.column, ansi)


def resizes(path: Path, start: int) -> list[Resize]:
    """The sizes of the terminal that matter from byte `start` of the output on, oldest first.

    Read from the end of `terminal.timing` (see `orch.session.record`) back to the first size that
    was set before `start`. Raises `Unknown`.
    """
    try:
        with path.open("rb", buffering=0) as file:
            end = os.fstat(file.fileno()).st_size
            text = b""
            for _ in range(MOST_BLOCKS):
                begin = max(0, end - BLOCK)
                file.seek(begin)
                text = file.read(end - begin) + text
                found = _parse(text, whole=begin == 0)
                if begin == 0 or (found and found[0].offset <= start):
                    return found
                end = begin
            return found
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unknown(f"cannot read {path}: {error.strerror}") from error


def _parse(text: bytes, whole: bool) -> list[Resize]:
    """The sizes in some lines; of a part of the file, the first line may be half a line, and what
    comes before the first `o` cannot be placed."""
    lines = text.split(b"\n")[0 if whole else 1 : -1]
    found: list[Resize] = []
    offset = 0 if whole else None
    for line in lines:
        words = line.split()
        if len(words) == 3 and words[0] == b"o" and words[2].isdigit():
            offset = int(words[2])
        sized = len(words) == 4 and words[0] == b"r" and b"".join(words[2:]).isdigit()
        if sized and offset is not None:
            found.append(Resize(offset, int(words[2]), int(words[3])))
    return found
