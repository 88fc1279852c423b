"""When all agents have failed, an opencode is asked which of its models are free, where that was
agreed to, and the task goes on with them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.world import ROOT, World

FAKE = ROOT / "tests" / "support" / "fake_opencode.py"
TURNS = ROOT / "tests" / "support" / "fake_turns.py"
FREE = {"input": 0, "output": 0, "cache": {"read": 0, "write": 0}}
PRICED = {"input": 1, "output": 2, "cache": {"read": 0, "write": 0}}
MODELS = {"op/one": FREE, "op/priced": PRICED, "other/two": FREE, "op/three": FREE}
DONE = json.dumps({"status": "done", "summary": "done for nothing"})


def opencode(world: World, *more: list[str], free: str = "opencode:*") -> Path:
    """A world in which everybody refuses but an opencode that may be used for free models alone;
    returns the folder of its script."""
    refusal = {"type": "result", "is_error": True, "session_id": "s", "subtype": "success",
               "stop_reason": "refusal", "result": "I cannot do that"}  # fmt: skip
    path = world.root / "refuses.json"
    path.write_text(json.dumps([[["hear"], ["raw", json.dumps(refusal) + "\n"], ["eof"]]]))
    world.agent("cli", protocol="claude", command=[sys.executable, str(TURNS), "claude", str(path)])
    folder = world.root / "oc"
    folder.mkdir()
    (folder / "script.json").write_text(json.dumps([["hear"], *more, ["finish", DONE]]))
    command = [sys.executable, str(FAKE), str(folder / "script.json")]
    world.agent("opencode", protocol="opencode", command=command)
    world.router = "mode: label_only\n  agents: [cli]"
    world.configure(f"model_map:\n  free: [{json.dumps(free)}]\n")
    tell(folder)
    return folder


def tell(folder: Path) -> None:
    """Let it say which models it has."""
    pages = [
        f"{name}\n{json.dumps({'cost': cost, 'capabilities': {'toolcall': True}}, indent=2)}"
        for name, cost in MODELS.items()
    ]
    (folder / "models").write_text("\n".join(pages))


def asked(folder: Path) -> int:
    """How often it was asked."""
    log = folder / "asked"
    return len(log.read_text().splitlines()) if log.exists() else 0


def tried(world: World, task: str, status: str = "done") -> list[tuple[str, str, str | None]]:
    """Who tried a task, with which model, and what came of it."""
    seen = world.wait_for(task=task, status=status)
    return [(one["agent"], one["model"], one["error_class"]) for one in seen["attempts"]]


def test_a_task_that_everybody_refused_goes_on_with_what_opencode_says_is_free(world: World):
    fails = ["fail_with", "op/one", "MessageOutputLengthError", "cut"]
    folder = opencode(world, fails)
    world.up()
    assert asked(folder) == 0, "nobody is asked before all were tried"

    first, second = world.add("First", "x"), world.add("Second", "x")

    for task in (first, second):
        found = tried(world, task)
        assert found[0] == ("cli", "", "refusal")
        assert {one[:2] for one in found[1:-1]} <= {("opencode", "op/one")}
        assert found[-1] == ("opencode", "other/two", None)
        assert all(one[2] == "output_limit" for one in found[1:-1])
    assert asked(folder) == 1, "what it said is kept"
    assert not list((world.home.state / "questions").glob("models-*"))
    told = world.orch("task", "history", first, "--json").json
    assert "a free model: op/one" in [event.get("reason") for event in told]


def test_only_the_free_models_of_a_provider_may_be_meant_and_then_a_person_is_asked(world: World):
    fails = ["fail_with", "other/two", "MessageOutputLengthError", "cut"]
    opencode(world, fails, free="opencode:other/*")
    world.up()
    task = world.add("First", "x")
    assert {one[:2] for one in tried(world, task, "needs_review")} == {
        ("cli", ""), ("opencode", "other/two"),
    }  # fmt: skip
    told = world.task(task)["blocked_reason"]
    assert "all have been tried: cli: refusal; opencode (other/two): output_limit" in told


def test_an_opencode_that_cannot_say_it_has_none(world: World):
    folder = opencode(world)
    (folder / "models").unlink()
    world.up()
    for title in ("First", "Second"):
        task = world.add(title, "x")
        assert tried(world, task, "needs_review") == [("cli", "", "refusal")]
        assert "all have been tried: cli: refusal" in world.task(task)["blocked_reason"]
    assert asked(folder) == 1
    complaints = [line for line in world.logs().splitlines() if "does not say which" in line]
    assert len(complaints) == 1
    assert "Error: the file of settings is broken" in complaints[0]


def test_an_opencode_that_is_configured_wrongly_has_none(world: World):
    opencode(world)
    world.agents = world.agents.replace('script.json"]', 'script.json", "{nope}"]')
    world.configure()
    world.up()
    before = world.pid("engine")
    task = world.add("First", "x")
    assert tried(world, task, "needs_review") == [("cli", "", "refusal")]
    assert "does not say which" in world.logs()
    assert world.pid("engine") == before


def test_an_engine_that_dies_while_opencode_is_asked_asks_again(world: World):
    folder = opencode(world)
    (folder / "slow").touch()
    world.up()
    task = world.add("First", "x")
    world.until(lambda: asked(folder) == 1, "that it is asked")
    seen = world.task(task)
    assert seen["status"] == "routed"
    assert seen["waiting_for"] == "opencode to say which of its models are free"

    (folder / "slow").unlink()
    world.kill("engine")

    assert tried(world, task) == [("cli", "", "refusal"), ("opencode", "op/one", None)]
    assert asked(folder) == 2


def test_nobody_is_asked_without_such_an_entry(world: World):
    folder = opencode(world, free="cli:other")
    world.up()
    tried(world, world.add("First", "x"), "needs_review")
    assert asked(folder) == 0
