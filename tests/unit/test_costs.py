"""Costs: sums put together by what was asked for, with what nobody knows counted apart."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from orch.core import costs
from orch.errors import Malformed
from orch.model import Attempt, Consultation, Cost, Phase, Usage

BERLIN = ZoneInfo("Europe/Berlin")


def one(usd: float | None, tokens: int = 10, **names: str) -> Cost:
    unpriced = int(usd is None and tokens > 0)
    usage = Usage(input_tokens=tokens, usd=usd)
    return Cost(attempts=1, unpriced=unpriced, usage=usage, **names)


@pytest.mark.parametrize(
    "words, by", [("", ()), ("agent", ("agent",)), (" day , agent,day", ("day", "agent"))]
)
def test_what_costs_are_told_by(words, by):
    assert costs.chosen(words) == by


def test_an_unknown_word_is_refused():
    with pytest.raises(Malformed, match="month"):
        costs.chosen("agent,month")


def test_a_sum_knows_what_it_does_not_know():
    total = costs.total([one(1.5), one(None), one(0.5), one(None, tokens=0)])
    assert (total.usage.usd, total.attempts, total.unpriced) == (2.0, 4, 1)
    assert costs.total([one(None)]).usage.usd is None


def test_groups_come_by_day_then_dearest_first():
    found = costs.grouped(
        [
            one(1, day="2026-11-02", agent="a"),
            one(5, day="2026-11-02", agent="b"),
            one(9, day="2026-11-01", agent="a"),
            one(7, day="2026-11-02", agent="a"),
        ],
        ("day", "agent"),
    )
    assert [(c.day, c.agent, c.usage.usd) for c in found] == [
        ("2026-11-01", "a", 9),
        ("2026-11-02", "a", 8),
        ("2026-11-02", "b", 5),
    ]


def test_a_quarter_of_an_hour_belongs_to_its_local_day():
    midnight = datetime(2026, 11, 1, tzinfo=BERLIN).timestamp()
    row = {"attempts": 1, "unpriced": 0, "usd": 1.0, "input_tokens": 1, "output_tokens": None,
           "cache_read_tokens": 0, "cache_write_tokens": 0, "day": midnight}  # fmt: skip
    assert costs.of_row(row, BERLIN).day == "2026-11-01"
    assert costs.of_row(row | {"day": midnight - 900}, BERLIN).day == "2026-10-31"


def test_an_attempt_is_named_by_the_model_that_answered():
    attempt = Attempt(id=1, task="int-1", n=1, phase=Phase.RUNNING, fence=1, agent="claude",
                      model="sonnet", used_model="claude-sonnet-4-5")  # fmt: skip
    found = costs.of_attempt(attempt, ("model",), "2026-11-01")
    assert (found.model, found.agent, found.day) == ("claude-sonnet-4-5", "", "")


def test_a_consultation_is_told_by_all_its_names_and_summed_beside_attempts():
    def asked(usd: float | None, tokens: int = 10) -> Cost:
        used = Usage(input_tokens=tokens, usd=usd)
        one = Consultation(key="k", kind="route", project="o/r", agent="claude", model="haiku",
                           task="int-1", usage=used)  # fmt: skip
        return costs.of_consultation(one, "2026-11-01")

    found = asked(0.5)
    assert (found.kind, found.agent, found.model) == ("route", "claude", "haiku")
    assert (found.day, found.task) == ("2026-11-01", "int-1")
    assert (found.attempts, found.consultations, found.unpriced) == (0, 1, 0)
    assert [asked(None).unpriced, asked(None, 0).unpriced] == [1, 0]
    (both,) = costs.grouped([one(1, task="int-1"), asked(0.5), asked(None)], ("task",))
    assert (both.attempts, both.consultations, both.unpriced, both.usage.usd) == (1, 2, 1, 1.5)


def test_metrics_hold_what_was_asked_of_an_agent_without_judging_it():
    row = {"agent": "a", "outcome": "done", "error_class": "", "n": 2, "usd": None}
    asked = [
        Cost(agent="a", consultations=3, usage=Usage(usd=0.5)),
        Cost(agent="b", consultations=1, usage=Usage(usd=None)),
    ]
    found = costs.period(7.0, [row], {}, asked)
    told = [(one.agent, one.attempts, one.consultations, one.usd) for one in found.agents]
    assert told == [("a", 2, 3, 0.5), ("b", 0, 1, None)]
    assert (found.attempts, found.outcomes) == (2, {"done": 2})


def test_a_record_judges_only_what_says_something_about_the_agent():
    def row(outcome: str, error: str, n: int) -> dict:
        return {"agent": "a", "outcome": outcome, "error_class": error, "n": n, "usd": 1.0}

    found = costs.period(
        7.0,
        [
            row("done", "", 6),
            row("failed", "timeout", 2),
            row("failed", "rate_limit", 9),
            row("cancelled", "cancelled", 3),
            row("lost", "lost", 1),
        ],
        {"a": {"p50": 2.0, "p95": 9.0}},
    )
    (agent,) = found.agents
    assert (agent.attempts, agent.done, agent.judged) == (21, 6, 8)
    assert (agent.p50_seconds, agent.p95_seconds, agent.usd) == (2.0, 9.0, 5.0)
    assert found.outcomes == {"failed": 11, "done": 6, "cancelled": 3, "lost": 1}
    assert found.errors == {"rate_limit": 9, "cancelled": 3, "timeout": 2, "lost": 1}
