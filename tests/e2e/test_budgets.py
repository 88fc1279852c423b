"""Budgets by the real command: an agent that costs too much is stopped, and people hear of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orch.hosts import wire
from tests.support.world import World

FAKE = Path(__file__).resolve().parents[1] / "support" / "fake_claude.py"
REQUEST = {"input_tokens": 900, "cache_read_input_tokens": 50_000, "output_tokens": 100}
"""1,000 tokens that count, 0.0192 USD by the table's price of claude-sonnet-4-5."""
DONE = json.dumps({"status": "done", "summary": "all well"})


def paid(world: World, *script: list[Any], more: str = "") -> None:
    """Give the project an agent `pay`: a scripted claude that uses `REQUEST` for each request."""
    begin = [["model", "claude-sonnet-4-5"], ["use", REQUEST], ["hear"]]
    file = world.root / "script.json"
    file.write_text(json.dumps([*begin, *script]))
    command = json.dumps([sys.executable, str(FAKE), str(file)])
    agent = f"agents:\n  pay: {{protocol: claude, command: {command}}}\n"
    (world.repo / ".orch.yml").write_text(f"gh:\n  repo: octo/demo\n{agent}{more}")


@pytest.fixture
def nine(world: World) -> World:
    """A world whose agent `pay` would make nine requests, each only after the one before was
    looked at, and writes a file first."""
    asks = [["ask", "Bash", {"command": f"step {n}"}] for n in range(1, 10)]
    paid(world, ["write", "work.txt", "half of it\n"], *asks, ["result", DONE], ["eof"],
         more="budget:\n  max_tokens_per_task: 3000\n")  # fmt: skip
    return world


def test_a_task_that_would_cost_three_times_its_budget_is_stopped_at_it(nine):
    world = nine
    world.up()
    task = world.add("Too dear", more=["--agent", "pay"])

    got = world.wait_for(task=task, status="needs_review")

    (attempt,) = got["attempts"]
    assert attempt["error_class"] == "budget"
    used = attempt["usage"]
    assert used["input_tokens"] + used["output_tokens"] == 3000, "not one request more"
    assert used["usd"] == pytest.approx(3 * 0.0192)
    assert attempt["used_model"] == "claude-sonnet-4-5"
    figures = "the task has used 3,000 of 3,000 tokens"
    assert figures in got["blocked_reason"]
    assert world.git("show", f"{got['branch']}:work.txt") == "half of it\n"
    assert f"{task} needs a look: {figures}" in world.orch("status").out
    (told,) = world.orch("status", "--json").json["notices"]
    assert (told["task"], told["level"]) == (task, "error")

    world.orch("task", "unblock", task)
    again = world.wait_for(task=task, status="needs_review")
    assert "its budget is used up" in again["blocked_reason"]
    assert len(again["attempts"]) == 1, "nothing is started for nothing"

    cost = world.orch("task", "cost", task, "--json").json
    assert cost["total"]["usd"] == used["usd"]
    assert cost["budget"] == {"max_tokens": 3000, "max_usd": None}
    (by_agent,) = world.orch("cost", "--by", "agent,model", "--json").json["rows"]
    assert (by_agent["agent"], by_agent["model"]) == ("pay", "claude-sonnet-4-5")


def test_people_are_warned_in_time_to_raise_the_limit_of_a_running_agent(world):
    more = [["say", f"more {n}"] for n in range(5)]
    paid(world, *more[:2], ["hear"], *more, ["result", DONE], ["eof"])
    world.configure("budget:\n  max_tokens_per_task: 2400\n")
    world.up()
    task = world.add("Dear", more=["--agent", "pay"])
    warning = f"{task}: the task has used 2,000 of 2,400 tokens"
    world.until(lambda: warning in world.orch("status").out, "the warning")

    world.orch("config", "set", "budget.max_tokens_per_task", "9000")
    socket = world.home.session_socket(world.task(task)["attempts"][0]["session"])

    def limit() -> int:
        status = wire.ask(socket, {"type": "status"}, 5.0)
        most: int = status["limits"]["max_tokens"]
        return most

    world.until(lambda: limit() == 9000, "the raised limit in the session")
    world.orch("task", "send", task, "go on")

    got = world.wait_for(task=task, status="done")
    assert len(got["attempts"]) == 1
    names = [one["name"] for one in world.orch("task", "history", task, "--json").json]
    assert names.count("budget_warned") == 1


def test_the_days_limit_stops_agents_and_holds_tasks_back_until_it_is_raised(world):
    dear = ["use", {"input_tokens": 100_000, "output_tokens": 0}]
    paid(world, dear, ["say", "for 0.30 USD"], ["result", DONE], ["eof"])
    world.configure("budget:\n  max_usd_per_day: 0.5\n", max_parallel=1)
    world.up()
    titles = ("One", "Two", "Three")
    first, second, third = (world.add(title, more=["--agent", "pay"]) for title in titles)
    world.wait_for(task=first, status="done")

    def over() -> bool:
        return [one["phase"] for one in world.task(second)["attempts"]] == ["ended"]

    world.until(over, "the second stopped")
    stopped, held = world.task(second), world.task(third)
    assert (stopped["status"], held["status"], held["attempts"]) == ("routed", "routed", [])
    assert [one["error_class"] for one in stopped["attempts"]] == ["budget"]
    assert "all tasks of today have cost $0.6000 of $0.5000" in stopped["last_error"]
    assert "budget.max_usd_per_day: today has cost $0.6000 of $0.5000" in held["waiting_for"]
    assert "no agent starts: tasks wait for" in world.orch("status").out

    body = "```sh\ntrue\n```"
    free = world.orch("task", "add", "Free", "--agent", "shell", "-b", body, "--json").json["id"]
    world.wait_for(task=free, status="done")

    world.orch("config", "set", "budget.max_usd_per_day", "5")
    for task in (second, third):
        world.wait_for(task=task, status="done")
    total = world.orch("cost", "--since", "today", "--json").json["total"]
    assert total["usd"] == pytest.approx(4 * 0.3)
    assert total["attempts"] == 5
