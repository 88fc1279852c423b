"""A goal becomes tasks: proposed by an agent, agreed to by a person, made all at once."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from orch.errors import Malformed, NotFound, Refused
from orch.messages import AddPlan, ListTasks, PlannedTask
from tests.support.pane import Pane

PLANNER = """\
import os, pathlib, sys
folder = pathlib.Path({folder!r})
asked = len(list(folder.glob("asked-*"))) + 1
(folder / f"asked-{{asked}}").write_text(sys.stdin.read())
print((folder / f"say-{{asked}}").read_text())
"""

GOOD = {
    "summary": "First the ground, then the house.",
    "tasks": [
        {"title": "Lay the ground 日本", "body": "do: say ground\ndo: write ground.txt g"},
        {"title": "Build the house", "body": "do: say house", "after": [1], "labels": ["b"]},
    ],
}


@pytest.fixture
def planner(world) -> Path:
    """The folder of a planner: what it says at its first, second … question, and was asked."""
    folder: Path = world.root / "planner"
    folder.mkdir()
    (folder / "planner.py").write_text(PLANNER.format(folder=str(folder)))
    command = json.dumps([sys.executable, str(folder / "planner.py")])
    text = world.home.config.read_text()
    added = f"agents:\n  planner: {{protocol: command, command: {command}}}\n  script:"
    world.home.config.write_text(text.replace("agents:\n  script:", added))
    world.up()
    return folder


def tasks(world) -> list[str]:
    return [one.key for one in world.ask(ListTasks(all=True)).tasks]


def test_a_plan_is_shown_agreed_to_and_worked_off_in_order(world, planner) -> None:
    (planner / "say-1").write_text(f"Here it is:\n```json\n{json.dumps(GOOD)}\n```")
    argv = [sys.executable, "-m", "orch", "task", "plan", "Build me a house", "--agent", "planner"]
    editor = "sed -i s/house/HOUSE/"
    env = {**world.env, "EDITOR": editor}
    pane = Pane(world.root / "t.sock", argv, env, world.repo)
    try:
        pane.shows(
            "Build me a house\n├─ 1. Lay the ground 日本", "└─ 2. Build the house", "[y/N/e]"
        )
        assert tasks(world) == []
        pane.press("e", "Enter")
        pane.shows("└─ 2. Build the HOUSE  (after 1; #b)")
        pane.press("y", "Enter")
        pane.shows("int-1 holds the goal; created int-2, int-3", "left 0")
    finally:
        pane.close()
    asked = (planner / "asked-1").read_text()
    assert "Build me a house" in asked
    assert "README.md" in asked, "the planner is told of the project's files"
    done = world.wait_for(task="int-1", status="done")
    assert done["title"] == "Build me a house"
    steps = [world.task(key) for key in ("int-2", "int-3")]
    assert [(one["parent"], one["after"]) for one in steps] == [
        ("int-1", ()),
        ("int-1", ("int-2",)),
    ]
    begun = [one["attempts"][0] for one in (*steps, done)]
    assert begun[0]["ended_at"] <= begun[1]["started_at"]
    assert begun[1]["ended_at"] <= begun[2]["started_at"], "the goal comes last"


def test_nonsense_is_asked_about_once_and_then_told(world, planner) -> None:
    circle = {"tasks": [{"title": "a", "after": [2]}, {"title": "b", "after": [1]}]}
    (planner / "say-1").write_text(json.dumps(circle))
    (planner / "say-2").write_text(json.dumps(GOOD))
    words = ("task", "plan", "-", "--agent", "planner", "--json")
    found = world.orch(*words, text="The goal\nat length").json
    assert [one["title"] for one in found["tasks"]] == ["Lay the ground 日本", "Build the house"]
    assert (found["created"], tasks(world)) == (None, []), "--json alone creates nothing"
    assert "1 → 2 → 1 wait for each other" in (planner / "asked-2").read_text()

    (planner / "say-3").write_text("no")
    (planner / "say-4").write_text("no!")
    ran = world.orch(*words, text="The goal", ok=False)
    assert "gave no plan that can be used" in ran.json["error"]["message"]
    assert not (planner / "asked-5").exists()

    (planner / "say-5").write_text(json.dumps(GOOD))
    made = world.orch(*words, "--yes", text="The goal\nat length").json["created"]
    assert made == {"parent": "int-1", "tasks": ["int-2", "int-3"]}
    goal = world.task("int-1")
    assert (goal["title"], goal["source"]) == ("The goal", "plan")
    assert goal["body"].startswith("The goal\nat length\n\nFirst the ground")
    assert list((world.home.state / "internal").glob("plan-*")) == []


def test_without_a_terminal_nothing_is_made_unasked(world, planner) -> None:
    (planner / "say-1").write_text(json.dumps(GOOD))
    ran = world.orch("task", "plan", "Goal", "--agent", "planner", ok=False)
    assert "1. Lay the ground" in ran.out
    assert ("nothing was created" in ran.err, "--yes" in ran.err, tasks(world)) == (True, True, [])


def test_a_plan_is_made_whole_or_not_at_all_and_once(world) -> None:
    world.configure(max_parallel=1)
    world.up()
    steps = (PlannedTask(title="one"), PlannedTask(title="two", after=(0,)))
    for wrong, error in (
        (AddPlan("octo/demo", (*steps, PlannedTask(title="x", agent="hal")), "G"), NotFound),
        (AddPlan("octo/demo", (*steps, PlannedTask(title="x", after=(3,))), "G"), Malformed),
        (AddPlan("octo/demo", (*steps, PlannedTask(title=" ")), "G"), Malformed),
        (AddPlan("octo/demo", (), "G"), Malformed),
        (AddPlan("octo/none", steps, "G"), NotFound),
        (AddPlan("octo/demo", steps, parent="int-9"), NotFound),
    ):
        with pytest.raises(error):
            world.ask(wrong)
    assert tasks(world) == []
    first = world.ask(AddPlan("octo/demo", steps, "G", key="k"))
    world.kill("engine", signal.SIGKILL)
    assert world.ask(AddPlan("octo/demo", steps, "G", key="k")) == first
    assert tasks(world) == ["int-1", "int-2", "int-3"]
    world.wait_for(task="int-1", status="done")
    with pytest.raises(Refused, match="is done"):
        world.ask(AddPlan("octo/demo", steps, parent="int-1"))
