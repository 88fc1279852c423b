"""Sessions of codex: a scripted app server in a real pane."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orch import agents
from orch.agents.plain import strip_ansi
from orch.model import ErrorClass, Verdict
from orch.session.launch import State
from tests.support.scratch_sessions import Run, Sessions, sessions, until

FAKE = Path(__file__).resolve().parents[1] / "support" / "fake_codex.py"
DONE = json.dumps({"status": "done", "summary": "all well"})
COMMAND = "item/commandExecution/requestApproval"


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def play(world: Sessions, *script: list[Any], mode: str = "supervised", resume: str = "") -> Run:
    """Run a script as codex, planned as the engine does it; it is told `do the work`."""
    folder = world.root / f"order-{len(world.runs)}"
    folder.mkdir()
    (folder / "script.json").write_text(json.dumps(script))
    (folder / "prompt-msg.md").write_text("do the work\n")
    (folder / "prompt-sys.md").write_text("be brief\n")
    command = (sys.executable, str(FAKE), str(folder / "script.json"))
    plan = agents.plan(
        "codex",
        agents.AgentSpec(protocol="codex", command=command),
        agents.Work(
            task="int-1", attempt=1, folder=str(folder), worktree=str(world.root), run="r",
            permissions=agents.Permissions(mode=mode, disallowed_tools=("Bash(rm *)",)),
            resume=resume,
        ),
    )  # fmt: skip
    return world.start(
        *plan.argv,
        protocol=plan.protocol,
        dialect=plan.dialect,
        settings=plan.settings,
        prompt=str(folder / plan.prompt),
    )


def shown(run: Run) -> str:
    """What the pane showed, as plain text."""
    return strip_ansi(run.log.decode())


def state(run: Run) -> State:
    """What the agent does, by its file."""
    return until(lambda: run.world.host.state(run.folder), "its state")


def question(run: Run) -> dict[str, Any]:
    """Wait until the agent asks something."""
    return until(lambda: state(run).question, "the question") or {}


def sent(run: Run, method: str) -> list[Any]:
    """The parameters of the requests of a method that the agent was sent."""
    lines = (run.folder / "events.jsonl").read_bytes().splitlines()
    found = [event["orch_sent"] for line in lines if "orch_sent" in (event := json.loads(line))]
    return [one["params"] for one in found if one.get("method") == method]


def judged(run: Run) -> Verdict:
    """The verdict, as the engine makes it."""
    result = run.ends()
    ended = agents.Ended(
        ended_by=result.ended_by, exit_code=result.exit_code, signal=result.signal,
        message=result.message, ended_at=result.ended_at,
    )  # fmt: skip
    lines = tuple((run.folder / "events.jsonl").read_bytes().splitlines())
    errors = (run.folder / "stderr.txt").read_text(errors="replace")
    return agents.verdict("codex", agents.Recorded(result=ended, events=lines, stderr=errors))


def test_a_run_is_shown_as_text_and_kept_as_messages(world):
    run = play(
        world,
        ["hear"],
        ["run", "make test", "".join(f"line {n}\n" for n in range(9)), 2],
        ["edit", str(world.root / "src/a.py"), "@@ -1 +1 @@\n-a = 1\n+a = 2\n"],
        ["err", "a warning\n"],
        ["say", DONE],
        ["done"],
        ["eof"],
    )

    verdict = judged(run)

    assert (verdict.ok, verdict.answer and verdict.answer.summary) == (True, "all well")
    assert (verdict.usage.input_tokens, verdict.usage.cache_read_tokens) == (10, 20)
    assert run.ends().native_session == verdict.native_session == state(run).native_session
    text = shown(run)
    for part in ("the agent is there with fake-1", "▸ Bash make test", "line 0\n", "line 8\n",
                 "✗ failed", "▸ Edit src/a.py", "src/a.py +1 -1", "-a = 1\n", "+a = 2\n",
                 "! a warning", "— 10 tokens in and 20 from the cache, 5 out"):  # fmt: skip
        assert part in text
    (opened,) = sent(run, "thread/start")
    assert (opened["developerInstructions"], "cwd" in opened) == ("be brief\n", False)
    assert sent(run, "turn/start")[0]["input"] == [{"type": "text", "text": "do the work\n"}]


def test_a_text_for_the_running_turn_is_submitted_once_it_was_read(world):
    text = "no, in Rust;\n\n  «żółć» 🎉 $HOME `ls`"
    run = play(world, ["hear"], ["say", "hello"], ["hear"], ["say", DONE], ["done"], ["eof"])
    run.shows(b"hello")

    assert run.send(text) == ("submitted", "")

    assert judged(run).ok
    (steered,) = sent(run, "turn/steer")
    assert steered["input"][0]["text"] == text
    assert "(read by the agent)" in shown(run)


def test_a_text_that_a_turn_left_unread_begins_the_next_one(world):
    run = play(
        world, ["hear"], ["say", "busy"], ["drop"], ["hear"], ["say", DONE], ["done"], ["eof"]
    )
    run.shows(b"busy")

    assert run.send("one more thing") == ("submitted", "")

    assert judged(run).ok
    again = [params["input"][0]["text"] for params in sent(run, "turn/start")]
    assert again == ["do the work\n", "one more thing"]


@pytest.mark.parametrize(
    ("allowed", "told"),
    [(True, '{"decision": "accept"}'), (False, '{"decision": "decline"}')],
)
def test_a_question_is_put_to_people_and_their_answer_to_the_agent(world, allowed, told):
    asks = ["ask", COMMAND, {"command": "/bin/bash -lc 'make clean'"}]
    more = [] if allowed else [["hear"]]
    run = play(world, ["hear"], asks, *more, ["say", DONE], ["done"], ["eof"])
    asked = question(run)
    assert (asked["title"], asked["text"]) == ("Bash", "make clean")
    assert "? may it use Bash: make clean" in shown(run)

    reason = "" if allowed else "only the build folder"
    host = run.world.host
    assert host.answer(run.launch.session, asked["question"], allowed, reason, "k")[0] == (
        "submitted"
    )

    assert judged(run).ok
    assert told in shown(run)
    texts = [params["input"][0]["text"] for params in sent(run, "turn/steer")]
    assert texts == ([] if allowed else ["only the build folder"])


def test_an_agent_that_works_alone_is_answered_by_the_rules(world):
    run = play(
        world, ["hear"], ["ask", COMMAND, {"command": "/bin/bash -lc 'make; rm -r x'"}],
        ["ask", COMMAND, {"command": "/bin/bash -lc 'make clean'"}],
        ["say", DONE], ["done"], ["eof"], mode="autonomous",
    )  # fmt: skip

    assert judged(run).ok
    text = shown(run)
    assert text.index('{"decision": "decline"}') < text.index('{"decision": "accept"}')


def test_an_interrupt_waits_for_a_text_and_a_second_one_ends(world):
    run = play(
        world, ["hear"], ["say", "busy"], ["interruptible"], ["hear"], ["say", "again"],
        ["interruptible"], ["eof"],
    )  # fmt: skip
    run.shows(b"busy")
    run.ask(type="interrupt")
    until(lambda: state(run).state == "waiting", "that it waits")
    assert run.send("go on") == ("submitted", "")
    run.shows(b"again")

    run.ask(type="interrupt")
    until(lambda: state(run).state == "waiting", "that it waits again")
    run.ask(type="interrupt")

    assert (judged(run).error, run.ends().ended_by) == (ErrorClass.CANCELLED, "exit")


@pytest.mark.parametrize("method", ["initialize", "thread/resume"])
def test_a_server_that_refuses_to_begin_is_left(world, method):
    run = play(world, ["refuse", method, "no rollout found"], resume="11111111")
    verdict = judged(run)
    assert (verdict.error, verdict.message) == (ErrorClass.LAUNCH_FAILED, "no rollout found")


def test_a_turn_that_fails_ends_the_run_with_its_class(world):
    told = "You’ve hit your usage limit."
    run = play(world, ["hear"], ["fail", told, "usageLimitExceeded"], ["eof"])
    assert judged(run).error is ErrorClass.USAGE_LIMIT
    assert f"✗ {told}" in shown(run)


def test_whatever_the_server_prints_the_session_goes_on(world):
    odd = [
        {"method": 7}, {"method": "turn/started"}, {"method": "turn/completed", "params": 3},
        {"id": 77, "result": None}, {"id": [], "result": {}}, {"id": None, "error": {}},
        {"method": "item/started", "params": {"item": []}},
        {"method": "item/completed", "params": {"item": {"type": "of_next_year"}}},
        {"method": "thread/tokenUsage/updated", "params": {"tokenUsage": {"total": "x"}}},
        {"id": 5, "method": "of/next/year"}, {"id": 6, "method": COMMAND, "params": []},
    ]  # fmt: skip
    lines = "".join(json.dumps(one) + "\n" for one in odd)
    run = play(
        world, ["hear"], ["raw", f'no JSON\n[1]\nnull\n{{"meth\n{lines}'], ["say", DONE], ["done"],
        ["eof"],
    )  # fmt: skip
    assert judged(run).ok


@pytest.mark.parametrize("ends", [["exit", 3], ["raw", '{"method": "turn/com']])
def test_a_server_that_dies_in_a_turn_has_crashed(world, ends):
    run = play(world, ["hear"], ["say", DONE], ends, ["exit", 3])
    assert judged(run).error is ErrorClass.AGENT_CRASHED


def test_a_server_that_is_killed_is_told_as_that(world):
    run = play(world, ["hear"], ["say", "busy"], ["hang"])
    run.shows(b"busy")
    agent = run.ask(type="status")["agent_pid"]
    os.kill(agent, signal.SIGKILL)
    verdict = judged(run)
    assert (verdict.error, "signal 9" in verdict.message) == (ErrorClass.AGENT_CRASHED, True)
    assert run.left == []
