"""What is asked of agents apart from attempts costs money too, and all of it is counted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from orch.errors import Malformed, NotFound
from orch.messages import AddConsultation, GetCosts
from orch.model import Usage
from tests.support.world import ROOT, World

PAID = ROOT / "tests" / "support" / "paid_answers.py"
USED = {"input_tokens": 1000, "output_tokens": 200, "cache_read_input_tokens": 5000}
TOKENS = 1200
USD = 1000 * 1e-6 + 200 * 2e-6 + 5000 * 1e-7
"""By the prices below, which go before the agent's own figure."""
PRICES = """\
prices:
  claude-sonnet-4-5: {input: 1, output: 2, cache_read: 0.1, cache_write: 1}
"""
STEPS = {"summary": "", "tasks": [{"title": "One", "body": "do: say one"}]}


@pytest.fixture
def folder(world: World) -> Path:
    """What the agent `guide` answers, and what that uses."""
    made: Path = world.root / "guide"
    made.mkdir()
    (made / "answer").write_text("")
    (made / "used").write_text(json.dumps(USED))
    world.agent("guide", protocol="claude", command=[sys.executable, str(PAID), str(made)])
    world.configure(PRICES)
    return made


def routed(world: World, folder: Path, more: str = "") -> None:
    """Have `guide` asked who is to work: it names the agent `script`."""
    (folder / "answer").write_text(json.dumps({"executor": "script", "reason": "fits"}))
    world.router = "mode: llm\n  agent: guide\n  model: claude-sonnet-4-5\n  agents: [script]"
    world.configure(PRICES + more)
    world.up()


def plan(world: World, *more: str, ok: bool | None = True) -> Any:
    """Have `guide` plan."""
    words = ("task", "plan", "Greet", "--agent", "guide", "--model", "claude-sonnet-4-5")
    return world.orch(*words, "--json", *more, ok=ok)


def summed(world: World, by: str) -> list[tuple[Any, ...]]:
    """The sums of `orch cost`: names, consultations, money."""
    rows = world.orch("cost", "--by", by, "--json").json["rows"]
    keys = (*by.split(","), "consultations", "usd")
    return [tuple(row[key] for key in keys) for row in rows if row["consultations"]]


def total(world: World) -> tuple[int, int, float | None]:
    """Attempts, consultations and money in all."""
    found = world.ask(GetCosts()).total
    return found.attempts, found.consultations, found.usage.usd


def test_what_routing_costs_is_in_every_sum(world: World, folder: Path):
    routed(world, folder)
    task = world.add("First", "say hi")
    world.wait_for(task=task, status="done")

    assert total(world) == (1, 1, pytest.approx(USD))
    assert summed(world, "agent,model") == [
        ("guide", "claude-sonnet-4-5", 1, pytest.approx(USD)),
    ]  # fmt: skip
    assert summed(world, "task") == [(task, 1, pytest.approx(USD))]
    ((day, count, usd),) = summed(world, "day")
    assert (len(day), count, usd) == (10, 1, pytest.approx(USD))
    one = world.orch("task", "cost", task, "--json").json
    assert [(row["kind"], row["agent"], row["attempts"]) for row in one["rows"]] == [
        ("route", "guide", 0),
        ("work", "script", 1),
    ]
    assert one["total"]["usd"] == pytest.approx(USD)
    lines = world.orch("cost", task).out.splitlines()
    assert [line.split()[0] for line in lines[3:6]] == ["route", "1", "total"]
    assert "CONSULTED" in world.orch("cost").out
    agents = world.orch("metrics", "--json").json["periods"][0]["agents"]
    (guide,) = [one for one in agents if one["agent"] == "guide"]
    assert (guide["attempts"], guide["consultations"]) == (0, 1)
    assert guide["usd"] == pytest.approx(USD)
    (event,) = [
        one for one in world.orch("task", "history", task, "--json").json
        if one["name"] == "router_answered"
    ]  # fmt: skip
    assert event["usd"] == pytest.approx(USD)


def test_a_question_that_failed_has_cost_money_too(world: World, folder: Path):
    (folder / "fail").write_text("529")
    routed(world, folder)
    task = world.add("First", "say hi")
    world.wait_for(task=task, status="done")
    assert summed(world, "task") == [(task, 1, pytest.approx(USD))]
    assert "guide rests" in world.task(task)["route_reason"]


def test_routing_is_part_of_what_the_day_has_spent(world: World, folder: Path):
    routed(world, folder, f"budget:\n  max_usd_per_day: {USD * 0.9}\n")
    task = world.add("First", "say hi")
    world.until(lambda: "today has cost" in world.task(task)["waiting_for"], "the day's limit")
    assert world.task(task)["attempts"] == []
    assert "no agent starts" in world.orch("status").out
    second = world.add("Second", "say hi")
    world.until(lambda: "today has cost" in world.task(second)["waiting_for"], "that it waits")
    assert total(world)[:2] == (0, 1), "nobody is asked either"


def test_routing_is_charged_to_the_tasks_own_budget_until_it_is_started_over(
    world: World, folder: Path
):
    routed(world, folder, f"budget:\n  max_tokens_per_task: {TOKENS}\n")
    task = world.add("First", "say hi")
    seen = world.wait_for(task=task, status="needs_review")
    figures = "the task has used 1,200 of 1,200 tokens"
    assert f"its budget is used up: {figures}" in seen["blocked_reason"]
    assert seen["attempts"] == []

    world.orch("config", "set", "budget.max_tokens_per_task", str(2 * TOKENS))
    applied = "config applied: budget.max_tokens_per_task"
    world.until(lambda: applied in world.logs(), "that the raised limit applies")
    world.orch("task", "retry", task)
    world.wait_for(task=task, status="done")
    assert total(world)[:2] == (1, 2)


def test_a_plan_is_counted_and_charged_to_the_task_that_holds_its_goal(world: World, folder: Path):
    world.up()
    (folder / "answer").write_text(json.dumps(STEPS))

    assert plan(world).json["created"] is None
    assert summed(world, "task,agent") == [("", "guide", 1, pytest.approx(USD))]
    created = plan(world, "--yes").json["created"]
    below = plan(world, "--yes", "--parent", world.add("Other", "wait /nowhere")).json["created"]

    found = {row[0]: row[1] for row in summed(world, "task")}
    assert found == {"": 1, created["parent"]: 1, below["parent"]: 1}
    rows = world.orch("task", "cost", created["parent"], "--json").json["rows"]
    assert (rows[0]["kind"], rows[0]["usd"]) == ("plan", pytest.approx(USD))


def test_nonsense_is_paid_for_as_well(world: World, folder: Path):
    world.up()
    (folder / "answer").write_text("no")
    assert "no plan that can be used" in plan(world, ok=False).json["error"]["message"]
    (folder / "fail").write_text("529")
    assert "gave no plan" in plan(world, ok=False).json["error"]["message"]
    assert summed(world, "agent") == [("guide", 3, pytest.approx(3 * USD))]


def test_without_orch_a_plan_says_that_it_is_not_counted(world: World, folder: Path):
    (folder / "answer").write_text(json.dumps(STEPS))
    ran = plan(world)
    assert ran.json["tasks"]
    assert "not in `orch cost`: guide used 1,000 tokens in, 200 out, $9.00" in ran.err
    world.up()
    assert total(world) == (0, 0, None)


def test_a_consultation_is_counted_once_whatever_is_killed(world: World):
    world.up()
    used = Usage(input_tokens=5, usd=0.5)
    one = AddConsultation("octo/demo", "plan", "script", usage=used, key="k")
    world.ask(one)
    world.kill("engine")
    world.ask(one)
    assert total(world) == (0, 1, 0.5)
    for wrong, error in (
        (AddConsultation("octo/none", "plan", "script"), NotFound),
        (AddConsultation("octo/demo", "chat", "script"), Malformed),
        (AddConsultation("octo/demo", "plan", "script", task="int-9"), NotFound),
        (AddConsultation("octo/demo", "plan", "a", usage=Usage(output_tokens=-1)), Malformed),
    ):
        with pytest.raises(error):
            world.ask(wrong)
    assert total(world)[1] == 1
