"""The dashboard on a real terminal, driven by its keys, while orch is killed under it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.support.asking import RESULT, begin, configured
from tests.support.pane import Pane

ORCH = (sys.executable, "-m", "orch")


@pytest.fixture
def pane(world) -> Iterator[Pane]:
    """A terminal with the dashboard of this world on it."""
    world.up()
    world.talker = world.add("Talk 日本語 \x1b[2J", "read")
    world.until(lambda: b"listening" in world.output_of(world.talker), "the first session")
    world.failed = world.add("Fail", "exit 3", more=("--after", world.talker))
    made = Pane(world.root / "t.sock", (*ORCH, "dashboard"), world.env, world.repo)
    try:
        made.shows("● engine", "SESSIONS 1", "listening")
        yield made
    finally:
        made.close()


def test_a_person_at_the_dashboard_steers_a_session_enters_it_and_stops_it(world, pane) -> None:
    seen = pane.screen(colours=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", seen), "NO_COLOR is set"
    assert re.search(r"\x1b\[[0-9;]*7m", seen), "the cursor is seen without colours"

    pane.press("s")
    pane.type("héllo 🦊")
    pane.shows(f"to {world.talker}: héllo 🦊")
    pane.press("Enter")
    pane.shows("submitted: héllo 🦊", "heard héllo 🦊")

    pane.press("Enter")
    pane.shows("listening", "heard héllo 🦊", without="SESSIONS")
    pane.type("in person")
    pane.press("Enter")
    pane.shows("heard in person", without="SESSIONS")
    pane.press("C-b", "d")
    pane.shows("SESSIONS 1", f"back from {world.talker}")

    pane.resize(200, 50)
    wide = pane.shows("find  A done too  n next", "heard in person", "│ listening")
    assert len(wide.rstrip("\n").split("\n")) == 50

    pane.press("K", "n")
    pane.shows("nothing was done", "SESSIONS 1")
    pane.press("K", "y")
    pane.shows(f"{world.talker} is stopped", without="SESSIONS")
    assert world.wait_for(task=world.talker, status="blocked")["attempts"][0]["outcome"]
    pane.shows(f"›{world.talker:<8} blocked")

    pane.press("r")
    pane.shows("SESSIONS 1", "listening")
    pane.press("q")
    pane.shows("left 0", without="SESSIONS")


def test_the_dashboard_outlives_the_engine_and_orchd(world, pane) -> None:
    engine = world.pid("engine")
    os.kill(engine, signal.SIGSTOP)
    pane.shows("○ engine no answer", "! engine did not answer", "SESSIONS 1")
    with contextlib.suppress(ProcessLookupError):  # on a slow machine orchd has replaced it
        os.kill(engine, signal.SIGCONT)
    pane.shows("● engine", without="no answer")
    world.kill("engine")
    pane.until(lambda seen: re.search(r"● engine restarted \dx", seen) is not None, "a new engine")
    pane.shows("● engine", without="!")

    world.kill("orchd")
    world.orchd.wait(30)
    pane.shows("○ orchd", "! orch is not running on", "SESSIONS 1")
    pane.press("r")
    pane.shows("orch is not running")
    world.start()
    pane.shows("● orchd  ● engine", "SESSIONS 1", without="!")
    pane.press("s")
    pane.type("again")
    pane.press("Enter")
    pane.shows("heard again")
    pane.press("C-c")
    pane.shows("left 0")


def test_without_a_terminal_it_says_so_and_json_needs_none(world) -> None:
    ran = world.orch("dashboard", ok=False)
    assert (ran.code, "needs a terminal" in ran.err, "hint:" in ran.err) == (1, True, True)
    assert world.orch("dashboard", "--json", ok=None).code == 3
    pane = Pane(world.root / "t.sock", (*ORCH, "dashboard"), world.env, world.repo)
    try:
        pane.shows("error: orch is not running on", "orch up -d", "left 3")
    finally:
        pane.close()
    world.up()
    task = world.add("Say it", "say spoken")
    world.wait_for(task=task, status="done")
    found = world.orch("dashboard", "--json", "--all").json
    assert [one["id"] for one in found["tasks"]] == [task]
    assert {one["name"]: one["state"] for one in found["services"]}["engine"] == "ready"
    assert (found["counts"], found["problems"]) == ({"done": 1}, [])


def test_a_question_is_answered_on_the_dashboard(world) -> None:
    asks = [["ask", "Bash", {"command": "make\x1b[2J"}], ["ask", "Bash", {"command": "rm"}]]
    configured(world, ["hear"], *asks, *RESULT)
    world.up()
    task = begin(world)
    pane = Pane(world.root / "t.sock", (*ORCH, "dashboard"), world.env, world.repo)
    try:
        pane.shows("QUESTIONS 1")
        pane.press("g")
        pane.shows(f"›{task:<8} claude    may it use Bash: make", "asks: may it")
        pane.press("a")
        pane.shows("allow may it use Bash: make", "(y/N)")
        pane.press("y")
        pane.shows("may it use Bash: rm?", f"{task}: allowed")
        pane.press("d")
        pane.type("not that")
        pane.press("Enter")
        pane.shows(f"{task}: denied", without="QUESTIONS")
    finally:
        pane.close()
    world.wait_for(task=task, status="done")
    assert b"not that" in world.output_of(task)
