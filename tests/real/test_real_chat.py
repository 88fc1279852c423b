"""Each real CLI as the one that people talk with in `orch chat`: on its own screen, by keyboard."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clis import KEY, NAMES, Stage, account
from tests.support.model_server import Run, Say, Shell, turn
from tests.support.pane import Pane
from tests.support.world import World

READY = {"claude": "for shortcuts", "codex": "Ask Codex", "opencode": "Ask anything"}


def at_home(name: str, world: World, run: Run) -> dict[str, str]:
    """The settings of a person who has used the CLI in this project before."""
    home = world.root / "person"
    env = account(name, home, run, retries=1)
    if name == "claude":
        seen = {"hasCompletedOnboarding": True, "theme": "dark",
                "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
                "projects": {str(world.repo): {"hasTrustDialogAccepted": True}}}  # fmt: skip
        (home / ".claude.json").write_text(json.dumps(seen))
    elif name == "codex":
        with (home / ".codex" / "config.toml").open("a") as config:
            config.write(f'\n[projects."{world.repo}"]\ntrust_level = "trusted"\n')
    return env


def known(name: str, world: World, stage: Stage, run: Run) -> None:
    """Put the CLI into the world's configuration, with its person's settings."""
    agent = {"protocol": name, "command": [str(stage.wrapper(name, world.root))]}
    agent["env"] = {k: v for k, v in at_home(name, world, run).items() if k not in ("PATH", "TERM")}
    text = world.home.config.read_text()
    added = f"agents:\n  {name}: {json.dumps(agent)}\n  script:"
    world.home.config.write_text(text.replace("agents:\n  script:", added))
    world.up()


@pytest.fixture(params=NAMES)
def talk(request: pytest.FixtureRequest, world: World, stage: Stage) -> Iterator[tuple]:
    """A conversation with one of the CLIs: its name, its pane, the world, the model's run."""
    name = request.param
    run = stage.server.play(
        [turn(Shell("orch task list --all")), turn(Say("One task waits: int-1."))]
    )
    known(name, world, stage, run)
    world.add("Be seen by the agent", "say x")
    argv = [sys.executable, "-m", "orch", "chat", "--agent", name]
    pane = Pane(world.root / "t.sock", argv, world.env, world.repo, (120, 40))
    try:
        yield name, pane, world, run
    finally:
        pane.close()


def test_a_person_talks_with_it_and_it_calls_orch(talk) -> None:
    name, pane, world, run = talk
    pane.shows(READY[name], seconds=120)
    pane.type("Tell what waits")
    pane.shows("Tell what waits")
    pane.press("Enter")
    pane.shows("One task waits: int-1.", seconds=60)
    asked = "".join(one.text for one in run.requests)
    assert "You are orch, an orchestrator of coding agents" in asked
    assert "Tell what waits" in asked
    results = "".join(result for one in run.requests for result in one.results)
    assert "Be seen by the agent" in results, run.summary()
    pane.press("C-b", "d")
    pane.shows("the conversation goes on", "left 0")
    again = json.loads(world.orch("chat", "--json").out)
    assert (again["agent"], Path(again["folder"]).name) == (name, "1")


@pytest.mark.parametrize("name", NAMES)
def test_it_plans_and_is_asked_once_more_about_nonsense(name, world: World, stage: Stage) -> None:
    plan = {"tasks": [{"title": "Lay it"}, {"title": "Build it", "after": [1]}]}
    says = [Say("I would begin at the beginning."), Say(f"```json\n{json.dumps(plan)}\n```")]
    run = stage.server.play([turn(one) for one in says])
    known(name, world, stage, run)
    words = ("task", "plan", "Build a house", "--agent", name, "--json", "--yes")
    model = {"opencode": ("--model", "scripted/scripted")}.get(name, ())
    made = world.orch(*words, *model, timeout=200).json["created"]
    assert made == {"parent": "int-1", "tasks": ["int-2", "int-3"]}
    assert world.task("int-3")["after"] == ("int-2",)
    assert "Build a house" in run.requests[0].text
    assert "cannot be used" in "".join(one.text for one in run.requests[1:])
