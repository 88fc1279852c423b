"""A session process keeps its agent's budget: with nothing else alive, within one event."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orch import agents
from orch.agents import budget, prices
from orch.agents.plain import strip_ansi
from orch.model import ErrorClass, Verdict
from tests.support.scratch_sessions import Run, Sessions, sessions

FAKE = Path(__file__).resolve().parents[1] / "support" / "fake_claude.py"
DONE = json.dumps({"status": "done", "summary": "all well"})
REQUEST = {"input_tokens": 900, "cache_read_input_tokens": 50_000, "output_tokens": 100}
"""1,000 tokens that count, and 0.0192 USD at the price of claude-sonnet-4-5."""

SAYS = [["say", f"request {n}"] for n in range(1, 10)]


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def play(world: Sessions, *script: list[Any], own: prices.Rows = (), **limits: Any) -> Run:
    """Run a script as a claude that may spend so much."""
    name = f"script-{len(world.runs)}"
    begin = [["model", "claude-sonnet-4-5"], ["use", REQUEST], ["hear"]]
    (world.root / f"{name}.json").write_text(json.dumps([*begin, *script]))
    (world.root / f"{name}.md").write_text("do the work\n")
    return world.start(
        sys.executable, str(FAKE), str(world.root / f"{name}.json"),
        protocol="structured", dialect="claude",
        settings={"permissions": "autonomous", "worktree": str(world.root)},
        prompt=str(world.root / f"{name}.md"),
        budget=budget.written(budget.Limits(**limits), own, "sonnet"),
    )  # fmt: skip


def judged(run: Run) -> Verdict:
    """The verdict, as the engine makes it."""
    result = run.ends()
    ended = agents.Ended(
        ended_by=result.ended_by, exit_code=result.exit_code, message=result.message
    )
    lines = tuple((run.folder / "events.jsonl").read_bytes().splitlines())
    return agents.verdict("claude", agents.Recorded(result=ended, events=lines))


def requests(run: Run) -> int:
    """How many model requests the agent has made."""
    lines = (run.folder / "events.jsonl").read_text().splitlines()
    return sum(json.loads(line).get("type") == "assistant" for line in lines)


@pytest.mark.parametrize(
    "limits, made, told",
    [
        ({"max_tokens": 3000}, 3, "the task has used 3,000 of 3,000 tokens"),
        ({"max_tokens": 3000, "spent_tokens": 1500}, 2, "the task has used 3,500 of 3,000 tokens"),
        ({"max_usd": 0.04}, 3, "the task has cost $0.0576 of $0.0400"),
        ({"max_usd": 0.04, "spent_usd": 0.03}, 1, "the task has cost $0.0492 of $0.0400"),
    ],
)
def test_an_agent_is_stopped_within_one_event_of_its_limit(world, limits, made, told):
    # After the request that reaches the limit the agent does nothing: its one event must do.
    run = play(world, *SAYS[:made], ["hang"], **limits)

    verdict = judged(run)

    assert requests(run) == made
    assert (verdict.ok, verdict.error) == (False, ErrorClass.BUDGET)
    assert told in verdict.message
    assert "raise budget.max_" in verdict.message
    assert verdict.usage.input_tokens == made * 900
    assert verdict.retry_at is None, "no time makes a task's budget larger"
    assert f"✗ stopped: {told}" in strip_ansi(run.log.decode())
    assert run.left == []


def test_the_days_limit_stops_it_too_and_says_that_it_may_go_on_another_day(world):
    run = play(
        world, *SAYS[:3], ["hang"],
        day_max_usd=1.0, day_spent_usd=0.97, day_until=time.time() + 3600,
    )  # fmt: skip

    verdict = judged(run)

    assert verdict.error is ErrorClass.BUDGET
    assert "all tasks of today have cost $1.01 of $1.00" in verdict.message
    assert verdict.retry_at is not None


def test_a_day_that_is_over_limits_nothing(world):
    run = play(
        world, *SAYS[:3], ["result", DONE], ["eof"],
        day_max_usd=1.0, day_spent_usd=0.97, day_until=time.time() - 1,
    )  # fmt: skip
    assert judged(run).ok


def test_people_are_told_once_when_it_is_nearly_used_up(world):
    run = play(world, *SAYS[:4], ["result", DONE], ["eof"], max_tokens=5000, warn_at=0.5)

    assert judged(run).ok
    text = strip_ansi(run.log.decode())
    assert text.count("the task has used 3,000 of 5,000 tokens (raise budget.max_tok") == 1


def test_what_has_said_all_is_not_stopped_by_the_sum_of_its_last_turn(world):
    run = play(
        world, ["say", "one"], ["cost", 0.5], ["result", DONE], ["eof"], max_usd=0.4,
    )  # fmt: skip

    verdict = judged(run)

    assert (verdict.ok, verdict.usage.usd) == (True, 0.5), "its own figure is over the limit"


def test_a_price_of_ones_own_counts_before_the_table(world):
    free = (("claude-sonnet-*", prices.Price(0, 0, 0, 0)),)
    run = play(world, *SAYS[:3], ["result", DONE], ["eof"], own=free, max_usd=0.001)
    assert judged(run).ok


def test_a_limit_can_be_raised_and_lowered_while_the_agent_runs(world):
    run = play(world, ["say", "one"], ["hear"], *SAYS[:3], ["hear"], ["eof"], max_tokens=2500)
    run.shows(b"one")

    higher = budget.written(budget.Limits(max_tokens=50_000), (), "")
    assert world.host.limit(run.launch.session, higher)
    assert run.send("go on")[0] == "submitted"
    run.shows(b"request 3")
    assert world.host.finished(run.folder) is None

    lower = budget.written(budget.Limits(max_tokens=3500), (), "")
    assert world.host.limit(run.launch.session, lower)
    assert judged(run).error is ErrorClass.BUDGET


@pytest.mark.parametrize("order", [{"limits": {"no": 1}}, {"limits": 7, "model": "", "prices": []}])
def test_limits_of_another_version_limit_nothing_and_disturb_nothing(world, order):
    run = play(world, ["say", "one"], ["hear"], ["result", DONE], ["eof"], max_tokens=2500)
    run.shows(b"one")
    assert world.host.limit(run.launch.session, order)
    run.send("go on")
    assert judged(run).ok
