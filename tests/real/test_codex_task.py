"""The real codex through the real orch: whole tasks against the scripted model server."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from orch import agents
from orch.model import ErrorClass, Verdict
from tests.real.test_claude_task import Scene, child
from tests.support.clis import MODEL, Stage, account
from tests.support.model_server import Edit, Fail, Run, Say, Shell, Think, Usage, Write, turn
from tests.support.scratch_sessions import Run as Attempt
from tests.support.scratch_sessions import Sessions, sessions

DONE = json.dumps({"status": "done", "summary": "greeted", "learnings": ["tabs, not spaces"]})
USAGE = Usage(fresh=123, cache_read=4567, output=89)
ALONE = {"mode": "autonomous"}  # `Bash(rm *)` is disallowed as it comes


def scene(world, stage: Stage, run: Run, permissions: dict[str, Any]) -> Scene:
    return Scene(world, stage, run, permissions, "codex")


def test_a_whole_task_steered_in_mid_run_with_one_approval(world, stage: Stage):
    gate = world.root / "gate"
    waits = Shell(f"echo waits; until test -e {gate}; do sleep 0.05; done; echo went on")
    run = stage.server.play(
        [
            turn(Think("A file first."), Say("I begin."), Write("hello.txt", "hi\n"), usage=USAGE),
            turn(waits, usage=USAGE),
            turn(Edit("hello.txt", "hi", "hi there"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    play = scene(world, stage, run, {"mode": "supervised", "allowed_tools": ["Bash"]})
    task = play.add()

    asked = play.question(task)
    assert (asked["title"], asked["text"]) == ("Edit", "hello.txt")
    told = play.host.answer(play.session(task), asked["question"], True, "", "once")
    assert told == ("submitted", "")
    run.wait_for(2)
    world.until(lambda: "▸ Bash echo waits" in play.shown(task), "the command")
    sent = world.orch("task", "send", task, "please use tabs; «ok»")
    assert "queued" in sent.out
    gate.touch()
    again = play.question(task)
    assert again["question"] != asked["question"]
    play.host.answer(play.session(task), again["question"], True, "", "twice")

    done = world.wait_for(task=task, status="done", seconds=90)

    assert "please use tabs; «ok»" in run.requests[2].text
    assert "please use tabs" not in run.requests[1].text
    assert world.git("show", f"{done['branch']}:hello.txt") == "hi there\n"
    attempt = done["attempts"][0]
    assert done["summary"] == "greeted"
    figures = [attempt["usage"][f"{name}_tokens"] for name in ("input", "cache_read", "output")]
    assert figures == [4 * 123, 4 * 4567, 4 * 89]
    text = play.shown(task)
    for part in ("  A file first.", "● I begin.", "▸ Edit hello.txt", "? may it use Edit",
                 "allowed", "hello.txt +1 -0", "» please use tabs; «ok»", "(read by the agent)",
                 "went on", "-hi\n", "+hi there\n", "tokens in"):  # fmt: skip
        assert part in text
    assert play.marked(task) == []
    assert stage.astray() == 0
    assert stage.server.strangers == []


@pytest.mark.parametrize("victim", ["codex", "session process"])
def test_killed_in_the_middle_of_a_tool_nothing_is_left_and_it_is_tried_again(
    world, stage: Stage, victim
):
    run = stage.server.play(
        [
            turn(Shell("sleep 1000"), usage=USAGE),
            turn(Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    play = scene(world, stage, run, ALONE)
    task = play.add()
    world.until(lambda: len(play.sleeps(task)) == 1, "the tool", seconds=60)
    asleep = play.sleeps(task)[0]
    pane = play.host.alive()[play.session(task)]

    os.kill(pane if victim == "session process" else child(pane), signal.SIGKILL)

    done = world.wait_for(task=task, status="done", seconds=90)
    classes = [attempt["error_class"] for attempt in done["attempts"]]
    assert classes == ["agent_crashed" if victim == "codex" else "lost", None]
    assert not psutil.pid_exists(asleep)
    assert play.marked(task, 1) == play.marked(task, 2) == []


def test_an_interrupt_stops_the_tool_and_the_next_text_goes_on(world, stage: Stage):
    run = stage.server.play(
        [
            turn(Shell("sleep 1000"), usage=USAGE),
            turn(Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    play = scene(world, stage, run, ALONE)
    task = play.add()
    world.until(lambda: len(play.sleeps(task)) == 1, "the tool", seconds=60)

    assert play.host.interrupt(play.session(task))
    world.until(
        lambda: (s := play.host.state(play.folder(task))) is not None and s.state == "waiting",
        "that it waits",
    )
    world.until(lambda: play.sleeps(task) == [], "the end of the tool")
    told = play.host.send(play.session(task), "write the file instead", True, "k")

    assert told == ("submitted", "")
    done = world.wait_for(task=task, status="done", seconds=60)
    assert len(done["attempts"]) == 1
    assert "write the file instead" in run.requests[1].text


def test_what_is_disallowed_is_refused_and_what_is_outside_is_read_only(world, stage: Stage):
    outside = Path.home() / ".orch-codex-test"
    run = stage.server.play(
        [
            turn(Write("a.txt", "a\n"), usage=USAGE),
            turn(Shell("true && rm -f a.txt"), usage=USAGE),
            turn(Shell(f"touch {outside}"), usage=USAGE),
            turn(Shell("ls a.txt"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    play = scene(world, stage, run, ALONE)
    task = play.add()

    done = world.wait_for(task=task, status="done", seconds=90)

    assert world.git("show", f"{done['branch']}:a.txt") == "a\n"
    assert "not allowed" in play.shown(task)
    assert "Read-only file system" in run.requests[3].results[-1]
    assert not outside.exists()


def test_a_conversation_is_resumed_and_its_tokens_counted_once(stage: Stage):
    run = stage.server.play([turn(Say(DONE), usage=USAGE)])
    with sessions() as made:
        verdict = judged(start(made, stage, run, "remember 4711"))
        again = judged(start(made, stage, run, "and now?", resume=verdict.native_session))

    assert (verdict.ok, again.ok) == (True, True)
    assert "remember 4711" in run.requests[1].text
    assert "Be brief." in json.dumps([part.text for part in run.requests[0].messages])
    assert run.requests[0].model == MODEL["codex"]
    assert again.native_session == verdict.native_session
    assert again.usage.output_tokens == verdict.usage.output_tokens == 89
    assert again.usage.input_tokens == verdict.usage.input_tokens == 123


def test_a_session_that_there_is_not_cannot_be_resumed(stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    with sessions() as made:
        nobody = "11111111-2222-4333-8444-555555555555"
        verdict = judged(start(made, stage, run, "hello", resume=nobody))
    assert (verdict.ok, verdict.error) == (False, ErrorClass.LAUNCH_FAILED)
    assert nobody in verdict.message


@pytest.mark.parametrize(
    ("fails", "error"),
    [
        ("usage_limit", ErrorClass.USAGE_LIMIT),
        ("e401", ErrorClass.AUTH),
        ("context", ErrorClass.CONTEXT_OVERFLOW),
    ],
)
def test_a_provider_that_fails_ends_the_run_with_its_class(stage: Stage, fails, error):
    run = stage.server.play([Fail(fails)])
    with sessions() as made:
        verdict = judged(start(made, stage, run, "hello"))
    assert (verdict.ok, verdict.error) == (False, error)
    assert (verdict.retry_at is not None) is (error is ErrorClass.USAGE_LIMIT)


def test_the_time_limit_ends_it_with_its_tool(stage: Stage):
    run = stage.server.play([turn(Shell("sleep 1000"))])
    with sessions() as made:
        attempt = start(made, stage, run, "hello", timeout_seconds=15)
        verdict = judged(attempt)
        assert attempt.left == []
    assert verdict.error is ErrorClass.TIMEOUT


def start(
    made: Sessions, stage: Stage, run: Run, prompt: str, resume: str = "", **more: Any
) -> Attempt:
    """Start the real codex in a session, as the engine would."""
    env = account("codex", made.root / "person", run, retries=0)
    folder = made.root / f"prompts-{len(made.runs)}"
    folder.mkdir()
    (folder / "prompt-sys.md").write_text("Be brief.")
    (folder / "prompt-msg.md").write_text(prompt)
    plan = agents.plan(
        "codex",
        agents.AgentSpec(protocol="codex", command=(stage.programs["codex"],), env=env),
        agents.Work(
            task="int-1", attempt=1, folder=str(folder), worktree=str(made.root), run="r",
            resume=resume,
        ),
    )  # fmt: skip
    return made.start(
        *(stage.network.inside(*plan.argv) if stage.network else plan.argv),
        protocol=plan.protocol,
        dialect=plan.dialect,
        settings=plan.settings,
        prompt=str(folder / plan.prompt),
        env=agents.environment(env, plan.env, plan.passes),
        **more,
    )


def judged(attempt: Attempt) -> Verdict:
    """The verdict on a session that ends by itself, as the engine makes it."""
    result = attempt.ends()
    ended = agents.Ended(
        ended_by=result.ended_by,
        exit_code=result.exit_code,
        signal=result.signal,
        message=result.message,
        ended_at=result.ended_at,
    )
    events = tuple((attempt.folder / "events.jsonl").read_bytes().splitlines())
    stderr = (attempt.folder / "stderr.txt").read_text()
    recorded = agents.Recorded(result=ended, events=events, stderr=stderr)
    verdict = agents.verdict("codex", recorded)
    assert result.native_session in ("", verdict.native_session)
    return verdict
