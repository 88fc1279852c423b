"""Every way a provider can fail, on every real CLI as orch runs it: the class, what follows from
it and how long it takes, as `outcomes.md` says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from orch.model import ErrorClass as E
from tests.real.table import Table, row
from tests.support.clis import NAMES, Stage
from tests.support.model_server import Broken, Fail, Hang, Respond, Run, Say, Step, Write, turn
from tests.support.real_agents import DONE, judged, shown, start
from tests.support.scratch_sessions import Sessions, sessions

GOOD: list[Step] = [turn(Write("hello.txt", "hello\n")), turn(Say(DONE))]
SCENARIOS: dict[str, tuple[list[Step], E | None]] = {
    "401": ([Fail("e401")], E.AUTH),
    "403": ([Fail("e403")], E.AUTH),
    "404": ([Fail("e404")], E.MODEL_UNAVAILABLE),
    "413": ([Fail("e413")], E.CONTEXT_OVERFLOW),
    "429": ([Fail("e429", retry_after=1)], E.RATE_LIMIT),
    "429 once": ([Fail("e429", retry_after=1, times=1), *GOOD], None),
    "429 for hours": ([Fail("e429", retry_after=10_800)], E.RATE_LIMIT),
    "429 in the stream": ([Fail("rate_in_stream")], E.RATE_LIMIT),
    "500": ([Fail("e500")], E.OVERLOADED),
    "502 as a page": ([Fail("e502")], E.OVERLOADED),
    "503": ([Fail("e503")], E.OVERLOADED),
    "529": ([Fail("e529")], E.OVERLOADED),
    "overloaded in the stream": ([Fail("overloaded_in_stream")], E.OVERLOADED),
    "context overflow": ([Fail("context")], E.CONTEXT_OVERFLOW),
    "credit used up": ([Fail("billing")], E.BILLING),
    "usage limit": ([Fail("usage_limit")], E.USAGE_LIMIT),
    "cut stream": ([Broken("cut")], E.NETWORK),
    "cut once": ([Broken("cut", times=1), *GOOD], None),
    "reset connection": ([Broken("reset")], E.NETWORK),
    "nobody listens": ([], E.NETWORK),
    "malformed stream": ([Broken("malformed")], E.NETWORK),
    "stalled stream": ([Broken("stall")], E.TIMEOUT),
    "no answer": ([Hang()], E.TIMEOUT),
    "output limit": ([turn(Say("It beg"), stop="length")], E.OUTPUT_LIMIT),
    "refusal": ([turn(Say("No."), stop="refusal")], E.REFUSAL),
    "empty answer": ([turn()], E.INVALID_RESPONSE),
    "an answer that is none": ([turn(Say("All is well."))], E.INVALID_RESPONSE),
    "a page instead of an answer": (
        [Respond(200, "<html>log in to this network</html>", {"content-type": "text/html"})],
        E.NETWORK,
    ),
}
"""What the server does, and the class that it must be given."""

ELSE: dict[tuple[str, str], E] = {
    ("claude", "usage limit"): E.RATE_LIMIT,  # with a key, it tells no more than a 429
    ("codex", "403"): E.MODEL_UNAVAILABLE,  # that provider's 403 is about the model
    ("opencode", "403"): E.MODEL_UNAVAILABLE,
    ("opencode", "a page instead of an answer"): E.TIMEOUT,  # it takes that for an empty stream
}
"""Where a CLI tells something else, and the class of that."""

ENDLESS = {"stalled stream", "no answer"}
"""What only a time limit ends."""
WAITS = {"claude": 12, "codex": 8, "opencode": 30}
"""Seconds of that time limit, start of the CLI included."""
LONGEST_SECONDS = 120
"""What any other failure may take; the CLIs' own time limits are shorter."""
NO_PORT = 9


@pytest.fixture
def made() -> Iterator[Sessions]:
    """A scratch home for sessions."""
    with sessions() as opened:
        yield opened


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_has_its_class_and_consequence(name, scenario, made, stage: Stage, table: Table):
    steps, expected = SCENARIOS[scenario]
    run = stage.server.play(steps)
    if scenario == "nobody listens":
        run = Run("nobody", f"http://127.0.0.1:{NO_PORT}", steps)
    endless = scenario in ENDLESS or ELSE.get((name, scenario)) is E.TIMEOUT
    limit = WAITS[name] if endless or not steps else LONGEST_SECONDS
    more: dict[str, Any] = {"settings": {"tries": "2"}} if name == "opencode" else {}
    if name == "codex" and scenario.endswith(" once"):
        more["retries"] = 1
    began = time.monotonic()

    attempt = start(made, stage, name, run, timeout_seconds=limit, **more)
    verdict = judged(attempt, name)

    seconds = time.monotonic() - began
    assert verdict.error == ELSE.get((name, scenario), expected), (verdict, shown(attempt))
    asked = 1 if endless else len(run.requests)
    table.check(row(name, scenario, verdict, asked), seconds)
    assert attempt.left == []


def test_the_limit_of_a_subscription_says_when_it_ends(made, stage: Stage, table: Table):
    run = stage.server.play([Fail("usage_limit", retry_after=7200)])
    token = {"ANTHROPIC_API_KEY": "", "CLAUDE_CODE_OAUTH_TOKEN": "scripted-token-000000"}

    verdict = judged(start(made, stage, "claude", run, env=token), "claude")

    assert verdict.error is E.USAGE_LIMIT
    assert verdict.retry_at is not None
    assert abs(verdict.retry_at - time.time() - 7200) < 600
    table.check(row("claude", "usage limit of a subscription", verdict, len(run.requests)), 0.0)
