"""`orch agents --check` on the real CLIs: it tells what works, and leaves no trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.clis import NAMES, Stage, account
from tests.support.model_server import Fail, Hang, Run, Say, Step, turn
from tests.support.real_agents import DONE
from tests.support.world import World

SAYS: dict[str, tuple[list[Step], str]] = {
    "answers": ([turn(Say(DONE))], ""),
    "auth": ([Fail("e401")], "auth"),
    "billing": ([Fail("billing")], "billing"),
    "network": ([], "network"),
    "silence": ([Hang()], "timeout"),
}
"""What its provider does, and the class of that."""
SECONDS = {"claude": "25", "codex": "15", "opencode": "90"}
SLOW_ONES = {"opencode": ("answers", "auth")}
"""What is looked at of a CLI that takes seconds to start, and minutes to give up."""


@pytest.mark.parametrize("name", NAMES)
def test_a_real_agent_is_booted_and_says_what_works(name, world: World, stage: Stage):
    agents, runs = {}, {}
    looks = SLOW_ONES.get(name, tuple(SAYS))
    for says, (steps, _) in ((says, SAYS[says]) for says in looks):
        run = stage.server.play(steps)
        if says == "network":
            run = Run("nobody", "http://127.0.0.1:9", steps)
        env = account(name, world.root / says, run, retries=0)
        agents[says] = {
            "protocol": name,
            "command": [stage.programs[name]],
            "env": {key: value for key, value in env.items() if key != "PATH"},
        }
        runs[says] = run
    lines = "".join(f"  {says}: {json.dumps(agent)}\n" for says, agent in agents.items())
    text = world.home.config.read_text().replace("agents:\n", f"agents:\n{lines}", 1)
    world.home.config.write_text(text)
    inside = stage.network.inside() if stage.network else ()
    before = {says: settings(world.root / says) for says in looks}
    options = [word for says in looks for word in ("--agent", says)]

    ran = world.orch("agents", "--check", "--json", "--timeout", SECONDS[name], *options,
                     ok=False, timeout=400, inside=inside)  # fmt: skip

    rows = {row["name"]: row for row in ran.json}
    for says in looks:
        kind = SAYS[says][1]
        check = rows[says]["check"]
        assert (check["answers"], check["class"]) == (kind == "", kind), check
        assert rows[says]["version"]
        assert settings(world.root / says) == before[says], "the person's settings stay"
    assert "network" not in {says for says, run in runs.items() if run.requests}


def settings(home: Path) -> dict[str, str]:
    """A person's settings files."""
    files = [*home.glob("opencode.json"), *home.glob(".codex/*.toml"), *home.glob(".claude/*.json")]
    return {str(file): file.read_text() for file in files}
