"""Failover from agent to agent: who does the work, and what is not tried in vain."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.world import World

LIMITED = Path(__file__).resolve().parents[1] / "support" / "limited_claude.py"


def configure(world: World, agents: dict[str, Any]) -> None:
    """A home with just these agents, chosen in their order."""
    lines = "".join(f"  {name}: {json.dumps(agent)}\n" for name, agent in agents.items())
    text = world.home.config.read_text().replace("agents:\n", f"agents:\n{lines}", 1)
    text = text.replace("mode: round_robin", "mode: label_only")
    world.home.config.write_text(
        text.replace("agents: [script]", f"agents: {json.dumps([*agents])}")
    )


def limited(world: World, name: str, runs: int, *models: str, kind: str = "") -> dict[str, Any]:
    """An agent that does so many runs before its vendor refuses for an hour."""
    folder = world.root / name
    folder.mkdir()
    command = [sys.executable, str(LIMITED), str(folder), str(runs), "3600", kind]
    return {"protocol": "claude", "command": command, "models": list(models)}


def test_failover_leaves_no_stale_agent_or_model(world: World):
    agents = {
        "first": limited(world, "first", 0, "m1", "m2", kind="seven_day_opus"),
        "second": limited(world, "second", 9, "n1"),
    }
    configure(world, agents)
    world.up()
    task = world.add("Greet")

    done = world.wait_for(task=task, status="done")

    tried = [(one["agent"], one["model"], one["error_class"]) for one in done["attempts"]]
    assert tried == [
        ("first", "m1", "usage_limit"),
        ("first", "m2", "usage_limit"),
        ("second", "n1", None),
    ]
    assert (done["agent"], done["model"], done["attempt_count"]) == ("second", "n1", 1)
    resting = {(one["agent"], one["model"]) for one in cooldowns(world)}
    assert resting == {("first", "m1"), ("first", "m2")}

    again = world.wait_for(task=world.add("Greet again"), status="done")
    assert [one["agent"] for one in again["attempts"]] == ["second"], "who rests is not tried"


def cooldowns(world: World) -> list[dict[str, Any]]:
    """What rests."""
    found: list[dict[str, Any]] = world.orch("agents", "cooldowns", "--json").json
    return found


def test_fourteen_tasks_are_not_retried_for_a_tool_that_is_not_installed(world: World):
    command = ["sh", "-c", 'exec /nowhere/tool "$@"', "tool"]
    configure(world, {"toolless": {"protocol": "claude", "command": command}})
    world.up()
    tasks = [world.add(f"Task {n}") for n in range(14)]

    def waits(task: dict[str, Any]) -> bool:
        return task["status"] == "needs_review" or "`orch agents --check`" in task["waiting_for"]

    def all_wait() -> bool:
        return all(waits(world.task(task)) for task in tasks)

    world.until(all_wait, "that all wait for the agent to be mended, or for a person")

    spent = [one for task in tasks for one in world.task(task)["attempts"]]
    assert {one["error_class"] for one in spent} == {"missing_tool"}
    assert len(spent) <= world.max_parallel, "only what had begun by then"
    assert {world.task(task)["attempt_count"] for task in tasks} == {0}
