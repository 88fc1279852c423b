"""A world whose tasks are routed by a scripted router, to two scripted agents."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.world import AGENT, ROOT, World

ROUTER = ROOT / "tests" / "support" / "scripted_router.py"

AGENTS = """\
  ask:
    protocol: command
    command: [{python}, {router}, {folder}]
  other:
    protocol: command
    command: [{python}, {agent}]
    strengths: does odd jobs
"""


class Routers:
    """What the router of a world is to answer, and what it was asked."""

    def __init__(self, world: World, more: str = "", router: str = "") -> None:
        self.world = world
        self.folder = world.root / "router"
        self.folder.mkdir()
        self.answer(decision("other"))
        world.router = f"mode: llm\n  agent: ask\n  agents: [script, other]\n  {router}"
        agents = AGENTS.format(
            python=json.dumps(sys.executable), router=json.dumps(str(ROUTER)),
            agent=json.dumps(str(AGENT)), folder=json.dumps(str(self.folder)),
        )  # fmt: skip
        world.agents = agents
        world.configure(more)

    def answer(self, *replies: Any) -> None:
        """The replies to the questions from the first on; the last one stays. A text is said."""
        lines = [[["say", r]] if isinstance(r, str) else r for r in replies]
        fresh = self.folder / "fresh"
        fresh.write_text("\n".join(map(json.dumps, lines)) + "\n")
        fresh.replace(self.folder / "replies")

    @property
    def asked(self) -> list[str]:
        """The prompts so far."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    @property
    def overlaps(self) -> int:
        """How often two questions were being answered at once."""
        path = self.folder / "overlaps"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def wait_asked(self, count: int) -> None:
        """Wait until so many questions have been put."""
        self.world.until(lambda: len(self.asked) >= count, f"{count} questions put")


def decision(agent: str, **more: Any) -> str:
    """A router's answer."""
    return "I think so:\n```json\n" + json.dumps({"executor": agent, **more}) + "\n```"


def held(gate: Path, reply: str) -> list[list[str]]:
    """A reply that waits for a file."""
    return [["wait", str(gate)], ["say", reply]]
