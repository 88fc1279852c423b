"""A task hands parts on to others, waits for them, and goes on with what they did."""

from __future__ import annotations

import json
from pathlib import Path


def answer(**more) -> str:
    """A scripted agent's line that gives this answer."""
    return "answer " + json.dumps({"status": "done", "summary": "split up", **more})


def test_a_task_goes_on_with_the_summaries_when_its_subtasks_are_done(world):
    world.up()
    gate = world.root / "gate"
    parts = [
        {"title": "One", "body": f"do: wait {gate}\ndo: write one.txt 1\ndo: say did the one"},
        {"title": "Two", "body": "do: first exit 3\ndo: write two.txt 2\ndo: say did the two"},
    ]
    task = world.add("Whole", "first " + answer(delegations=parts), "write whole.txt 3")
    waits = world.wait_for(task=task, status="blocked")
    assert waits["blocked_reason"].startswith("waits for its subtasks int-2")
    assert list(waits["children"]) == ["int-2", "int-3"]
    world.wait_for(task="int-3", status="done")
    assert world.task(task)["status"] == "blocked"
    gate.touch()
    done = world.wait_for(task=task, status="done")
    assert [a["outcome"] for a in done["attempts"]] == ["blocked", "done"]
    told = (Path(done["attempts"][1]["folder"]) / "prompt-msg.md").read_text()
    assert "the subtask int-2\nOne: did the one" in told
    assert "the subtask int-3\nTwo: did the two" in told
    assert len(world.orch("task", "list", "--all", "--json").json) == 3


def test_a_stuck_subtask_is_told_on_its_parent_and_closing_it_frees_the_parent(world):
    world.up()
    stuck = {"title": "Stuck", "body": 'do: answer {"status": "needs_review", "reason": "odd"}'}
    task = world.add("Whole", "first " + answer(delegations=[stuck]), "write whole.txt 3")
    world.until(lambda: "odd" in world.task(task)["blocked_reason"], "the parent tells")
    world.orch("task", "close", "int-2")
    world.wait_for(task=task, status="done")


def test_too_much_delegation_makes_nothing_and_asks_a_person(world):
    world.up()
    task = world.add("Greedy", answer(delegations=[{"title": f"t{n}"} for n in range(30)]))
    seen = world.wait_for(task=task, status="needs_review")
    assert "30 subtasks" in seen["blocked_reason"]
    assert len(world.orch("task", "list", "--all", "--json").json) == 1
