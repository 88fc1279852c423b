"""Budgets: when a limit is reached, nearly reached, and in which words."""

from __future__ import annotations

import pytest

from orch.agents import budget
from orch.agents.budget import Limits, Meter, dollars, reached, written
from orch.agents.prices import Price
from orch.agents.stream import TokensUsed
from orch.core import retry
from orch.model import ErrorClass, Status, Usage, Verdict
from services.engine.budgets import from_state, fuller
from services.engine.spending import differ

NOON, NIGHT = 1000.0, 2000.0


@pytest.mark.parametrize(
    "limits, tokens, usd, key",
    [
        (Limits(), 10**9, 10.0**6, ""),
        (Limits(max_tokens=100), 99, None, ""),
        (Limits(max_tokens=100), 100, None, budget.PER_TASK_TOKENS),
        (Limits(max_tokens=100, spent_tokens=60), 40, None, budget.PER_TASK_TOKENS),
        (Limits(max_usd=1), 0, 0.99, ""),
        (Limits(max_usd=1), 0, 1.0, budget.PER_TASK_USD),
        (Limits(max_usd=1, spent_usd=0.5), 0, 0.5, budget.PER_TASK_USD),
        (Limits(max_usd=1), 10**9, None, ""),  # a cost nobody knows reaches nothing
        (Limits(day_max_usd=1, day_until=NIGHT), 0, 1.0, budget.PER_DAY_USD),
        (Limits(day_max_usd=1, day_spent_usd=0.9, day_until=NIGHT), 0, 0.1, budget.PER_DAY_USD),
        (Limits(day_max_usd=1, day_until=NOON), 0, 5.0, ""),  # the day is over
        (Limits(max_usd=9, day_max_usd=1, day_until=NIGHT), 0, 1.0, budget.PER_DAY_USD),
    ],
)
def test_a_limit_is_reached_when_all_that_was_spent_reaches_it(limits, tokens, usd, key):
    found = reached(limits, tokens, usd, NOON)
    assert (found.key if found else "") == key


def test_reading_from_a_cache_is_no_token_of_a_budget():
    assert budget.counted(TokensUsed(900, 100, 50_000, 7)) == 1007


def test_people_are_told_at_a_part_of_the_limit_and_once():
    order = written(Limits(max_tokens=100, warn_at=0.5), (), "m")
    meter = Meter(order, "claude")

    assert meter.look(TokensUsed(49, 0), "", NOON) is None
    near = meter.look(TokensUsed(50, 0), "", NOON)
    assert near is not None
    assert not near.over
    assert near.words == (
        "the task has used 50 of 100 tokens (raise budget.max_tokens_per_task to let it go on)"
    )
    assert meter.look(TokensUsed(60, 0), "", NOON) is None
    over = meter.look(TokensUsed(100, 0), "", NOON)
    assert over is not None
    assert over.over


def test_an_order_goes_through_json_unchanged():
    import json

    limits = Limits(max_usd=1.5, spent_usd=0.25, day_max_usd=3, day_until=NIGHT)
    order = json.loads(json.dumps(written(limits, (("x*", Price(1, 2, 3, 4)),), "x-1")))
    meter = Meter(order, "codex")
    assert meter.limits == limits
    assert meter.cost(TokensUsed(1_000_000, 0), "") == 1.0, "its own price of the model asked for"


def test_a_figure_of_the_agents_own_is_carried_on_by_the_table():
    meter = Meter(written(Limits(max_usd=9), (), ""), "claude")
    first = TokensUsed(1_000_000, 0, usd=2.0)
    assert meter.cost(TokensUsed(1_000_000, 0), "claude-sonnet-4-5") == 3.0
    assert meter.cost(first, "claude-sonnet-4-5") == 2.0
    assert meter.cost(first.plus(TokensUsed(1_000_000, 0)), "claude-sonnet-4-5") == 5.0


@pytest.mark.parametrize(
    "usd, text",
    [(0, "$0.00"), (0.0192, "$0.0192"), (0.5, "$0.5000"), (1, "$1.00"), (1234.5, "$1,234.50")],
)
def test_amounts_for_people(usd, text):
    assert dollars(usd) == text


def test_a_tasks_budget_needs_a_person_and_the_days_only_another_day():
    spent = Verdict(ok=False, error=ErrorClass.BUDGET, message="3 of 3")
    after = retry.follow(spent, retry.History(counted=0), max_attempts=10, now=NOON)
    assert (after.status, after.reason) == (Status.NEEDS_REVIEW, "3 of 3")

    day = Verdict(ok=False, error=ErrorClass.BUDGET, message="today", retry_at=NOON)
    after = retry.follow(day, retry.History(counted=0), max_attempts=10, now=NOON)
    assert (after.status, after.counted, after.cooldown) == (Status.ROUTED, False, 0.0)


def test_what_a_session_counted_completes_what_can_still_be_read_of_its_messages():
    said = Usage(input_tokens=10, output_tokens=5, usd=0.5)
    assert fuller(said, Usage()) == said
    assert fuller(said, Usage(input_tokens=10, output_tokens=5)) == said
    more = Usage(input_tokens=100, output_tokens=5)
    assert fuller(said, more) == Usage(input_tokens=100, output_tokens=5, usd=0.5)
    assert fuller(Usage(), more) == more


def test_a_state_that_holds_no_numbers_says_nothing():
    used = {"input": 7, "output": -3, "cache_read": "many", "usd": None}
    assert from_state(used) == Usage(input_tokens=7)


@pytest.mark.parametrize(
    "known, now, told",
    [
        (Limits(max_tokens=5), Limits(max_tokens=5), False),
        (Limits(max_tokens=5), Limits(max_tokens=6), True),
        (Limits(max_tokens=5, spent_tokens=1), Limits(max_tokens=5, spent_tokens=2), True),
        # what others spend today counts from half of the limit on, in steps
        (Limits(day_max_usd=10), Limits(day_max_usd=10, day_spent_usd=4.9), False),
        (Limits(day_max_usd=10), Limits(day_max_usd=10, day_spent_usd=5.0), True),
        (
            Limits(day_max_usd=10, day_spent_usd=6),
            Limits(day_max_usd=10, day_spent_usd=6.1),
            False,
        ),
        (Limits(day_max_usd=10, day_spent_usd=6), Limits(day_max_usd=10, day_spent_usd=6.2), True),
        # another day has begun
        (Limits(day_max_usd=10, day_until=NOON), Limits(day_max_usd=10, day_until=NIGHT), True),
    ],
)
def test_a_session_is_told_of_limits_that_changed_by_enough(known, now, told):
    assert differ(written(known, (), ""), written(now, (), "")) is told


def test_limits_that_come_or_go_are_told():
    order = written(Limits(max_tokens=5), (), "")
    assert differ({}, order)
    assert differ(order, {})
    assert not differ({}, {})
    assert differ(order, written(Limits(max_tokens=5), (("x", Price(1, 1, 1, 1)),), ""))
