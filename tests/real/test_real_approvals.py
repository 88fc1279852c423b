"""The real CLIs, supervised, through the real orch: asked by them, answered by `orch task`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.asking import asked, shown
from tests.support.clis import NAMES, Stage, account
from tests.support.model_server import ModelServer, Say, Shell, Write, turn
from tests.support.world import World

DONE = json.dumps({"status": "done", "summary": "greeted"})
TURNS = [turn(Write("hello.txt", "hi\n")), turn(Shell("touch other.txt")), turn(Say(DONE))]
SLOW = 150.0
"""Seconds that a CLI may take for anything on a busy machine."""


def configured(world: World, stage: Stage, name: str, run) -> None:
    """A world whose only agent is a real CLI that asks."""
    env = account(name, world.root / "person", run, retries=1)
    # opencode's server and its bridge must stand in one network
    command = stage.programs[name] if name == "opencode" else str(stage.wrapper(name, world.root))
    agent = {
        "protocol": name,
        "command": [command],
        "env": {variable: value for variable, value in env.items() if variable != "PATH"},
    }
    workflow = {"permissions": {"mode": "supervised"}, "timeout_seconds": 300}
    world.configure(f"workflow: {json.dumps(workflow)}\n")
    text = world.home.config.read_text().replace("agents: [script]", f"agents: [{name}]")
    script = f"agents:\n  {name}: {json.dumps(agent)}\n  script:"
    world.home.config.write_text(text.replace("agents:\n  script:", script))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_real_agent_asks_is_allowed_and_refused_by_command(world, stage: Stage, name):
    with ModelServer() as own:
        server = own if name == "opencode" else stage.server
        configured(world, stage, name, server.play(TURNS))
        world.up()
        args = ("task", "add", "--json", "-b", "Write hello.txt, please.", "--", "Greet")
        task = world.orch(*args).json["id"]
        asked(world, task, seconds=SLOW)
        got = world.orch("task", "get", task).out
        assert "waiting for  an answer: may it use" in got
        assert "hello.txt? (`orch task approve" in got

        said = world.orch("task", "approve", task)

        assert f"{name} (attempt 1) has asked for" in said.out
        assert said.out.endswith("allowed: the agent has the answer\n")
        (second,) = asked(world, task, seconds=SLOW)
        assert "touch other.txt" in second["text"]
        world.orch("task", "deny", task, "one file is enough")

        world.until(lambda: world.task(task)["status"] != "in_progress", "the end", seconds=SLOW)

    done = world.task(task)
    assert done["status"] == "done", done
    assert [(one["state"], one["delivered"]) for one in done["approvals"]] == [
        ("allowed", True), ("denied", True),
    ]  # fmt: skip
    assert world.git("show", "--stat", "--format=", done["branch"]).split()[0] == "hello.txt"
    assert not (Path(done["worktree"]) / "other.txt").exists()
    text = shown(world, task)
    assert "one file is enough" in text
    assert "allowed (" in text
