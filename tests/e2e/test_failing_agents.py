"""Agents that cannot be used are passed over, told once, and used again when a check passes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orch.messages import EventsSince, ReportAgent
from tests.support.world import ROOT, World

TURNS = ROOT / "tests" / "support" / "fake_turns.py"


def failing(world: World, **said: Any) -> None:
    """Configure the agent `cli`, a claude whose every run ends so."""
    result = {"type": "result", "is_error": True, "session_id": "s", **said}
    path = world.root / "scripts.json"
    path.write_text(json.dumps([[["hear"], ["raw", json.dumps(result) + "\n"], ["eof"]]]))
    world.agent("cli", protocol="claude", command=[sys.executable, str(TURNS), "claude", str(path)])


def only(world: World, agent: str) -> None:
    """Let the router of the project choose this agent alone."""
    with (world.repo / ".orch.yml").open("a") as file:
        file.write(f"router:\n  agents: [{agent}]\n")


def told(world: World, name: str) -> int:
    """How many events there are of a name."""
    return len(world.ask(EventsSince(names=(name,))).events)


def agents_of(done: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Who tried a task, and what came of it."""
    return [(one["agent"], one["error_class"]) for one in done["attempts"]]


def test_an_agent_without_a_login_is_out_of_use_until_it_is_checked(world: World):
    failing(world, subtype="success", api_error_status=401, result="Invalid API key")
    world.up()
    cli = ("-l", "agent:cli")
    first = world.add("First", "write a.txt a", more=cli)
    assert agents_of(world.wait_for(task=first, status="done")) == [
        ("cli", "auth"),
        ("script", None),
    ]
    second = world.add("Second", "write a.txt a", more=cli)
    assert agents_of(world.wait_for(task=second, status="done")) == [("script", None)]
    assert told(world, "agent_broken") == told(world, "notice_given") == 1
    shown = world.orch("agents", "--json").json
    assert [one["problem"] for one in shown if one["name"] == "cli"] == ["auth: Invalid API key"]
    assert "cli is out of use" in world.orch("status").out

    world.ask(ReportAgent("cli", problem="still no login"))
    assert told(world, "agent_broken") == 1
    world.ask(ReportAgent("cli"))
    assert told(world, "agent_mended") == 1
    third = world.add("Third", "write a.txt a", more=cli)
    assert agents_of(world.wait_for(task=third, status="done"))[0] == ("cli", "auth")
    assert told(world, "agent_broken") == 2


REFUSED: dict[str, Any] = {
    "subtype": "success", "stop_reason": "refusal",
    "result": "API Error: Claude Code is unable to respond to this request, which appears to "
    "violate our Usage Policy (https://www.anthropic.com/legal/aup).",
}  # fmt: skip


def test_when_every_agent_was_tried_a_free_model_is(world: World):
    failing(world, **REFUSED)
    only(world, "cli")
    world.configure('model_map:\n  free: ["script:free-one"]\n')
    world.up()
    done = world.wait_for(task=world.add("Work", "write a.txt a"), status="done")
    assert agents_of(done) == [("cli", "refusal"), ("script", None)]
    assert done["attempts"][1]["model"] == "free-one"


def test_when_nobody_is_left_a_person_is_told_what_was_tried(world: World):
    failing(world, **REFUSED)
    only(world, "cli")
    world.up()
    seen = world.wait_for(task=world.add("Work", "write a.txt a"), status="needs_review")
    assert "all have been tried: cli: refusal" in seen["blocked_reason"]
    assert len(seen["attempts"]) == 1
    assert Path(seen["worktree"]).is_dir()
