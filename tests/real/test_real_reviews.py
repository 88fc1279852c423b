"""Real CLIs: an answer that cannot be read is asked for again in the CLI's own conversation, then
another CLI reviews the work, and it is merged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.clis import MODEL, Stage, account
from tests.support.model_server import Run, Say, Write, turn
from tests.support.world import World

DONE = json.dumps({"status": "done", "summary": "greeted"})
APPROVE = json.dumps({"decision": "approve", "notes": "it greets", "test_results": "none"})
REVIEWER = {"claude": "codex", "codex": "opencode", "opencode": "claude"}


def scene(world: World, stage: Stage, run: Run, agents: tuple[str, ...]) -> None:
    """An orch with these real agents, all of it in the network that has only loopback."""
    known = {}
    for name in agents:
        env = account(name, world.root / f"person-{name}", run, retries=1)
        known[name] = {
            "protocol": name,
            "command": [stage.programs[name]],
            "env": {key: value for key, value in env.items() if key != "PATH"},
        }
    world.router = f"mode: label_only\n  agents: [{', '.join(agents)}]"
    world.agents = "".join(f"  {name}: {json.dumps(spec)}\n" for name, spec in known.items())
    models = json.dumps({name: MODEL[name] for name in agents})
    world.configure(f"model_map: {{simple: {models}}}\nworkflow: {{timeout_seconds: 120}}\n")
    world.inside = stage.network.inside() if stage.network else ()
    world.up()


@pytest.mark.parametrize("name", REVIEWER)
def test_work_is_answered_for_reviewed_by_another_and_merged(world: World, stage: Stage, name: str):
    run = stage.server.play(
        {
            "You review the work": [turn(Say(APPROVE))],
            "Your last message held no answer": [turn(Say(DONE))],
            "": [turn(Write("hello.txt", "hi\n")), turn(Say("All done, I think."))],
        }
    )
    scene(world, stage, run, (name, REVIEWER[name]))
    body = ("-l", "review", "--agent", name, "--complexity", "simple", "-b", "Write hello.txt.")
    task = world.orch("task", "add", "--json", *body, "--", "Greet").json["id"]

    done = world.wait_for(task=task, status="done", seconds=180)

    assert [(a["kind"], a["agent"], a["error_class"]) for a in done["attempts"]] == [
        ("work", name, "invalid_response"),
        ("work", name, None),
        ("review", REVIEWER[name], None),
    ], done
    assert world.git("show", "main:hello.txt") == "hi\n"
    assert (world.repo / "hello.txt").read_text() == "hi\n"
    asked = next(one for one in run.requests if "Your last message held no answer" in one.text)
    assert "All done, I think." in asked.text, "it is the same conversation"
    told = Path(done["attempts"][1]["folder"], "prompt-msg.md").read_text()
    assert "Write hello.txt." not in told
    used = [one["usage"] for one in done["attempts"]]
    assert sum(one["output_tokens"] for one in used) == run.spent.output
    assert sum(one["input_tokens"] for one in used) == run.spent.fresh
