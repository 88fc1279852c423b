"""The real CLIs at their budget: stopped within one request of it, counted right to the token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clis import MODEL, NAMES, Stage, account
from tests.support.model_server import ModelServer, Run, Say, Usage, Write, turn
from tests.support.world import World

USAGE = Usage(fresh=1000, cache_read=4000, output=200)
DONE = json.dumps({"status": "done", "summary": "all nine"})
PRICE = {"input": 10, "output": 50, "cache_read": 1, "cache_write": 10}
"""USD per million: a request of `USAGE` costs 0.024."""


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A model server where orch is, and the server of an agent that is one."""
    with ModelServer() as opened:
        yield opened


def ready(world: World, stage: Stage, run: Run, name: str, budget: dict[str, Any]) -> None:
    """An orch whose only agent is a real one with this budget."""
    env = account(name, world.root / "person", run, retries=1)
    agent = {
        "protocol": name,
        "command": [stage.programs[name]],
        "env": {key: value for key, value in env.items() if key != "PATH"},
        "models": [MODEL[name]],
    }
    prices = {f"*{MODEL[name].rpartition('/')[2]}*": PRICE}
    world.configure(
        f"workflow: {json.dumps({'timeout_seconds': 120})}\n"
        f"budget: {json.dumps(budget)}\nprices: {json.dumps(prices)}\n"
    )
    text = world.home.config.read_text().replace("agents: [script]", f"agents: [{name}]")
    text = text.replace("agents:\n  script:", f"agents:\n  {name}: {json.dumps(agent)}\n  script:")
    world.home.config.write_text(text)
    world.up()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "budget", [{"max_tokens_per_task": 3600}, {"max_usd_per_task": 0.07}], ids=["tokens", "usd"]
)
def test_a_real_agent_that_would_take_nine_requests_is_stopped_at_its_third(
    world: World, stage: Stage, server: ModelServer, name: str, budget: dict[str, Any]
) -> None:
    steps = [turn(Write(f"{n}.txt", f"{n}\n"), usage=USAGE) for n in range(1, 10)]
    run = server.play([*steps, turn(Say(DONE), usage=USAGE)])
    ready(world, stage, run, name, budget)
    task = world.orch("task", "add", "--json", "-b", "Write nine files.", "--", "Nine").json["id"]

    got = world.wait_for(task=task, status="needs_review", seconds=110)

    (attempt,) = got["attempts"]
    print(name, budget, attempt["usage"], len(run.requests), got["blocked_reason"])
    assert attempt["error_class"] == "budget"
    assert 3 <= len(run.requests) <= 4, "one more may be under way when the third has been counted"
    used = attempt["usage"]
    counted = {USAGE.fresh * 3 + extra for extra in (0, USAGE.fresh)}
    assert used["input_tokens"] in counted
    assert used["cache_read_tokens"] in {12_000, 16_000}
    assert used["output_tokens"] >= 3 * USAGE.output - USAGE.output
    kept = world.git("ls-tree", "--name-only", str(got["branch"])).split()
    assert {"1.txt", "2.txt"} <= set(kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_real_agent_within_its_budget_is_counted_right_to_the_token(
    world: World, stage: Stage, server: ModelServer, name: str
) -> None:
    steps = [turn(Write(f"{n}.txt", f"{n}\n"), usage=USAGE) for n in range(1, 4)]
    run = server.play([*steps, turn(Say(DONE), usage=USAGE)])
    ready(world, stage, run, name, {"max_tokens_per_task": 10_000, "max_usd_per_task": 5})
    task = world.orch("task", "add", "--json", "-b", "Write three files.", "--", "Three").json["id"]

    got = world.wait_for(task=task, status="done", seconds=110)

    used = got["attempts"][0]["usage"]
    spent = run.spent
    assert (used["input_tokens"], used["output_tokens"], used["cache_read_tokens"]) == (
        spent.fresh,
        spent.output,
        spent.cache_read,
    )
    assert used["usd"] == pytest.approx(4 * 0.024)
