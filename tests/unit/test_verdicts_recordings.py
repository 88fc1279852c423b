"""Recorded runs of the real CLIs, and the verdict that was reasoned out for each by hand."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path

import pytest

from orch.agents import codex_run
from orch.agents.runs import READERS
from orch.model import Usage

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDED_AT = 1795344109.0
"""2026-11-22 10:41:49 UTC."""

EXPECTED = {
    (cli, scenario): expected
    for cli in READERS
    for scenario, expected in json.loads((GOLDEN / f"verdicts_{cli}.json").read_text()).items()
}


def recording(cli, scenario):
    """What the CLI wrote to stdout and to stderr."""
    out = GOLDEN / "recordings" / cli / f"{scenario}.out"
    err = out.with_suffix(".err")
    return out.read_bytes(), err.read_bytes() if err.exists() else b""


def judged(cli, scenario, expected):
    """The verdict on a recording, seen from when it was made."""
    out, err = recording(cli, scenario)
    if "before" in expected:
        given, wrote, read, written = expected["before"]
        before = Usage(
            input_tokens=given,
            output_tokens=wrote,
            cache_read_tokens=read,
            cache_write_tokens=written,
        )
        return codex_run.verdict(out, err, expected["code"], now=RECORDED_AT, before=before)
    return READERS[cli](out, err, expected["code"], now=RECORDED_AT, zone=UTC)


@pytest.mark.parametrize(("cli", "scenario"), EXPECTED, ids="-".join)
def test_a_recorded_run_has_the_verdict_that_was_reasoned_out(cli, scenario):
    expected = EXPECTED[cli, scenario]
    verdict = judged(cli, scenario, expected)
    usage = verdict.usage
    tokens = [
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
    ]
    assert (verdict.error, expected["why"]) == (expected["class"], expected["why"])
    assert verdict.ok is (expected["class"] is None)
    assert (verdict.answer.status if verdict.answer else None) == expected["answer"]
    assert tokens == expected["tokens"]
    assert usage.usd == pytest.approx(expected["usd"])
    assert verdict.native_session == expected["session"]
    assert verdict.retry_at == expected["retry_at"]
    assert bool(verdict.message) is not verdict.ok


def test_every_recording_has_an_expectation():
    recorded = {(path.parent.name, path.stem) for path in (GOLDEN / "recordings").glob("*/*.out")}
    assert recorded == set(EXPECTED)


@pytest.mark.parametrize("cli", READERS)
def test_a_run_that_was_killed_after_its_answer_did_not_end_well(cli):
    for scenario in (
        name for of, name in EXPECTED if of == cli and not EXPECTED[of, name]["class"]
    ):
        verdict = READERS[cli](*recording(cli, scenario), None, 9, now=RECORDED_AT)
        assert (verdict.error, scenario) == ("agent_crashed", scenario)
        assert verdict.answer, "the answer is kept beside the error"


@pytest.mark.parametrize(
    ("ended_by", "error"),
    [("cancelled", "cancelled"), ("hangup", "lost"), ("launch_failed", "launch_failed")],
)
@pytest.mark.parametrize("cli", READERS)
def test_what_orch_itself_ended_is_never_ok(cli, ended_by, error):
    for scenario in (name for of, name in EXPECTED if of == cli):
        out, err = recording(cli, scenario)
        verdict = READERS[cli](out, err, None, now=RECORDED_AT, ended_by=ended_by)
        assert (verdict.ok, verdict.error, scenario) == (False, error, scenario)


@pytest.mark.parametrize(
    ("cli", "scenario", "error"),
    [
        ("claude", "e529-stream-defretry", "overloaded"),
        ("claude", "sig-SIGTERM-stream", "timeout"),
        ("claude", "ok-stream", "timeout"),
        ("codex", "refused", "network"),
        ("codex", "sig-SIGTERM", "timeout"),
        ("opencode", "serve-e429-retry", "rate_limit"),
        ("opencode", "context", "context_overflow"),
        ("opencode", "cut", "timeout"),
        ("gemini", "e429-stream", "rate_limit"),
    ],
)
def test_a_time_limit_that_met_an_agent_while_it_retried_has_the_class_of_what_it_retried(
    cli, scenario, error
):
    out, err = recording(cli, scenario)
    verdict = READERS[cli](out, err, None, now=RECORDED_AT, ended_by="timeout")
    assert verdict.error == error


@pytest.mark.parametrize(
    ("cli", "scenario"),
    [("claude", "e529-stream-defretry"), ("codex", "refused"), ("opencode", "serve-e429-retry")],
)
def test_an_agent_that_is_killed_while_it_retries_has_crashed(cli, scenario):
    out, err = recording(cli, scenario)
    assert READERS[cli](out, err, None, 9, now=RECORDED_AT).error == "agent_crashed"
