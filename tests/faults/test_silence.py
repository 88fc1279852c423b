"""An agent that says nothing for long is left alone."""

from __future__ import annotations

from orch.cli import daemon
from tests.support.world import World

SYNCS = 4
"""Looks of the engine's safety net (every 2 s in a `World`) that find it silent."""


def test_a_silent_agent_is_not_killed(world: World):
    world.up()
    gate = world.root / "gate"
    task = world.add("Think", f"wait {gate}", "say thought")
    world.until(lambda: world.task(task)["status"] == "in_progress", "the start")

    def late() -> bool:
        roster = daemon.roster(world.home)
        assert roster is not None
        return roster.uptime_seconds > begun + 2 * SYNCS

    roster = daemon.roster(world.home)
    assert roster is not None
    begun = roster.uptime_seconds
    world.until(late, "some looks at it")
    assert world.output_of(task) == b""
    gate.touch()

    done = world.wait_for(task=task, status="done")
    assert [one["outcome"] for one in done["attempts"]] == ["done"]
