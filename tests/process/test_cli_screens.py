"""`task tree`, `task history` and `log` as they stand on a real terminal, narrow and wide."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from wcwidth import wcswidth

from orch.paths import Home
from tests.process.canned_engine import Canned
from tests.support.pane import Pane

TITLE = "日本語のとても長い題名 🦊 and more words " * 8
SIZES = pytest.mark.parametrize("size", [(80, 24), (200, 50)])


@pytest.fixture
def canned(short_home: Path) -> Iterator[Canned]:
    made = Canned(Home(short_home))
    yield made
    made.close()


def printed(home: Path, size: tuple[int, int], *words: str) -> list[str]:
    """The lines that a command leaves on a terminal of this size, once it has left."""
    env = {**os.environ, "ORCH_HOME": str(home), "TZ": "UTC", "NO_COLOR": ""}
    pane = Pane(home / "t.sock", [sys.executable, "-m", "orch", *words], env, home, size)
    try:
        seen = pane.shows("left 0")
        coloured = pane.screen(colours=True)
    finally:
        pane.close()
    assert "\x1b[" in coloured, "colours are wanted on a terminal"
    return seen.split("left 0")[0].rstrip("\n").split("\n")


@SIZES
def test_a_tree_has_a_line_for_each_task(canned: Canned, short_home: Path, size) -> None:
    canned.engine.put(key="int-1", title=TITLE)
    canned.engine.put(key="int-2", title="Short", parent="int-1", status="done")
    canned.engine.put(key="int-3", title=TITLE, parent="int-1", after=("int-2", "o/r#7"))
    canned.engine.put(key="int-4", title=TITLE, parent="int-3")
    lines = printed(short_home, size, "task", "tree", "--all")
    assert [line[:30].split("日")[0] for line in lines] == [
        "int-1 new (1/2 done) ",
        "├─ int-2 done Short",
        "└─ int-3 new (0/1 done, after int-2 7) "[:30],
        "   └─ int-4 new ",
    ]
    for line in (lines[0], lines[2], lines[3]):
        assert line.endswith("…")
        assert size[0] - 1 <= wcswidth(line) <= size[0]


@SIZES
def test_a_history_has_its_days_and_no_word_is_cut(canned: Canned, short_home: Path, size) -> None:
    canned.engine.put(key="int-1")
    canned.engine.log_event("task_added", "int-1", title=TITLE)
    canned.engine.log_event("attempt_ended", "int-1", error="x" * 300)
    lines = printed(short_home, size, "task", "history", "1")
    assert lines[0] == "2024-05-01"
    assert lines[1].startswith("12:00:00 task_added    title=日本語のとても長い題名 🦊 and")
    indent = " " * 23
    ended = next(n for n, line in enumerate(lines) if line.startswith("12:00:00 attempt_ended"))
    assert all(line.startswith(indent) for line in [*lines[2:ended], *lines[ended + 1 :]])
    assert all(wcswidth(line) <= size[0] for line in lines)
    assert "".join(line[23:] for line in lines[ended:]) == f"error={'x' * 300}"
    told = " ".join(line.removeprefix(indent).strip() for line in lines[1:ended])
    assert told == f"12:00:00 task_added    title={TITLE.strip()}"


@SIZES
def test_a_log_is_readable_with_local_times(canned: Canned, short_home: Path, size) -> None:
    said = {"time": "2026-11-25T20:59:11.416Z", "level": "warning", "service": "engine"}
    line = json.dumps({**said, "message": f"a \x1b[2J {TITLE}", "about": "word " * 30})
    (short_home / "logs" / "engine.log").write_text(f"{line}\n")
    lines = printed(short_home, size, "log")
    assert lines[:2] == ["2026-11-25", lines[1]]
    assert lines[1].startswith("20:59:11.416 engine    warning a �[2J 日本語のとても長い題名")
    assert all(row.startswith(" " * 13) for row in lines[2:])
    assert all(wcswidth(row) <= size[0] for row in lines)
