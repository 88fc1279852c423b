"""Each real CLI through the real orch: whole tasks against the scripted model server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.clis import NAMES, Stage
from tests.support.model_server import Edit, Read, Say, Shell, Think, Write, turn
from tests.support.real_agents import DONE, SLOW, USAGE, Scene
from tests.support.world import World

ASKS = {"claude": "Write", "codex": "Edit", "opencode": "edit"}
"""The tool that each CLI asks for when it writes its first file."""
SHELL = {"claude": "Bash", "codex": "Bash", "opencode": "bash"}


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_task_steered_in_mid_run_with_approvals(name, world: World, stage: Stage):
    gate = world.root / "gate"
    waits = Shell(f"echo waits; until test -e {gate}; do sleep 0.05; done; echo went on")
    run = stage.server.play(
        [
            turn(Think("A file first."), Say("I begin."), Write("hello.txt", "hi\n"), usage=USAGE),
            turn(waits, usage=USAGE),
            turn(Read("hello.txt"), usage=USAGE),
            turn(Edit("hello.txt", "hi", "hi there"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    rules = {"mode": "supervised", "allowed_tools": ["Bash", "Read"]}
    before = stage.astray()
    scene = Scene(world, stage, name, run, permissions=rules)
    settings = scene.settings()
    task = scene.add()

    asked = scene.allow(task, "first")
    assert (asked["title"], asked["text"]) == (ASKS[name], "hello.txt")
    run.wait_for(2)
    world.until(lambda: f"▸ {SHELL[name]} echo waits" in scene.shown(task), "the command")
    assert "queued" in world.orch("task", "send", task, "please use tabs; «ok»").out
    gate.touch()
    scene.allow(task, "second")

    done = world.wait_for(task=task, status="done", seconds=SLOW)

    assert "please use tabs; «ok»" in run.requests[2].text
    assert "please use tabs" not in run.requests[1].text
    assert world.git("show", f"{done['branch']}:hello.txt") == "hi there\n"
    (attempt,) = done["attempts"]
    assert (done["summary"], attempt["outcome"]) == ("greeted", "done")
    figures = [attempt["usage"][f"{kind}_tokens"] for kind in ("input", "cache_read", "output")]
    assert figures == [5 * 123, 5 * 4567, 5 * 89]
    for part in ("  A file first.", "● I begin.", f"▸ {ASKS[name].replace('edit', 'write')} hello",
                 f"? may it use {ASKS[name]}", "allowed", "hello.txt +1 -0", "went on", "-hi\n",
                 "» please use tabs; «ok»", "(read by the agent)", "+hi there\n",
                 "tokens in"):  # fmt: skip
        assert part in scene.shown(task)
    assert scene.left(task) == []
    assert {path.name for path in Path(done["worktree"]).glob(".*")} == {".git", ".orch.yml"}
    assert scene.settings() == settings, "the person's settings are as they were"
    assert stage.astray() == before
    assert stage.server.strangers == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_disallowed_is_refused_and_the_run_goes_on(name, world: World, stage: Stage):
    outside = Path.home() / ".orch-sandbox-test"
    run = stage.server.play(
        [
            turn(Write("a.txt", "a\n"), usage=USAGE),
            turn(Shell("rm -f a.txt"), usage=USAGE),
            turn(Shell(f"touch {outside}" if name == "codex" else "ls"), usage=USAGE),
            turn(Shell("ls a.txt"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    scene = Scene(world, stage, name, run)  # `Bash(rm *)` is disallowed as it comes

    done = world.wait_for(task=scene.add(), status="done", seconds=SLOW)

    assert world.git("show", f"{done['branch']}:a.txt") == "a\n"
    refusal = run.requests[2].results[-1]
    assert any(word in refusal for word in ("denied", "rejected", "prevents", "not allowed"))
    if name == "codex":  # its sandbox
        assert "Read-only file system" in run.requests[3].results[-1]
        assert not outside.exists()
    if name == "claude":
        assert not {"AskUserQuestion", "EnterWorktree"} & set(run.requests[0].tools)


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupt_stops_the_tool_and_the_next_text_goes_on(name, world: World, stage: Stage):
    run = stage.server.play(
        [
            turn(Shell("sleep 1000"), usage=USAGE),
            turn(Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    scene = Scene(world, stage, name, run)
    task = scene.add()
    world.until(lambda: len(scene.sleeps(task)) == 1, "the tool", seconds=SLOW)

    assert scene.host.interrupt(scene.session(task))
    world.until(
        lambda: (s := scene.host.state(scene.folder(task))) is not None and s.state == "waiting",
        "that it waits",
    )
    world.until(lambda: scene.sleeps(task) == [], "the end of the tool")
    told = scene.host.send(scene.session(task), "write the file instead", True, "k")

    assert told[0] in ("submitted", "queued")
    done = world.wait_for(task=task, status="done", seconds=SLOW)
    assert len(done["attempts"]) == 1
    assert "write the file instead" in run.requests[1].text
    assert json.loads(DONE)["summary"] == done["summary"]
