"""Every way a provider can fail, on every real CLI: it ends as `outcomes.md` says."""

from __future__ import annotations

import pytest

from tests.real.table import Table, row
from tests.support.clis import NAMES, Stage
from tests.support.model_server import Broken, Fail, Hang, Say, Step, Write, turn

GOOD: list[Step] = [turn(Write("hello.txt", "hello\n")), turn(Say("Done."))]
LENGTH, REFUSAL = turn(Say("It beg"), stop="length"), turn(Say("No."), stop="refusal")
SCENARIOS: dict[str, list[Step]] = {
    "401": [Fail("e401")],
    "403": [Fail("e403")],
    "404": [Fail("e404")],
    "413": [Fail("e413")],
    "429": [Fail("e429", retry_after=1)],
    "429 once": [Fail("e429", retry_after=1, times=1), *GOOD],
    "429 in the stream": [Fail("rate_in_stream")],
    "500": [Fail("e500")],
    "502 as a page": [Fail("e502")],
    "503": [Fail("e503")],
    "529": [Fail("e529")],
    "overloaded in the stream": [Fail("overloaded_in_stream")],
    "context overflow": [Fail("context")],
    "credit used up": [Fail("billing")],
    "usage limit": [Fail("usage_limit")],
    "cut stream": [Broken("cut")],
    "cut once": [Broken("cut", times=1), *GOOD],
    "reset connection": [Broken("reset")],
    "stalled stream": [Broken("stall")],
    "malformed stream": [Broken("malformed")],
    "no answer": [Hang()],
    "output limit": [LENGTH],
    "refusal": [REFUSAL],
    "empty answer": [turn()],
}
RETRIES = {"claude": 1, "codex": 0, "opencode": None}


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_ends_as_known(name, scenario, stage: Stage, ground, table: Table):
    run = stage.server.play(SCENARIOS[scenario])
    once = name == "codex" and scenario.endswith(" once")

    outcome = stage.oneshot(
        name, run, ground / "work", ground / "home", "Say hello.",
        limit_seconds=table.limit_seconds(name, scenario), retries=1 if once else RETRIES[name],
    )  # fmt: skip

    table.check(row(scenario, outcome, run), outcome.seconds)
    assert outcome.left == 0


def test_the_limit_of_a_subscription_says_when_it_ends(stage: Stage, ground, table: Table):
    run = stage.server.play([Fail("usage_limit")])

    outcome = stage.oneshot(
        "claude", run, ground / "work", ground / "home", "Say hello.",
        retries=1, subscription=True,
    )  # fmt: skip

    table.check(row("usage limit of a subscription", outcome, run), outcome.seconds)
    limits = [e["rate_limit_info"] for e in outcome.events if e["type"] == "rate_limit_event"]
    assert limits[-1]["status"] == "rejected"
    assert limits[-1]["resetsAt"] > 1_700_000_000
