"""The dashboard's screen: every line as wide as the screen, and nothing in it that is obeyed."""

from __future__ import annotations

import re

import pytest
from wcwidth import wcswidth

from orch.cli.dashboard.draw import frame
from orch.cli.dashboard.facts import Facts
from orch.cli.dashboard.view import View
from orch.messages import Overview, Roster, TaskDetail, TaskTotals
from orch.model import Attempt, Cost, Event, Phase, Served, Session, Status, Task, Usage

HOSTILE = (
    "plain",
    "日本語のタイトル" * 30,
    "\x1b[2J\x1b]0;owned\x07\x9b31m red \r\n next",
    "👨‍👩‍👧 family ⚠️ warning 👍🏽 🇩🇪 e\u0301 한글",
    "\u202eleft to right\u2066 \u200b\ufeff",
    "tab\there\x00\x7f\udcff",
    "[bold]no markup[/bold] :smile: {}",
    "",
)
SIZES = [(80, 24), (200, 50), (40, 10), (139, 11), (140, 12)]


def facts(count: int = 300) -> Facts:
    states = list(Status)
    tasks = tuple(
        Task(
            key=f"int-{n}", project="octo/demo", title=HOSTILE[n % len(HOSTILE)],
            status=states[n % len(states)], agent="claude", created_at=1000.0,
            blocked_reason=HOSTILE[(n + 2) % len(HOSTILE)],
        )
        for n in range(count)
    )  # fmt: skip
    sessions = tuple(
        Session(session=f"orch-int-{n}", task=f"int-{n}", attempt=1, agent="日本" * 9,
                folder="", started_at=1000.0, size=9)
        for n in range(len(HOSTILE))
    )  # fmt: skip
    attempt = Attempt(id=1, task="int-0", n=1, phase=Phase.RUNNING, fence=1, agent="claude")
    return Facts(
        at=5000.0,
        roster=Roster(
            7, "0.1.0", "/h", 60.0,
            (Served(name="engine", state="ready"), Served(name="web", state="failing", restarts=4)),
            HOSTILE,
        ),
        overview=Overview(4, 4, {}, sessions, ("a\x1b[2Jb",)),
        totals=TaskTotals({"new": 9, "done": 1}, Usage()),
        today=Cost(usage=Usage(input_tokens=120_000, usd=1.5)),
        spent={"int-0": Usage(input_tokens=120_000), "int-1": Usage(usd=0.126)},
        tasks=tasks,
        matching=5000,
        sessions=sessions,
        lines={one.session: HOSTILE[n] for n, one in enumerate(sessions)},
        detail=TaskDetail(tasks[0], (attempt,), HOSTILE[2]),
        output=tuple(f"output {n}" for n in range(60)),
    )  # fmt: skip


def screen(view: View, width: int, height: int, found: Facts | None = None) -> list[str]:
    """The screen as lines, blocks beside each other joined."""
    made = frame(found or facts(), view, width, height)
    lines = [""] * height
    for block in made.blocks:
        for n, line in enumerate(block.lines):
            row = lines[block.row + n]
            assert wcswidth(row) == block.column, (row, block.column)
            assert wcswidth(line.plain) == block.width, ascii(line.plain)
            lines[block.row + n] = row + line.plain
    return lines


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("keys", ["", "?", "K", "s", "/"])
def test_every_line_fills_the_screen_exactly(width: int, height: int, keys: str) -> None:
    view = View()
    view.update(facts())
    for key in keys:
        view.press(key)
    view.type(HOSTILE[1])
    for line in screen(view, width, height):
        assert wcswidth(line) == width
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize("width, height", SIZES)
def test_every_task_can_be_reached_and_is_seen(width: int, height: int) -> None:
    view = View()
    found = facts(60)
    unseen = {f"int-{n}" for n in range(60)}
    screen(view, width, height, found)
    for _ in range(70):
        marked = [line for line in screen(view, width, height, found) if line.startswith("›")]
        assert len(marked) == 1
        unseen.discard(marked[0][1:].split()[0])
        view.press("down")
    assert unseen == set()


def test_the_screen_says_what_matters() -> None:
    text = "\n".join(screen(View(), 200, 50))
    for said in (
        "orch 0.1.0", "4/4 slots", "9 new", "1 done", "$1.50 today", "120.0kt", "$0.13", "● engine",
        "○ web failing restarted 4x", "SESSIONS 8", "TASKS 300", "the newest 300 of 5000",
        "and 6 more", "output 59", "int-0 · octo/demo · new · claude · attempt 1",
    ):  # fmt: skip
        assert said in text, said


def test_who_is_away_is_named_and_the_old_is_kept() -> None:
    away = facts()
    view = View()
    text = "\n".join(screen(view, 80, 24, replaced(away, {"engine": "engine did not answer"})))
    assert re.search(r"○ engine no answer .*\n! engine did not answer", text)
    assert "TASKS" in text or "SESSIONS" in text
    text = "\n".join(screen(view, 80, 24, replaced(away, {"orchd": "orch is not running"})))
    assert "○ orchd  ○ engine ?" in text


def replaced(found: Facts, away: dict[str, str]) -> Facts:
    import msgspec

    return msgspec.structs.replace(found, away=away)


def test_when_nothing_is_wrong_the_last_notices_are_seen() -> None:
    notice = Event(seq=1, at=4940.0, name="notice_told", data={"text": "int-3 failed\x1b[2J"})
    overview = Overview(0, 4, {}, (), (), notices=(notice,))
    found = Facts(at=5000.0, overview=overview)
    assert "· 1m ago: int-3 failed�[2J" in "\n".join(screen(View(), 80, 24, found))
    wrong = replaced(found, {"engine": "engine did not answer"})
    assert "int-3 failed" not in "\n".join(screen(View(), 80, 24, wrong))


def test_too_small_a_screen_says_so() -> None:
    assert screen(View(), 30, 5)[0].startswith("the dashboard needs 40x10")


def test_nothing_at_all_is_a_screen_too() -> None:
    text = "\n".join(screen(View(), 80, 24, Facts()))
    assert "none; `orch task add TITLE` makes one" in text
