"""`orch agents --check`: each agent is booted once, and says what works."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import World, survivors

FAKE = Path(__file__).resolve().parents[1] / "support" / "fake_claude.py"
READY = '{"status": "done", "summary": "ready"}'
SAYS: dict[str, list[list[Any]]] = {
    "good": [["hear"], ["result", READY]],
    "chatty": [["hear"], ["say", "Hello!"], ["result", "Hello! How can I help?"]],
    "loggedout": [["hear"], ["fail", "Invalid API key · Fix external API key", 401]],
    "poor": [["hear"], ["fail", "Credit balance is too low", 400]],
    "cutoff": [["hear"], ["fail", "API Error: Unable to connect to API (ConnectionRefused)", None]],
    "oldone": [["err", "error: unknown option '--input-format'"], ["exit", 1]],
    "dialog": [["hang"]],
}
CLASSES = {
    "loggedout": "auth", "poor": "billing", "cutoff": "network", "oldone": "launch_failed",
    "dialog": "waiting_for_input",
}  # fmt: skip


def configure(world: World) -> None:
    """A home whose agents are scripted programs, one of each kind."""
    lines = ["agents:"]
    for name, script in SAYS.items():
        file = world.root / f"{name}.json"
        file.write_text(json.dumps(script))
        command = [sys.executable, str(FAKE), str(file)]
        lines.append(f"  {name}: {json.dumps({'protocol': 'claude', 'command': command})}")
    lines.append("  gone: {protocol: claude, command: [/nowhere/claude]}")
    lines.append("  screen: {protocol: terminal, command: [sh]}")
    lines.append("  plain: {command: [sh, -c, 'echo ready']}")
    text = world.home.config.read_text().replace("agents:\n", "\n".join(lines) + "\n", 1)
    world.home.config.write_text(text.replace("agents: [script]", "agents: [good]"))


@pytest.fixture
def checked(world: World) -> dict[str, Any]:
    """What a check of all of them says; orch is not running."""
    configure(world)
    names = [*SAYS, "gone", "screen", "plain"]
    options = [word for name in names for word in ("--agent", name)]
    ran = world.orch("agents", "--check", "--json", "--timeout", "4", *options, ok=False)
    assert ran.code == 1, ran
    return {row["name"]: row for row in ran.json}


def test_each_agent_is_booted_once_and_says_what_works(checked, world: World):
    for name in ("good", "chatty", "plain"):
        assert checked[name]["check"]["answers"] is True, checked[name]
    for name, kind in CLASSES.items():
        found = checked[name]["check"]
        assert (found["answers"], found["class"]) == (False, kind), found
        assert found["message"]
        assert found["hint"]
    assert checked["gone"]["check"] is None, "not installed: nothing to boot"
    assert checked["gone"]["path"] == ""
    assert checked["screen"]["check"]["answers"] is None
    assert [row["cleared"] for row in checked.values()] == [False] * len(checked)
    boots = [found for found in survivors(Path("/tmp")) if "/tmp/ob-" in found[1]]
    assert boots == []
    assert not world.home.db.exists(), "it needs no orch, and sets no cooldown"


def test_a_broken_agent_is_out_of_use_until_a_check_passes(world: World):
    configure(world)
    broken = world.root / "loggedout.json"
    text = world.home.config.read_text().replace("agents: [good]", "agents: [loggedout]")
    world.home.config.write_text(text)
    world.up()
    task = world.add("Greet")
    world.wait_for(task=task, status="needs_review")
    later = world.add("Greet again")
    world.until(
        lambda: "until `orch agents --check`" in world.task(later)["waiting_for"],
        "that the next task waits for the agent",
    )
    (rest,) = world.orch("agents", "cooldowns", "--json").json
    assert (rest["agent"], rest["model"], rest["until"]) == ("loggedout", "", None)
    assert "Invalid API key" in rest["reason"]
    assert "out of use until `orch agents --check` passes" in world.orch("agents").out

    still = world.orch("agents", "--check", "--agent", "loggedout", ok=False)
    assert "loggedout: auth" in still.err
    assert "hint" in still.out
    assert len(world.orch("agents", "cooldowns", "--json").json) == 1

    broken.write_text((world.root / "good.json").read_text())
    mended = world.orch("agents", "--check", "--agent", "loggedout")
    assert "it may work again" in mended.err

    world.wait_for(task=later, status="done")
    world.orch("task", "retry", task)
    done = world.wait_for(task=task, status="done")
    assert [one["error_class"] for one in done["attempts"]] == ["auth", None]
    assert done["attempt_count"] == 1
    assert world.orch("agents", "cooldowns").out == "no agent rests\n"
