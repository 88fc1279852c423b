"""The real opencode in real sessions, and through a whole task, by the scripted model server."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orch import agents
from orch.agents.plain import strip_ansi
from orch.model import ErrorClass, Verdict
from tests.support.clis import MODEL, Stage, account
from tests.support.model_server import Fail, ModelServer, Run, Say, Shell, Usage, Write, turn
from tests.support.scratch_sessions import Run as Attempt
from tests.support.scratch_sessions import Sessions, sessions, until
from tests.support.world import World

DONE = json.dumps({"status": "done", "summary": "greeted"})
USAGE = Usage(fresh=123, cache_read=4567, output=89)
SLOW = 150.0
"""Seconds that opencode may take for anything on a busy machine."""


@pytest.fixture
def made() -> Iterator[Sessions]:
    with sessions() as opened:
        yield opened


def start(made: Sessions, stage: Stage, run: Run, mode: str = "autonomous", **more: Any) -> Attempt:
    """Start the real opencode in a session as the engine would, server and bridge in the network
    that has only loopback."""
    env = account("opencode", made.root / "person", run)
    folder = made.root / f"prompts-{len(made.runs)}"
    folder.mkdir()
    (folder / "prompt-sys.md").write_text("Be brief, says orch.")
    (folder / "prompt-msg.md").write_text("Write hello.txt, please: «ok» $HOME\n")
    allowed = agents.Permissions(
        mode=mode, allowed_tools=("Bash",), disallowed_tools=("Bash(rm *)",)
    )
    plan = agents.plan(
        "opencode",
        agents.AgentSpec(protocol="opencode", command=(stage.programs["opencode"],), env=env),
        agents.Work(
            task="int-1", attempt=1, folder=str(folder), worktree=str(made.root), run="r",
            model=MODEL["opencode"], permissions=allowed, **more,
        ),
    )  # fmt: skip
    return made.start(
        *(stage.network.inside(*plan.argv) if stage.network else plan.argv),
        protocol=plan.protocol,
        dialect=plan.dialect,
        settings=plan.settings,
        prompt=str(folder / plan.prompt),
        env=agents.environment(env, plan.env, plan.passes),
    )


def ended(attempt: Attempt) -> Any:
    """How the session ended."""
    return until(lambda: attempt.world.host.finished(attempt.folder), "the end", SLOW)


def judged(attempt: Attempt) -> Verdict:
    """The verdict on a session that ends by itself."""
    result = ended(attempt)
    end = agents.Ended(
        ended_by=result.ended_by, exit_code=result.exit_code, signal=result.signal,
        message=result.message, ended_at=result.ended_at,
    )  # fmt: skip
    events = tuple((attempt.folder / "events.jsonl").read_bytes().splitlines())
    stderr = (attempt.folder / "stderr.txt").read_text()
    recorded = agents.Recorded(result=end, events=events, stderr=stderr)
    verdict = agents.verdict("opencode", recorded)
    assert result.native_session in ("", verdict.native_session)
    return verdict


def shown(attempt: Attempt) -> str:
    """What the pane showed."""
    return strip_ansi(attempt.log.decode())


def sleeping(attempt: Attempt) -> list[int]:
    """The `sleep` commands that the agent runs."""
    return [pid for pid in attempt.left if name(pid) == "sleep"]


def name(pid: int) -> str:
    """The name of a process; '' once it is gone."""
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def test_a_run_steered_in_the_middle_with_one_approval(made, stage: Stage):
    gate = made.root / "gate"
    run = stage.server.play(
        [
            turn(Say("I begin."), Write("hello.txt", "hi\n"), usage=USAGE),
            turn(
                Shell(f"echo begun; until test -e {gate}; do sleep 0.05; done; echo went on"),
                usage=USAGE,
            ),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    attempt = start(made, stage, run, "supervised")

    asked: dict[str, Any] = until(lambda: question(attempt), "a question", SLOW)
    assert (asked["title"], asked["text"]) == ("edit", "hello.txt")
    session = attempt.launch.session
    told = made.host.answer(session, asked["question"], True, "", "once")
    assert told == ("submitted", "")
    until(lambda: "    begun" in shown(attempt), "the command's live output", SLOW)
    assert attempt.send("please use tabs; «ok»")[0] == "queued"
    gate.touch()

    verdict = judged(attempt)

    assert verdict.ok, (verdict, shown(attempt))
    assert verdict.answer is not None
    assert verdict.answer.summary == "greeted"
    assert "please use tabs; «ok»" in run.requests[2].text
    assert "please use tabs" not in run.requests[1].text
    assert "Write hello.txt, please: «ok» $HOME" in run.requests[0].text
    assert "Be brief, says orch." in json.dumps(run.requests[0].body)
    usage = verdict.usage
    figures = [usage.input_tokens, usage.cache_read_tokens, usage.output_tokens]
    assert figures == [3 * 123, 3 * 4567, 3 * 89]
    assert (made.root / "hello.txt").read_text() == "hi\n"
    for part in ("● I begin.", "▸ write hello.txt", "? may it use edit: hello.txt", "allowed",
                 "hello.txt +1 -0", "▸ bash echo begun", "» please use tabs; «ok»",
                 "(read by the agent)", "went on", "tokens in"):  # fmt: skip
        assert part in shown(attempt)
    assert attempt.left == []
    assert stage.server.strangers == []


def question(attempt: Attempt) -> dict[str, Any]:
    """What the agent asks, if it does."""
    state = attempt.world.host.state(attempt.folder)
    return (state and state.question) or {}


def test_an_interrupt_stops_the_tool_and_the_next_text_goes_on(made, stage: Stage):
    run = stage.server.play([turn(Shell("sleep 1000"), usage=USAGE), turn(Say(DONE), usage=USAGE)])
    attempt = start(made, stage, run)
    until(lambda: len(sleeping(attempt)) == 1, "the tool", SLOW)

    attempt.ask(type="interrupt")
    until(lambda: state(attempt) == "waiting", "that it waits", SLOW)
    until(lambda: not sleeping(attempt), "the end of the tool")
    assert attempt.send("write the file instead")[0] in ("submitted", "queued")

    verdict = judged(attempt)
    assert verdict.ok, (verdict, shown(attempt))
    assert "write the file instead" in run.requests[-1].text
    assert "✗ interrupted" in shown(attempt)


def state(attempt: Attempt) -> str:
    """What the agent does now."""
    found = attempt.world.host.state(attempt.folder)
    return found.state if found else ""


@pytest.mark.parametrize("victim", ["bridge", "server"])
def test_killed_in_the_middle_of_a_tool_nothing_is_left(made, stage: Stage, victim):
    run = stage.server.play([turn(Shell("sleep 1000"), usage=USAGE)])
    attempt = start(made, stage, run)
    until(lambda: len(sleeping(attempt)) == 1, "the tool", SLOW)
    bridge = attempt.ask(type="status")["agent_pid"]

    server = psutil.Process(bridge).children()[0].pid
    os.kill(bridge if victim == "bridge" else server, signal.SIGKILL)

    assert judged(attempt).error is ErrorClass.AGENT_CRASHED
    assert attempt.left == []


def test_a_limit_that_it_would_wait_hours_for_is_given_up_at_once(made, stage: Stage):
    run = stage.server.play([Fail("e429", retry_after=10_800)])
    verdict = judged(start(made, stage, run))
    assert verdict.error in (ErrorClass.RATE_LIMIT, ErrorClass.USAGE_LIMIT)
    assert verdict.retry_at is not None
    assert len(run.requests) == 1


@pytest.mark.parametrize(
    ("step", "error"),
    [(Fail("e401"), ErrorClass.AUTH), (Fail("context"), ErrorClass.CONTEXT_OVERFLOW)],
)
def test_a_failure_ends_it_and_has_its_class(made, stage: Stage, step, error):
    run = stage.server.play([step])
    verdict = judged(start(made, stage, run))
    assert verdict.error is error, verdict


def test_what_is_disallowed_is_refused_and_a_conversation_is_resumed(made, stage: Stage):
    (made.root / "a.txt").write_text("a\n")
    run = stage.server.play([turn(Shell("rm a.txt"), usage=USAGE), turn(Say(DONE), usage=USAGE)])
    first = judged(start(made, stage, run))
    again = judged(start(made, stage, run, resume=first.native_session))

    assert first.ok, first
    assert again.ok, again
    assert (made.root / "a.txt").exists()
    assert again.native_session == first.native_session
    assert again.usage.output_tokens == 89
    assert run.requests[-1].text.count("Write hello.txt, please") == 2


def test_a_session_that_there_is_not_cannot_be_resumed(made, stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    verdict = judged(start(made, stage, run, resume="ses_0000000000000000000000nobody"))
    assert (verdict.ok, verdict.error) == (False, ErrorClass.LAUNCH_FAILED)
    assert run.requests == []


def test_a_whole_task(world: World, stage: Stage):
    with ModelServer() as server:
        run = server.play([turn(Write("hello.txt", "hi\n")), turn(Say(DONE), usage=USAGE)])
        env = account("opencode", world.root / "person", run)
        agent = {
            "protocol": "opencode",
            "command": [stage.programs["opencode"]],
            "env": {name: value for name, value in env.items() if name != "PATH"},
        }
        text = world.home.config.read_text()
        text = text.replace("agents: [script]", "agents: [opencode]")
        script = f"agents:\n  opencode: {json.dumps(agent)}\n  script:"
        world.home.config.write_text(text.replace("agents:\n  script:", script))
        world.up()
        args = ("task", "add", "--json", "-b", "Write hello.txt, please.", "--", "Greet")
        task = world.orch(*args).json["id"]

        done = world.wait_for(task=task, status="done", seconds=SLOW)

    assert done["summary"] == "greeted"
    assert world.git("show", f"{done['branch']}:hello.txt") == "hi\n"
    assert [attempt["error_class"] for attempt in done["attempts"]] == [None]
    assert not list(Path(done["worktree"]).glob("*opencode*"))
