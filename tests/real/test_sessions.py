"""Each real CLI in a session: resumed, ended at its time limit, without its server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch import agents
from orch.model import ErrorClass
from tests.support.clis import MODEL, NAMES, Stage
from tests.support.model_server import Say, Shell, Write, turn
from tests.support.real_agents import DONE, SLOW, USAGE, judged, shown, sleeping, start
from tests.support.scratch_sessions import Sessions, sessions, until

NOBODY = {"opencode": "ses_0000000000000000000000nobody"}
SERVED = ("codex", "opencode")
"""The CLIs with a server and a one-shot mode."""
OLD = """\
#!{python}
import os, sys
REFUSALS = {{"app-server": "error: unexpected argument '--disable' found", "serve": "usage"}}
if sys.argv[1] in REFUSALS:
    sys.exit(REFUSALS[sys.argv[1]])
os.execv("{program}", ["{program}", *sys.argv[1:]])
"""
"""A version of before the server."""


@pytest.fixture
def made() -> Iterator[Sessions]:
    """A scratch home for sessions."""
    with sessions() as opened:
        yield opened


@pytest.mark.parametrize("name", NAMES)
def test_a_conversation_is_resumed_and_its_tokens_counted_once(name, made, stage: Stage):
    run = stage.server.play([turn(Say(DONE), usage=USAGE)])
    first = judged(start(made, stage, name, run, prompt="remember 4711"), name)
    again = judged(
        start(made, stage, name, run, prompt="and now?", resume=first.native_session), name
    )

    assert (first.ok, again.ok) == (True, True)
    assert "remember 4711" in run.requests[1].text
    assert "Be brief, says orch." in json.dumps(run.requests[0].body)
    assert run.requests[0].model in MODEL[name]
    assert again.native_session == first.native_session
    assert again.usage.output_tokens == first.usage.output_tokens == 89
    assert again.usage.input_tokens == first.usage.input_tokens == 123


@pytest.mark.parametrize("name", NAMES)
def test_a_session_that_there_is_not_cannot_be_resumed(name, made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    nobody = NOBODY.get(name, "11111111-2222-4333-8444-555555555555")
    verdict = judged(start(made, stage, name, run, resume=nobody), name)
    assert (verdict.ok, verdict.error) == (False, ErrorClass.LAUNCH_FAILED)
    assert run.requests == []


@pytest.mark.parametrize("name", NAMES)
def test_a_program_that_is_not_installed_is_a_missing_tool(name, made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    attempt = start(made, stage, name, run, command=("/nowhere/agent",))
    assert judged(attempt, name).error is ErrorClass.MISSING_TOOL


@pytest.mark.parametrize("name", NAMES)
def test_the_time_limit_ends_it_with_its_tool(name, made, stage: Stage):
    run = stage.server.play([turn(Shell("sleep 1000"))])
    seconds = 40 if name == "opencode" else 15
    attempt = start(made, stage, name, run, timeout_seconds=seconds)
    until(lambda: sleeping(attempt), "the tool", SLOW)
    assert judged(attempt, name).error is ErrorClass.TIMEOUT
    assert attempt.left == []


# ---- without a server ------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERVED)
def test_where_the_server_is_missing_the_one_shot_mode_does_the_work(name, made, stage: Stage):
    old = Path(made.root / "old")
    old.write_text(OLD.format(python=sys.executable, program=stage.programs[name]))
    old.chmod(0o755)
    gate = made.root / "gate"
    waits = Shell(f"echo waits; until test -e {gate}; do sleep 0.05; done")
    run = stage.server.play(
        [
            turn(Say("I begin."), Write("hello.txt", "hi\n"), usage=USAGE),
            turn(waits, usage=USAGE),
            turn(Say("One turn is over."), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    before = stage.astray()
    attempt = start(made, stage, name, run, command=(str(old),))
    run.wait_for(2)
    assert attempt.send("please use tabs")[0] == "queued"
    gate.touch()

    verdict = judged(attempt, name)

    assert verdict.ok, (verdict, shown(attempt))
    assert (made.root / "hello.txt").read_text() == "hi\n"
    assert "Write hello.txt, please: «ok» $HOME" in run.requests[0].text
    assert "Be brief, says orch." in json.dumps(run.requests[0].body)
    assert "please use tabs" not in run.requests[2].text, "it reads nothing while it works"
    assert "please use tabs" in run.requests[3].text, "the text began the next turn"
    assert "I begin." in run.requests[3].text, "of the same conversation"
    figures = (verdict.usage.input_tokens, verdict.usage.output_tokens)
    assert figures == (4 * 123, 4 * 89)
    for part in ("[it does not come up as a server", "● I begin.", "hello.txt",
                 "» please use tabs", "(read by the agent)", "tokens in"):  # fmt: skip
        assert part in shown(attempt)
    assert attempt.left == []
    assert stage.astray() == before


@pytest.mark.parametrize("name", SERVED)
def test_the_one_shot_mode_can_be_asked_for_and_is_sandboxed(name, made, stage: Stage):
    outside = Path.home() / ".orch-oneshot-test"
    (made.root / "a.txt").write_text("a\n")
    command = f"touch {outside}" if name == "codex" else "rm a.txt"
    run = stage.server.play([turn(Shell(command)), turn(Say(DONE))])
    rules = agents.Permissions(disallowed_tools=("Bash(rm *)",))
    attempt = start(made, stage, name, run, mode="oneshot", permissions=rules)

    verdict = judged(attempt, name)

    told = run.requests[1].results[-1]
    assert ("Read-only file system" if name == "codex" else "prevents") in told
    assert not outside.exists()
    assert (made.root / "a.txt").exists()
    assert verdict.ok or verdict.error is ErrorClass.PERMISSION_DENIED
    assert "it does not come up" not in shown(attempt)


@pytest.mark.parametrize("name", SERVED)
def test_a_server_that_is_killed_is_not_replaced(name, made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    killed = Path(made.root / "killed")
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    verdict = judged(start(made, stage, name, run, command=(str(killed),)), name)
    assert verdict.error is ErrorClass.AGENT_CRASHED
