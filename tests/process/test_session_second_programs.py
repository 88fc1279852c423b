"""Sessions in which a second program goes on: a one-shot mode after a server that did not come up,
and a one-shot mode's next turn. Scripted programs in a real pane."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from orch import agents
from orch.agents.plain import strip_ansi
from orch.hosts.attempt import recorded
from orch.model import ErrorClass, Verdict
from orch.session.launch import Instead
from tests.support.scratch_sessions import Run, Sessions, sessions

FALLS = "import sys; sys.exit('no such command: app-server')"
TURN = """
import json, os, sys, time
gate, answer = sys.argv[1:3]
def tell(**event): print(json.dumps(event), flush=True)
heard = sys.stdin.read()
tell(type="thread.started", thread_id="t1")
tell(type="item.completed", item={"id": "i", "type": "agent_message", "text": "heard " + heard})
while gate and not os.path.exists(gate): time.sleep(0.02)
text = '{"status": "done", "summary": "%s"}' % answer
tell(type="item.completed", item={"id": "j", "type": "agent_message", "text": text})
tell(type="turn.completed", usage={"input_tokens": 5, "output_tokens": 2})
"""
"""`codex exec --json`, as far as it matters here."""


@pytest.fixture
def made() -> Iterator[Sessions]:
    """A scratch home for sessions."""
    with sessions() as opened:
        yield opened


def play(made: Sessions, server: str, *, gate: str = "", **more: Any) -> Run:
    """An attempt whose server is that Python text, and whose one-shot mode is `TURN`."""
    (made.root / "system.md").write_text("be brief")
    (made.root / "prompt.md").write_text("do the work")
    oneshot = (sys.executable, "-c", TURN)
    settings = {"worktree": str(made.root), "system_file": str(made.root / "system.md")}
    return made.start(
        sys.executable, "-c", server,
        protocol="structured", dialect="codex", settings=settings,
        prompt=str(made.root / "prompt.md"),
        instead=Instead(
            argv=(*oneshot, gate, "first"), dialect="codex-exec", settings=settings,
            again=(*oneshot, "", "again in {session}"),
        ),
        **more,
    )  # fmt: skip


def verdict(run: Run) -> Verdict:
    """The verdict on a session that ends by itself."""
    result = run.ends()
    return agents.verdict("codex", recorded(run.world.host, run.folder, result))


def test_the_one_shot_mode_follows_a_server_that_does_not_come_up(made):
    run = play(made, FALLS)
    found = verdict(run)
    assert found.answer is not None, found
    assert found.answer.summary == "first"
    text = strip_ansi(run.log.decode())
    assert text.index("no such command") < text.index("[it does not come up as a server")
    assert "heard be brief" in text
    assert "do the work" in text
    assert run.left == []


def test_a_text_that_waited_is_the_next_turn_of_the_same_conversation(made):
    gate = made.root / "gate"
    run = play(made, FALLS, gate=str(gate))
    run.shows(b"heard be brief")
    assert run.send("use tabs") == ("queued", "the agent reads it before its next turn")
    gate.touch()
    found = verdict(run)
    assert found.answer is not None, found
    assert found.answer.summary == "again in t1"
    text = strip_ansi(run.log.decode())
    assert "heard use tabs" in text
    assert "(read by the agent)" in text


def test_an_interrupt_ends_a_one_shot_mode(made):
    run = play(made, FALLS, gate="/nowhere/gate")
    run.shows(b"heard be brief")
    run.ask(type="interrupt")
    assert verdict(run).error is ErrorClass.AGENT_CRASHED
    assert run.left == []


def test_the_time_limit_holds_for_both_programs_together(made):
    run = play(made, FALLS, gate="/nowhere/gate", timeout_seconds=2)
    assert verdict(run).error is ErrorClass.TIMEOUT
    assert run.left == []


@pytest.mark.parametrize("server", ["import os; os.kill(os.getpid(), 9)", "import time; 1/0"])
def test_a_killed_server_is_not_followed_and_one_that_breaks_is(made, server):
    found = verdict(play(made, server))
    assert found.ok is ("1/0" in server)
