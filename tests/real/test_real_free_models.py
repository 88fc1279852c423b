"""The real opencode says which of the models of a provider cost nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from orch.agents.contract import AgentSpec
from orch.agents.opencode_models import listing
from orch.errors import OrchError
from orch.tools import models
from tests.support.clis import Stage, account
from tests.support.model_server import Say, turn

SLOW = 120.0
PRICED = {"input": 1, "output": 2, "cache_read": 0.1}


def told(stage: Stage, ground: Path, known: dict[str, Any]) -> tuple[str, ...]:
    """What it says of a provider with these models."""
    env = account("opencode", ground / "home", stage.server.play([turn(Say("hi"))]))
    file = ground / "home" / "opencode.json"
    config = json.loads(file.read_text())
    config["provider"]["scripted"]["models"] = known
    file.write_text(json.dumps(config))
    return asked(stage, ground, env)


def asked(stage: Stage, ground: Path, env: dict[str, str]) -> tuple[str, ...]:
    """What an opencode with this environment says, in the network that has only loopback."""
    spec = AgentSpec(protocol="opencode", command=(stage.programs["opencode"],), env=env)
    order = listing(spec, f"{ground}:models")
    enter = stage.network.inside() if stage.network else ()
    order = structs.replace(order, argv=(*enter, *order.argv))
    return models.free_models(order, ground / "asked", SLOW)


def model(**more: Any) -> dict[str, Any]:
    """A model of the provider."""
    return {"limit": {"context": 128000, "output": 8192}, **more}


def test_a_free_model_is_told_from_a_priced_one(stage: Stage, ground: Path):
    known = {
        "gratis": model(cost={"input": 0, "output": 0}),
        "org/gratis:free": model(cost={"input": 0, "output": 0, "cache_read": 0}),
        "priced": model(cost=PRICED),
        "written": model(cost={"input": 0, "output": 0, "cache_write": 3}),
        "toolless": model(cost={"input": 0, "output": 0}, tool_call=False),
        "unsaid": model(),
    }
    found = told(stage, ground, known)
    assert found == ("scripted/gratis", "scripted/org/gratis:free", "scripted/unsaid"), (
        "opencode itself takes what has no price for free"
    )
    assert not (ground / "asked").exists()


def test_a_list_that_no_pipe_holds_is_read_whole(stage: Stage, ground: Path):
    known = {f"m{n:03}": model(cost=PRICED if n % 2 else {"input": 0, "output": 0})
             for n in range(400)}  # fmt: skip
    found = told(stage, ground, known)
    assert found == tuple(f"scripted/m{n:03}" for n in range(0, 400, 2))


def test_settings_that_it_cannot_read_are_its_failure(stage: Stage, ground: Path):
    broken = ground / "home" / "opencode.json"
    broken.write_text("{bad")
    env = {"HOME": str(ground / "home"), "OPENCODE_CONFIG": str(broken)}
    with pytest.raises(OrchError, match="`opencode models` failed"):
        asked(stage, ground, env)
