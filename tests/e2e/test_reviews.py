"""Finished work is reviewed by another agent, goes back with what it found, and is merged."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from orch.model import Rest
from orch.store.cooldowns import cool
from orch.store.db import Store
from tests.support.world import World


@pytest.fixture
def critic(world: World) -> World:
    """A world with an agent that reviews."""
    world.agent("critic")
    world.configure("workflow:\n  review_agent: critic\n")
    return world


def judge(decision: str, **more: Any) -> str:
    """A reviewer's line that decides so."""
    return "judge: answer " + json.dumps({"decision": decision, **more})


def reviewed(
    world: World, title: str, *lines: str, more: tuple[str, ...] = ("-l", "review")
) -> str:
    """Add a task whose work is reviewed; lines are given whole."""
    args = ("task", "add", *more, "-b", "-", "--json", "--", title)
    added: str = world.orch(*args, text="\n".join(lines)).json["id"]
    return added


def test_approved_work_is_merged_and_nothing_of_it_is_left_lying_about(critic: World):
    critic.git("checkout", "-q", "-b", "mine")
    critic.up()
    task = reviewed(
        critic, "Hello", "do: write hello.txt hi", "judge: write junk.txt x",
        judge("approve", notes="all well", test_results="none"),
    )  # fmt: skip
    done = critic.wait_for(task=task, status="done")
    assert [(a["kind"], a["agent"], a["outcome"]) for a in done["attempts"]] == [
        ("work", "script", "done"),
        ("review", "critic", "approve"),
    ]
    assert critic.git("show", "main:hello.txt") == "hi\n"
    assert critic.git("log", "-1", "--format=%an %s", "main") == "script[bot] Hello\n"
    assert critic.git("rev-parse", "main^") == critic.git("rev-parse", "mine"), "one commit"
    assert done["merged"] == critic.git("rev-parse", "main").strip()
    assert "+hi" in critic.orch("task", "diff", task).out
    assert "all well" in critic.orch("task", "get", task).out
    assert critic.git("branch", "--list", "orch/*") == ""
    assert len(critic.git("worktree", "list").splitlines()) == 1
    assert not list(critic.home.worktrees.glob("*/*/*"))
    assert not (critic.repo / "hello.txt").exists(), "a person's checkout of another branch"
    told = Path(done["attempts"][1]["folder"], "prompt-msg.md").read_text()
    assert "+hi" in told
    left = done["attempts"][0]["worktree"] + ".merge"
    critic.git("worktree", "add", "-q", "--detach", left)
    critic.orch("gc")
    assert not Path(left).exists(), "what a killed merge leaves belongs to its task"


def test_changes_asked_for_go_back_with_the_review_and_are_reviewed_anew(critic: World):
    critic.up()
    seen = critic.root / "seen"
    issue = {"file": "a.txt", "line": 1, "severity": "high", "description": "wrong word"}
    task = reviewed(
        critic, "Word", "do: write a.txt wrong", "do: fed write a.txt right",
        f"judge: once {seen} answer "
        + json.dumps({"decision": "request_changes", "notes": "mend it", "issues": [issue]}),
        "judge: run grep -q wrong a.txt || echo '"
        + json.dumps({"decision": "approve"}) + "' > $ORCH_OUTPUT_FILE",
    )  # fmt: skip
    done = critic.wait_for(task=task, status="done")
    kinds = [(a["kind"], a["outcome"]) for a in done["attempts"]]
    assert kinds == [("work", "done"), ("review", "request_changes"), ("work", "done"),
                     ("review", "approve")]  # fmt: skip
    told = Path(done["attempts"][2]["folder"], "prompt-msg.md").read_text()
    assert "mend it" in told
    assert "[high] a.txt:1: wrong word" in told
    assert critic.git("show", "main:a.txt") == "right\n"
    assert (critic.repo / "a.txt").read_text() == "right\n", "a clean checkout goes on with it"
    assert critic.git("status", "--porcelain") == ""


def test_nothing_of_a_persons_is_overwritten_and_the_review_is_not_made_twice(critic: World):
    critic.up()
    (critic.repo / "README.md").write_text("in the middle of something\n")
    task = reviewed(critic, "Hello", "do: write hello.txt hi", judge("approve"))
    stuck = critic.wait_for(task=task, status="needs_review")
    assert "is not committed" in stuck["blocked_reason"]
    assert (critic.repo / "README.md").read_text() == "in the middle of something\n"
    assert not (critic.repo / "hello.txt").exists()
    critic.git("checkout", "-q", "README.md")
    critic.orch("task", "review", task)
    done = critic.wait_for(task=task, status="done")
    assert [a["kind"] for a in done["attempts"]] == ["work", "review"]
    assert (critic.repo / "hello.txt").read_text() == "hi\n"


def test_a_conflict_goes_to_the_agent_with_the_commands_that_resolve_it(critic: World):
    critic.up()
    gate = critic.root / "gate"
    task = reviewed(
        critic, "Mine", "do: first write a.txt mine",
        "do: fed run git merge \"$(sed -n 's/^    git merge //p' $ORCH_PROMPT_FILE)\""
        " || echo both > a.txt",
        f"judge: wait {gate}", judge("approve"),
    )  # fmt: skip
    critic.wait_for(task=task, status="in_review")
    (critic.repo / "a.txt").write_text("theirs\n")
    critic.git("add", "a.txt")
    critic.git("commit", "-qm", "Theirs")
    gate.touch()
    done = critic.wait_for(task=task, status="done")
    assert [a["kind"] for a in done["attempts"]] == ["work", "review", "work", "review"]
    assert critic.git("show", "main:a.txt") == "both\n"


def test_a_rejection_is_for_a_person_and_an_unreadable_review_is_asked_for_once_more(
    critic: World,
):
    critic.up()
    task = reviewed(
        critic, "Bad idea", "do: write a.txt x", f"judge: once {critic.root / 'x'} exit 0",
        judge("reject", notes="not this way"),
    )  # fmt: skip
    seen = critic.wait_for(task=task, status="needs_review")
    assert "not this way" in seen["blocked_reason"]
    reviews = [a for a in seen["attempts"] if a["kind"] == "review"]
    assert [a["error_class"] for a in reviews] == ["invalid_response", None]
    assert "no decision" in Path(reviews[1]["folder"], "prompt-msg.md").read_text()
    assert critic.git("ls-tree", "--name-only", "main") == ".orch.yml\nREADME.md\n"


def test_a_task_that_asks_for_no_review_is_done_as_ever_until_a_person_asks(critic: World):
    critic.up()
    task = reviewed(critic, "Plain", "do: write a.txt x", judge("approve"), more=())
    done = critic.wait_for(task=task, status="done")
    assert len(done["attempts"]) == 1
    critic.orch("task", "review", task)
    critic.until(lambda: bool(critic.task(task)["merged"]), "it is merged")
    assert critic.git("show", "main:a.txt") == "x\n"
    refused = critic.orch("task", "review", task, ok=False)
    assert "no branch to review" in refused.err


def test_work_that_no_agent_can_review_goes_to_a_person(world: World):
    world.configure("workflow:\n  review_agent: shell\n")
    world.up()
    task = reviewed(world, "Chore", "do: write hello.txt hi")
    waits = world.wait_for(task=task, status="needs_review")
    reason = "no agent can review it: shell runs commands and cannot review"
    assert waits["blocked_reason"] == reason
    assert world.git("show", f"{waits['branch']}:hello.txt") == "hi\n"


def test_a_reviewer_that_rests_is_waited_for_though_it_is_given_no_work(critic: World):
    store = Store(critic.home.db)
    with store.transaction(fenced=False):
        cool(store, Rest(account="critic", until=time.time() + 3600, reason="its limit"))
    store.close()
    critic.up()
    task = reviewed(critic, "Hello", "do: write hello.txt hi", judge("approve"))
    critic.until(lambda: "a reviewer: critic rests" in waiting(critic, task), "it waits for critic")
    assert critic.task(task)["status"] == "in_review"
    critic.orch("agents", "cooldowns", "--clear", "critic")
    done = critic.wait_for(task=task, status="done")
    assert [a["agent"] for a in done["attempts"]] == ["script", "critic"]


def waiting(world: World, task: str) -> str:
    """What a task waits for."""
    said: str = world.task(task)["waiting_for"]
    return said
