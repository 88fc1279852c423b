"""A world whose only agent is the fake claude, supervised: what it asks goes to people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.world import World

FAKE = Path(__file__).with_name("fake_claude.py")
DONE = json.dumps({"status": "done", "summary": "all well"})
RESULT: list[list[Any]] = [["result", DONE], ["eof"]]


def configured(world: World, *script: list[Any], mode: str = "supervised") -> World:
    """Have every task of the world played by this script (see `fake_claude.py`)."""
    path = world.root / "script.json"
    path.write_text(json.dumps(script))
    agent = {"protocol": "claude", "command": [sys.executable, str(FAKE), str(path)]}
    world.configure(f"workflow: {json.dumps({'permissions': {'mode': mode}})}\n")
    text = world.home.config.read_text().replace("agents: [script]", "agents: [claude]")
    text = text.replace("agents:\n  script:", f"agents:\n  claude: {json.dumps(agent)}\n  script:")
    world.home.config.write_text(text)
    return world


def begin(world: World, title: str = "Ask first") -> str:
    """Add a task for it."""
    added: str = world.orch("task", "add", "--json", "--", title).json["id"]
    return added


def asked(world: World, task: str, count: int = 1, seconds: float = 30.0) -> list[dict[str, Any]]:
    """Wait for so many questions of a task to wait for an answer; they, oldest first."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [one for one in world.task(task)["approvals"] if one["state"] == "asked"]
        return len(found) == count

    show = lambda: json.dumps(world.task(task))  # noqa: E731
    world.until(there, f"{count} questions of {task}", seconds=seconds, show=show)
    return found


def shown(world: World, task: str) -> str:
    """What the pane of a task's first attempt has shown."""
    return world.output_of(task).decode(errors="replace")
