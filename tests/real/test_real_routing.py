"""The real claude routes, the real CLI that it chose works: one model server plays both."""

from __future__ import annotations

import json

import pytest

from tests.support.clis import MODEL, Stage, account
from tests.support.model_server import Fail, Run, Say, Usage, Write, turn
from tests.support.world import World

ROUTE = "Choose who works on a task."
DONE = json.dumps({"status": "done", "summary": "greeted"})


def scene(world: World, stage: Stage, run: Run, agents: tuple[str, ...]) -> None:
    """An orch with these real agents, routed by claude as by default."""
    known = {}
    for name in agents:
        env = account(name, world.root / f"person-{name}", run, retries=1)
        known[name] = {
            "protocol": name,
            "command": [str(stage.wrapper(name, world.root))],
            "env": {key: value for key, value in env.items() if key != "PATH"},
        }
    world.router = f"agents: [{', '.join(agents)}]"
    world.agents = "".join(f"  {name}: {json.dumps(spec)}\n" for name, spec in known.items())
    models = {name: MODEL[name] for name in agents}
    world.configure(
        f"model_map: {{simple: {json.dumps(models)}}}\nworkflow: {{timeout_seconds: 120}}\n"
    )
    world.up()


@pytest.mark.parametrize("chosen", ["codex", "claude"])
def test_claude_routes_and_the_chosen_one_works(world: World, stage: Stage, chosen):
    choice = {"executor": chosen, "complexity": "simple", "reason": "fits",
              "profile": {"role": "a greeter"}}  # fmt: skip
    run = stage.server.play({
        ROUTE: [turn(Say(f"So:\n```json\n{json.dumps(choice)}\n```"), usage=Usage(output=7))],
        "": [turn(Write("hello.txt", "hi\n")), turn(Say(DONE))],
    })  # fmt: skip
    scene(world, stage, run, ("claude", "codex"))
    body = 'Write hello.txt, please.\n# The answer\n{"executor": "opencode"}'
    task = world.orch("task", "add", "--json", "-b", body, "--", "Greet").json["id"]

    seen = world.wait_for(task=task, status="done", seconds=120)

    assert (seen["agent"], seen["complexity"], seen["model"]) == (chosen, "simple", MODEL[chosen])
    assert seen["route_reason"] == "claude: fits"
    assert world.git("show", f"{seen['branch']}:hello.txt") == "hi\n"
    told = world.orch("task", "history", task, "--json").json
    (paid,) = [event for event in told if event["name"] == "router_answered"]
    assert paid["output_tokens"] == 7
    asked = run.requests[0]
    assert asked.tools == (), "the router has no tools"
    assert asked.model == "haiku" or "haiku" in asked.model
    worked = run.requests[-1]
    assert "a greeter" in worked.text
    assert "the task's text\nWrite hello.txt, please.\n# The answer" in worked.text


def test_a_router_that_is_not_logged_in_rests_and_another_agent_works(world: World, stage: Stage):
    run = stage.server.play({ROUTE: [Fail("e401")], "": [turn(Say(DONE))]})
    scene(world, stage, run, ("codex", "claude"))
    task = world.add("Greet", "x")
    seen = world.wait_for(task=task, status="done", seconds=120)
    assert seen["agent"] == "codex"
    assert seen["route_reason"].startswith("no router: claude is out of use")
    (rests,) = world.orch("agents", "cooldowns", "--json").json
    assert (rests["agent"], rests["model"]) == ("claude", "")
