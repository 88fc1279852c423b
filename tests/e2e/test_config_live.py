"""A running orch and its configuration: what is good applies at once, what is bad costs nothing."""

from __future__ import annotations

import pytest

from orch.errors import NotFound
from orch.messages import AddTask


def problems(world) -> str:
    return "\n".join(world.orch("status", "--json").json["problems"])


def slots(world) -> int:
    most: int = world.orch("status", "--json").json["slots"]["max"]
    return most


def test_changes_apply_live_and_a_torn_edit_keeps_the_last_good_config(world):
    world.up()
    pids = {name: world.pid(name) for name in ("engine", "scheduler", "capture")}
    good = world.home.config.read_text()

    world.orch("config", "set", "engine.max_parallel", "7")
    world.until(lambda: slots(world) == 7, "seven slots")

    world.home.config.write_text(good.replace("max_parallel: 4", "max_parallel: many"))
    world.until(lambda: "engine.max_parallel: expected int" in problems(world), "the line named")
    assert "config.yml:" in problems(world)
    assert slots(world) == 7

    world.home.config.write_text(good[: good.index("mode") + 3])  # cut off in the middle
    world.until(lambda: "expected keys and values" in problems(world), "the torn file told")
    world.home.config.write_text("")
    world.until(lambda: "suddenly empty" in problems(world), "the emptied file told")
    task = world.add("Say hello", "write hello.txt hello")
    assert world.wait_for(task=task, status="done")["attempts"]

    fresh = world.home.root / "fresh"
    fresh.write_text(good.replace("max_parallel: 4", "max_parallel: 9"))
    fresh.replace(world.home.config)
    world.until(lambda: slots(world) == 9, "nine slots after a rename")
    assert problems(world) == ""
    assert {name: world.pid(name) for name in pids} == pids


def test_a_project_comes_alive_and_its_own_mistakes_stay_its_own(world):
    world.up()
    other = world.root / "fresh"
    other.mkdir()
    world.git("init", "-q", "-b", "main", cwd=other)
    world.git("commit", "-q", "--allow-empty", "-m", "Begin", cwd=other)

    slug = world.orch("init", "--json", cwd=other).json["project"]
    world.slugs[other] = slug
    world.until(lambda: world.orch("task", "list", cwd=other, ok=None).code == 0, "the project")

    world.orch("config", "set", "workflow.max_attempts", "1", "--here", cwd=other)
    file = other / ".orch.yml"
    text = file.read_text()
    file.write_text(text.replace("max_attempts: 1", "max_attempts: none"))
    world.until(lambda: "workflow.max_attempts: expected int" in problems(world), "its mistake")
    assert f"{other}/.orch.yml:" in problems(world)
    assert world.wait_for(task=world.add("Go on", "write a.txt a"), status="done")

    file.write_text(text)
    world.until(lambda: problems(world) == "", "its mistake mended")
    task = world.add("Fail", "exit 1", cwd=other)
    failed = world.wait_for(task=task, status="blocked", cwd=other)
    assert len(failed["attempts"]) == 1


def test_what_was_configured_a_moment_ago_is_known_to_the_next_request(world):
    world.up()
    world.project("octo/late")
    added = world.ask(AddTask("Hello", project="octo/late"))
    assert added.id == "int-1"
    world.agent("newcomer")
    assert world.ask(AddTask("Hello", project="octo/late", agent="newcomer")).id == "int-2"
    with pytest.raises(NotFound, match="octo/never"):
        world.ask(AddTask("Hello", project="octo/never"))
    world.home.config.write_text("projects: [")
    with pytest.raises(NotFound) as told:
        world.ask(AddTask("Hello", project="octo/never"))
    assert "config.yml" in told.value.hint
