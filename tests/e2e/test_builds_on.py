"""A task builds on the work of the tasks before it, of its whole, and of its parts."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.test_subtasks import answer
from tests.support.world import World


def message(done: dict, n: int = -1) -> str:
    """What an attempt's agent was told."""
    return Path(done["attempts"][n]["folder"], "prompt-msg.md").read_text()


def test_a_task_after_others_begins_with_their_work_and_its_own_change_is_its_own(world: World):
    world.up()
    first = world.add("First", "write a.txt first", "say made a")
    look = world.add("Look", "run cat a.txt", "say all is well", more=("--after", first))
    last = world.add("Last", "run cat a.txt > b.txt", more=("--after", look))
    done = world.wait_for(task=last, status="done")
    assert world.git("show", f"{done['branch']}:b.txt") == "first\n"
    assert world.task(look)["branch"] == "", "a look changes nothing, and leaves no branch"
    assert "+first" in world.orch("task", "diff", last).out
    assert "a.txt" not in world.orch("task", "diff", last).out, "that is the change of another"
    told = message(done)
    assert "# What was done before this task" in told
    assert f"the task {first}\nFirst: made a" in told
    assert f"the task {look}\nLook: all is well" in told
    assert told.count("Its work is in this branch already.") == 1


def test_work_that_conflicts_is_left_to_the_agent_with_the_command_for_it(world: World):
    world.up()
    one = world.add("One", "write same.txt one")
    two = world.add("Two", "write same.txt two", "write two.txt 2")
    for task in (one, two):
        world.wait_for(task=task, status="done")
    both = world.add("Both", "run ls > seen.txt", more=("--after", one, "--after", two))
    done = world.wait_for(task=both, status="done")
    told, branch = message(done), world.task(two)["branch"]
    assert f"`git merge {branch}`" in told
    assert told.count("Its work is in this branch already.") == 1
    assert world.git("show", f"{done['branch']}:same.txt") == "one\n"
    assert "two.txt" not in world.git("show", f"{done['branch']}:seen.txt"), "all of it, or nothing"


def test_subtasks_begin_with_what_the_whole_has_and_it_goes_on_with_theirs(world: World):
    world.up()
    parts = [
        {"title": "Left", "body": "do: run cat frame.txt > left.txt"},
        {"title": "Right", "body": "do: run cat frame.txt > right.txt"},
    ]
    whole = world.add(
        "Whole", "first write frame.txt frame", "first " + answer(delegations=parts),
        "run [ $ORCH_ATTEMPT = 1 ] || cat left.txt right.txt > door.txt",
    )  # fmt: skip
    done = world.wait_for(task=whole, status="done")
    assert world.git("show", f"{done['branch']}:door.txt") == "frame\nframe\n"
    assert message(done).count("Its work is in this branch already.") == 2


def test_merged_work_is_built_on_also_where_the_remote_does_not_have_it(world: World):
    there = world.root / "origin.git"
    world.git("init", "-q", "--bare", "-b", "main", str(there), cwd=world.root)
    world.git("remote", "add", "origin", str(there))
    world.git("push", "-q", "origin", "main")
    world.agent("critic")
    world.configure("workflow:\n  review_agent: critic\n")
    world.up()
    approve = "judge: answer " + json.dumps({"decision": "approve"})
    text = "\n".join(["do: write a.txt merged", approve])
    first = world.orch("task", "add", "-l", "review", "-b", "-", "--json", "--", "First", text=text)
    done = world.wait_for(task=first.json["id"], status="done")
    assert done["branch"] == ""
    after = world.add("After", "run cat a.txt > b.txt", more=("--after", first.json["id"]))
    done = world.wait_for(task=after, status="done")
    assert world.git("show", f"{done['branch']}:b.txt") == "merged\n"
