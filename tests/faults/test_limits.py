"""Twenty tasks over three agents whose vendors limit them: cooldowns, reset times and weights act,
nothing is spent on an agent that rests, and nothing is lost."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.world import World

LIMITED = Path(__file__).resolve().parents[1] / "support" / "limited_claude.py"
TASKS = 20
RUNS = {"ample": 4, "fair": 3, "tight": 2}
"""How many runs each agent may do in a window."""
WINDOW_SECONDS = 8
SPARE_SECONDS = 0.5
"""What the clocks of a verdict and of a start may differ by."""


class Spent(NamedTuple):
    """One attempt, as the database has it."""

    task: str
    agent: str
    started_at: float
    ended_at: float
    error_class: str | None


def configure(world: World) -> None:
    """Three agents with limits, chosen by weight."""
    agents: dict[str, Any] = {}
    for name, runs in RUNS.items():
        folder = world.root / name
        folder.mkdir()
        command = [sys.executable, str(LIMITED), str(folder), str(runs), str(WINDOW_SECONDS)]
        agents[name] = {"protocol": "claude", "command": command}
    lines = "".join(f"  {name}: {json.dumps(agent)}\n" for name, agent in agents.items())
    world.configure(max_parallel=6)
    text = world.home.config.read_text().replace("agents:\n", f"agents:\n{lines}", 1)
    text = text.replace("mode: round_robin", "mode: weighted")
    world.home.config.write_text(text.replace("agents: [script]", f"agents: {json.dumps([*RUNS])}"))


def rows(world: World, sql: str) -> list[Any]:
    """What the database says."""
    with closing(sqlite3.connect(f"file:{world.home.db}?mode=ro", uri=True)) as opened:
        return opened.execute(sql).fetchall()


def test_twenty_tasks_over_three_limited_agents(world: World):
    configure(world)
    world.up()
    tasks = [world.add(f"Task {n}") for n in range(TASKS)]
    waited: list[str] = []
    weights: dict[str, float] = {}

    def look() -> bool:
        for agent, weight, _ in rows(world, "SELECT agent, weight, at FROM weights"):
            weights[agent] = min(weight, weights.get(agent, 1.0))
        every = [world.task(task) for task in tasks]
        waited.extend(one["waiting_for"] for one in every if "can be used" in one["waiting_for"])
        return all(one["status"] == "done" for one in every)

    world.until(look, "all done", seconds=180, show=lambda: "\n".join(waited[-5:]))

    sql = "SELECT task, agent, started_at, ended_at, error_class FROM attempts ORDER BY id"
    spent = [Spent(*row) for row in rows(world, sql)]
    assert {one.error_class for one in spent} == {None, "usage_limit"}
    assert sorted(one.task for one in spent if one.error_class is None) == sorted(tasks)
    assert {world.task(task)["attempt_count"] for task in tasks} == {1}, "a limit is not charged"
    runs = {name: log(world, name) for name in RUNS}
    assert sum(len(of) for of in runs.values()) == len(spent), "no run but those of attempts"
    for one in spent:
        if one.error_class is not None:
            resets = next(run["resets"] for run in runs[one.agent] if run["refused"]
                          and one.started_at < run["at"] < one.ended_at)  # fmt: skip
            later = [other.task for other in spent if other.agent == one.agent
                     and one.ended_at < other.started_at < resets - SPARE_SECONDS]  # fmt: skip
            assert later == [], f"spent on {one.agent} while it rested"
    assert all(name in waited[0] for name in RUNS), "all rest, and the task says so"
    assert "rests for" in waited[0]
    refused = {name for name in RUNS if any(run["refused"] for run in runs[name])}
    assert {name for name, weight in weights.items() if weight <= 0.5} == refused
    assert all(weight >= 0.05 for weight in weights.values())


def log(world: World, name: str) -> list[dict[str, Any]]:
    """What an agent did, run by run."""
    return [json.loads(line) for line in (world.root / name / "log").read_text().splitlines()]
