"""kimi and minimax speak claude's protocol: here the real claude is their program, sent to their
vendor's address by their own configuration."""

from __future__ import annotations

import json

import pytest

from tests.support.clis import MODEL, Stage, account
from tests.support.model_server import Edit, Fail, Read, Run, Say, Shell, Write, turn
from tests.support.real_agents import DONE, SLOW, USAGE
from tests.support.world import World

VENDORS = {"kimi": ("KIMI_API_KEY", "MOONSHOT_API_KEY"), "minimax": ("MINIMAX_API_KEY",)}
"""The variables of each that a person has, and that only its own agent is to see."""
CLAUDES = ("ANTHROPIC_API_KEY", "ANTHROPIC_CUSTOM_HEADERS", "CLAUDE_CODE_OAUTH_TOKEN")
"""claude's that the same person has."""
SHOW = "env | grep -E '^(KIMI|MOONSHOT|MINIMAX|ANTHROPIC|CLAUDE_CODE_OAUTH)_' | sort"


def scene(world: World, stage: Stage, name: str, run: Run) -> None:
    """An orch with a script for whatever names nobody, and `name` as it is built in, but for its
    program; started by a person who has the variables of claude and of both vendors."""
    theirs = [one for names in VENDORS.values() for one in names]
    world.env |= {one: f"persons-{one.lower()}" for one in (*CLAUDES, *theirs)}
    world.env["ANTHROPIC_CUSTOM_HEADERS"] = "x-person: persons-"
    env = account("claude", world.root / "person", run, retries=1)
    env.pop("ANTHROPIC_API_KEY")
    env |= {"ANTHROPIC_AUTH_TOKEN": f"scripted-{name}"}
    spec = {
        "command": [stage.programs["claude"]],
        "env": {key: value for key, value in env.items() if key != "PATH"},
        "models": [MODEL["claude"]],
    }
    world.agents = f"  {name}: {json.dumps(spec)}\n"
    world.configure("workflow: {timeout_seconds: 120}\n")
    world.inside = stage.network.inside() if stage.network else ()
    world.up()


def add(world: World, name: str) -> str:
    """A task for the agent of this name."""
    body = ("-b", "Write hello.txt, please.", "--agent", name)
    task: str = world.orch("task", "add", "--json", *body, "--", "Greet").json["id"]
    return task


@pytest.mark.parametrize("name", VENDORS)
def test_a_whole_task_by_claude_under_another_vendors_name(name, world: World, stage: Stage):
    run = stage.server.play(
        [
            turn(Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Read("hello.txt"), usage=USAGE),
            turn(Edit("hello.txt", "hi", "hi there"), usage=USAGE),
            turn(Shell(SHOW), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    before = stage.astray()
    scene(world, stage, name, run)
    task = add(world, name)

    done = world.wait_for(task=task, status="done", seconds=SLOW)

    assert (done["agent"], done["summary"]) == (name, "greeted")
    assert world.git("show", f"{done['branch']}:hello.txt") == "hi there\n"
    assert world.git("log", "-1", "--format=%an", done["branch"]).strip() == f"{name}[bot]"
    (attempt,) = done["attempts"]
    figures = [attempt["usage"][f"{kind}_tokens"] for kind in ("input", "cache_read", "output")]
    assert figures == [5 * 123, 5 * 4567, 5 * 89]
    assert attempt["usage"]["usd"] is None, "claude's guess at another vendor's price is none"
    seen = dict(line.split("=", 1) for line in run.requests[4].results[-1].splitlines())
    inherited = {one: value for one, value in seen.items() if value.startswith("persons-")}
    assert inherited == {one: f"persons-{one.lower()}" for one in VENDORS[name]}
    for asked in run.requests:
        assert asked.headers["authorization"] == f"Bearer scripted-{name}"
        assert not {"x-api-key", "x-person"} & set(asked.headers)
    assert stage.astray() == before
    assert stage.server.strangers == []


@pytest.mark.parametrize("name", VENDORS)
def test_a_login_that_fails_there_is_that_agents_alone(name, world: World, stage: Stage):
    run = stage.server.play([Fail("e401")])
    scene(world, stage, name, run)
    task = add(world, name)

    world.until(
        lambda: world.task(task)["attempts"][-1:] and world.task(task)["attempts"][-1]["outcome"],
        "the end of the attempt",
        seconds=SLOW,
    )

    attempt = world.task(task)["attempts"][0]
    assert (attempt["agent"], attempt["error_class"]) == (name, "auth")
    (rests,) = world.orch("agents", "cooldowns", "--json").json
    assert (rests["agent"], rests["model"], rests["until"]) == (name, "", None)
