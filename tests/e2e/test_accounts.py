"""Agents that use one account rest together: none is tried in vain after another met its limit."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.support.world import ROOT, World

LIMITED = ROOT / "tests" / "support" / "limited_claude.py"
FAKE = ROOT / "tests" / "support" / "fake_claude.py"


def limited(
    world: World, login: str, runs: int, seconds: float = 3600, kind: str = ""
) -> list[str]:
    """The command of an agent that shares its vendor's limit with all of the same login."""
    folder = world.root / login
    folder.mkdir(exist_ok=True)
    argv = [sys.executable, str(LIMITED), str(folder), str(runs), str(seconds)]
    return [*argv, kind] if kind else argv


def chosen(world: World, mode: str, *names: str) -> None:
    """Let these agents be chosen from."""
    world.router = f"mode: {mode}\n  agents: {json.dumps(names)}"
    world.configure()


def spent(world: World, task: str) -> list[tuple[str, str, str | None]]:
    """Who tried a task, with which model, and what came of it."""
    done = world.wait_for(task=task, status="done")
    return [(one["agent"], one["model"], one["error_class"]) for one in done["attempts"]]


def rests(world: World, *more: str) -> list[tuple[str, str, str]]:
    """What rests: agent, account, model."""
    found = world.orch("agents", "cooldowns", "--json", *more).json
    return [(one["agent"], one["account"], one["model"]) for one in found]


def test_an_account_that_met_its_limit_rests_for_all_of_its_agents_and_models(world: World):
    command = limited(world, "team", 0)
    world.agent("slow", protocol="claude", command=command, account="team", models=["big"])
    world.agent("swift", protocol="claude", command=command, account="team", models=["small"])
    chosen(world, "label_only", "slow", "swift", "script")
    world.up()
    task = world.add("First", "say hi")

    assert spent(world, task) == [("slow", "big", "usage_limit"), ("script", "", None)]

    assert rests(world) == [("slow", "team", ""), ("swift", "team", "")]
    assert "swift (account team) cools down for" in world.orch("status").out
    assert "ACCOUNT" in world.orch("agents", "cooldowns").out
    shown = {one["name"]: one for one in world.orch("agents", "--json").json}
    assert shown["swift"]["account"] == "team"
    assert shown["swift"]["cooling_until"]
    assert "rests with its account team until" in world.orch("agents").out

    second = world.add("Second", "say hi", more=("--agent", "swift"))
    assert spent(world, second) == [("script", "", None)]
    reason = world.task(second)["route_reason"]
    assert "swift was wanted but rests with its account team for" in reason

    assert rests(world, "swift") == [("swift", "team", "")]
    world.orch("agents", "cooldowns", "--clear", "swift")
    assert rests(world) == [], "an agent comes back with its account"


def test_a_limit_of_one_model_leaves_the_other_models_of_its_account(world: World):
    command = limited(world, "team", 0, kind="seven_day_opus")
    well = limited(world, "well", 9)
    world.agent("slow", protocol="claude", command=command, account="team", models=["big"])
    world.agent("swift", protocol="claude", command=well, account="team", models=["big", "small"])
    chosen(world, "label_only", "slow", "swift")
    world.up()

    task = world.add("First", "say hi")

    assert spent(world, task) == [("slow", "big", "usage_limit"), ("swift", "small", None)]
    assert rests(world) == [("slow", "team", "big"), ("swift", "team", "big")]
    assert world.orch("agents", "cooldowns", "--clear", "nobody", ok=False).code == 4
    world.orch("agents", "cooldowns", "--clear", "team")
    assert rests(world) == []


def test_a_task_that_waits_for_its_turn_takes_no_model_that_rests_meanwhile(world: World):
    command = limited(world, "team", 1, kind="seven_day_opus")
    world.agent("slow", protocol="claude", command=command, account="team", models=["big"])
    well = limited(world, "well", 9)
    world.agent("swift", protocol="claude", command=well, account="team", models=["big", "small"])
    chosen(world, "label_only", "slow", "swift")
    world.configure(max_parallel=1)
    world.up()
    first = world.add("First", f"wait {world.root / 'go'}", more=("--agent", "script"))
    world.wait_for(task=first, status="in_progress")
    second = world.add("Second", "x", more=("--agent", "slow"))
    third = world.add("Third", "x", more=("--agent", "slow"))
    fourth = world.add("Fourth", "x", more=("--agent", "swift"))
    for task in (second, third, fourth):
        world.wait_for(task=task, status="routed")
    assert world.task(fourth)["model"] == "big"
    (world.root / "go").touch()

    assert spent(world, second) == [("slow", "big", None)]
    assert spent(world, third)[0] == ("slow", "big", "usage_limit")
    assert spent(world, fourth) == [("swift", "small", None)]


def test_an_account_without_a_login_is_out_of_use_until_one_of_its_agents_passes(world: World):
    script = world.root / "login.json"
    script.write_text(json.dumps([["hear"], ["fail", "Invalid API key · Fix it", 401]]))
    command = [sys.executable, str(FAKE), str(script)]
    for name in ("slow", "swift"):
        world.agent(name, protocol="claude", command=command, account="team")
    chosen(world, "label_only", "slow", "swift", "script")
    world.up()

    assert spent(world, world.add("First", "say hi")) == [
        ("slow", "", "auth"), ("script", "", None),
    ]  # fmt: skip
    told = world.orch("status").out
    assert "problem: swift (account team) is out of use" in told
    assert told.count("notice:") == 1
    assert "nor any other of its account team (auth:" in told

    script.write_text(json.dumps([["hear"], ["result", '{"status": "done", "summary": "ready"}']]))
    mended = world.orch("agents", "--check", "--agent", "swift")
    assert "it may work again" in mended.err
    assert rests(world) == []
    assert spent(world, world.add("Second", "say hi")) == [("slow", "", None)]


def test_an_agent_whose_program_is_missing_does_not_take_its_account_out_of_use(world: World):
    tool = ["sh", "-c", 'exec /nowhere/tool "$@"', "tool"]
    world.agent("slow", protocol="claude", command=tool, account="team")
    world.agent("swift", protocol="claude", command=limited(world, "team", 9), account="team")
    chosen(world, "label_only", "slow", "swift")
    world.up()

    task = world.add("First", "say hi")

    assert spent(world, task) == [("slow", "", "missing_tool"), ("swift", "", None)]
    assert rests(world) == [("slow", "", "")]
    assert rests(world, "team") == []


def test_a_reviewer_whose_account_rests_is_waited_for_and_not_asked(world: World):
    command = limited(world, "team", 0)
    world.agent("slow", protocol="claude", command=command, account="team")
    world.agent("critic", protocol="claude", command=command, account="team")
    chosen(world, "label_only", "script", "critic")
    world.configure("workflow:\n  review_agent: critic\n")
    world.up()
    assert spent(world, world.add("Limit", "say hi", more=("--agent", "slow")))[0][0] == "slow"

    task = world.add("Work", "write a.txt a", more=("-l", "review"))
    world.wait_for(task=task, status="in_review")
    world.until(
        lambda: "rests with its account team" in world.task(task)["waiting_for"],
        "that it waits for its reviewer",
    )
    assert [one["kind"] for one in world.task(task)["attempts"]] == ["work"]


TASKS, RUNS, WINDOW_SECONDS = 9, 2, 5


def test_nine_tasks_over_two_agents_of_one_account_and_a_third(world: World):
    shared = limited(world, "team", RUNS, WINDOW_SECONDS)
    for name in ("slow", "swift"):
        world.agent(name, protocol="claude", command=shared, account="team")
    other = limited(world, "other", RUNS, WINDOW_SECONDS)
    world.agent("third", protocol="claude", command=other)
    chosen(world, "weighted", "slow", "swift", "third")
    world.configure(max_parallel=3)
    world.up()
    tasks = [world.add(f"Task {n}") for n in range(TASKS)]
    for task in tasks:
        world.wait_for(task=task, status="done", seconds=90)

    with closing(sqlite3.connect(f"file:{world.home.db}?mode=ro", uri=True)) as opened:
        sql = "SELECT agent, started_at, ended_at, error_class FROM attempts"
        of_team = [row for row in opened.execute(sql) if row[0] != "third"]
    runs = log(world.root / "team")
    assert len(runs) == len(of_team), "no run but those of attempts"
    refused = [run for run in runs if run["refused"]]
    assert refused, "the account met its limit"
    for run in refused:
        (ended,) = [row[2] for row in of_team if row[1] < run["at"] < row[2] and row[3]][:1]
        vain = [row for row in of_team if ended < row[1] < run["resets"] - 0.5]
        assert vain == [], "spent on an agent whose account rested"


def log(folder: Path) -> list[dict[str, Any]]:
    """What was done with a login, run by run."""
    return [json.loads(line) for line in (folder / "log").read_text().splitlines()]
