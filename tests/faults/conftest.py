"""Fixtures of the long suite."""

from __future__ import annotations

import json

import pytest

from orch.supervisor.roster import BUILT_IN
from tests.support.world import World


@pytest.fixture
def mortal(world: World) -> World:
    """A world whose engine dies when told (`tests.support.dying_engine`)."""
    here = world.root / "strike"
    here.mkdir()
    (here / "strike").write_text("0")
    services = []
    for entry in BUILT_IN.services:
        row = {"name": entry.name, "module": entry.module, "sockets": entry.sockets}
        if entry.name == "engine":
            row |= {
                "module": "tests.support.dying_engine",
                "environment": {"ORCH_STRIKE": str(here)},
            }
        services.append(row)
    plan = {
        "services": services,
        "limits": {"first_wait": 0.05, "longest_wait": 0.1, "crashes": 1000},
    }
    (world.root / "roster.json").write_text(json.dumps(plan))
    world.env["ORCH_ROSTER"] = str(world.root / "roster.json")
    return world
