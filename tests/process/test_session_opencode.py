"""Sessions of agents that are a server on loopback: a scripted one in a real pane."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orch import agents
from orch.agents.plain import strip_ansi
from orch.agents.stream import BRIDGE
from orch.model import ErrorClass, Verdict
from tests.support.scratch_sessions import Run, Sessions, sessions, until

FAKE = Path(__file__).resolve().parents[1] / "support" / "fake_opencode.py"
DONE = json.dumps({"status": "done", "summary": "all well"})


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def play(world: Sessions, *script: list[Any], mode: str = "autonomous", resume: str = "") -> Run:
    """Run a script as an agent; it is told `do the work`."""
    (world.root / "script.json").write_text(json.dumps(script))
    (world.root / "prompt.md").write_text("do the work\n")
    settings = {"permissions": mode, "worktree": str(world.root), "resume": resume}
    script_file = str(world.root / "script.json")
    return serve(world, sys.executable, str(FAKE), script_file, settings=settings)


def serve(world: Sessions, *command: str, settings: dict[str, str] | None = None) -> Run:
    """Run a server as an agent."""
    return world.start(
        BRIDGE,
        *command,
        protocol="structured",
        dialect="opencode",
        settings=settings or {},
        prompt=str(world.root / "prompt.md"),
    )


def shown(run: Run) -> str:
    """What the pane showed, as plain text."""
    return strip_ansi(run.log.decode())


def judged(run: Run) -> Verdict:
    """The verdict, as the engine makes it."""
    result, folder = run.ends(), run.folder
    ended = agents.Ended(
        ended_by=result.ended_by,
        exit_code=result.exit_code,
        signal=result.signal,
        message=result.message,
        ended_at=result.ended_at,
    )
    lines = tuple((folder / "events.jsonl").read_bytes().splitlines())
    errors = (folder / "stderr.txt").read_text(errors="replace")
    return agents.verdict("opencode", agents.Recorded(result=ended, events=lines, stderr=errors))


def test_a_run_is_shown_and_ends_with_nothing_left(world):
    run = play(world, ["hear"], ["print", "line 1\n"], ["say", "I did it."], ["finish", DONE])

    verdict = judged(run)

    assert verdict.ok, (verdict, shown(run))
    assert (run.ends().ended_by, run.ends().exit_code) == ("exit", 0)
    assert run.ends().native_session == verdict.native_session == "ses_1"
    for part in ("session ses_1", "▸ bash make\n", "    line 1\n", "● I did it.\n",
                 "— 10 tokens in and 20 from the cache, 3 into it, 5 out · $0.2500"):  # fmt: skip
        assert part in shown(run)
    usage = verdict.usage
    assert (usage.input_tokens, usage.output_tokens, usage.usd) == (10, 5, 0.25)
    assert run.left == []


def test_a_text_is_submitted_once_the_agent_has_read_it(world):
    text = "no, in Rust;\n\n  «żółć» 🎉 $HOME"
    run = play(world, ["hear"], ["say", "hello"], ["hear"], ["say", "aha"], ["finish", DONE])
    run.shows(b"hello")

    assert run.send(text) == ("submitted", "")

    assert judged(run).ok
    assert shown(run).index("» no, in Rust;") < shown(run).index("(read by the agent)")


@pytest.mark.parametrize(
    ("allowed", "told"),
    [(True, {"reply": "once"}), (False, {"message": "use make clean", "reply": "reject"})],
)
def test_a_question_is_put_to_people_and_their_answer_to_the_agent(world, allowed, told):
    run = play(world, ["hear"], ["ask", "bash", "rm -r b"], ["finish", DONE], mode="supervised")
    run.shows(b"? may it use")
    answer = world.host.answer(run.launch.session, "per_1", allowed, "use make clean", "k")

    assert answer == ("submitted", "")
    assert judged(run).ok
    assert json.dumps(told) in shown(run)


def test_an_agent_that_works_alone_is_not_kept_waiting(world):
    run = play(world, ["hear"], ["ask", "external_directory", "ls /"], ["finish", DONE])
    assert judged(run).ok
    assert '● {"reply": "once"}' in shown(run)


def test_after_an_interrupt_it_goes_on_with_the_next_text(world):
    run = play(world, ["hear"], ["say", "busy"], ["abort"], ["hear"], ["finish", DONE])
    run.shows(b"busy")
    run.ask(type="interrupt")
    until(lambda: "✗ interrupted" in shown(run), "the interrupt")
    assert run.send("go on") == ("submitted", "")
    assert judged(run).ok


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (["retry", 1, 10_800], ErrorClass.RATE_LIMIT),
        (["retry", 6, 2], ErrorClass.RATE_LIMIT),
        (["error", "ContextOverflowError", "too long"], ErrorClass.CONTEXT_OVERFLOW),
    ],
)
def test_what_opencode_would_try_for_ever_is_given_up(world, trouble, error):
    run = play(world, ["hear"], trouble, ["hang"])
    assert judged(run).error is error


@pytest.mark.parametrize(
    ("victim", "number"),
    [("bridge", signal.SIGKILL), ("bridge", signal.SIGTERM), ("server", signal.SIGKILL)],
)
def test_killed_it_leaves_nothing_running(world, victim, number):
    run = play(world, ["hear"], ["say", "busy"], ["hang"])
    run.shows(b"busy")
    bridge = run.ask(type="status")["agent_pid"]
    server = psutil.Process(bridge).children()[0].pid

    os.kill(bridge if victim == "bridge" else server, number)

    assert judged(run).error is ErrorClass.AGENT_CRASHED
    assert run.ends().signal == number
    assert run.left == []


def test_a_session_process_that_is_killed_takes_the_server_with_it(world):
    run = play(world, ["hear"], ["say", "busy"], ["hang"])
    run.shows(b"busy")
    server = psutil.Process(run.ask(type="status")["agent_pid"]).children()[0]

    os.kill(run.pane, signal.SIGKILL)

    until(lambda: not server.is_running(), "the end of the server")
    assert world.host.sweep(run.launch.run) == []


def test_what_does_not_begin_says_why(world):
    run = play(world, resume="ses_gone")
    verdict = judged(run)
    assert (verdict.error, "not found" in verdict.message) == (ErrorClass.LAUNCH_FAILED, True)

    run = play(world, ["err", "Error: Invalid configuration"], ["out", "leave"])
    verdict = judged(run)
    assert (verdict.ok, run.ends().exit_code) == (False, 1)

    verdict = judged(serve(world, "no-such-opencode", "serve"))
    assert verdict.error is ErrorClass.MISSING_TOOL


def test_odd_events_are_survived(world):
    odd = [
        {"type": "of_next_year", "properties": {}},
        {"type": "message.part.updated", "properties": {"part": 7}},
        {"type": "session.status", "properties": {"status": None}},
        {"properties": {"sessionID": "x" * 10_000_000}},
    ]
    run = play(world, ["hear"], *(["event", event] for event in odd), ["finish", DONE])
    assert judged(run).ok
    assert len(shown(run)) < 10_000
