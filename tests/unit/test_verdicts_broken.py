"""Whatever a CLI writes, however torn: a verdict comes out, it can be stored, and it is careful."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orch.agents.runs import READERS
from orch.model import Verdict

NOW = 1795344109.0
RECORDINGS = Path(__file__).parents[1] / "golden" / "recordings"

CALM = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)

FINE = {
    "claude": ["ok-json", "ok-stream", "sjin-midtool", "struct-json"],
    "codex": ["ok", "e429once-defretry", "appserver-longbash-steer"],
    "gemini": ["ok-stream"],
    "opencode": ["ok", "serve-bash-perm"],
    "qwen": ["ok-stream"],
}
"""Recordings of runs that went well."""

CASES = [(cli, scenario) for cli, scenarios in FINE.items() for scenario in scenarios]

LAST = {
    "claude": b'"type":"result"',
    "codex": b'"turn.completed"',
    "gemini": b'"type":"result"',
    "opencode": b'"reason":"stop"',
    "qwen": b'"type":"result"',
    "appserver-longbash-steer": b'"turn/completed"',
    "serve-bash-perm": b'"type":"idle"',
}
"""What their last events are known by."""

WORDS = (
    *("type", "method", "params", "error", "message", "subtype", "result", "is_error", "usage"),
    *("input_tokens", "output_tokens", "modelUsage", "total_cost_usd", "session_id", "thread_id"),
    *("sessionID", "permission_denials", "rate_limit_info", "resetsAt", "api_error_status", "item"),
    *("turn.completed", "turn.failed", "error_status", "turn", "assistant", "user", "system"),
    *("init", "api_retry", "stream_event", "content", "text", "tool_use", "tool_result", "part"),
    *("state", "status", "tokens", "cache", "cost", "reason", "name", "data", "responseBody"),
    *("statusCode", "step_finish", "step_start", "properties", "info", "session.status", "retry"),
    *("next", "models", "stats", "response", "role", "delta", "control_request", "request", "id"),
    *("request_id", "rate_limit_event", "rejected", "message.part.updated", "session.idle"),
    *("turn/completed", "thread/tokenUsage/updated", "account/rateLimits/updated", "rateLimits"),
    *("primary", "usedPercent", "item/completed", "tokenUsage", "orch_sent", "total", "errors"),
    *("structured_output", "terminal_reason", "codexErrorInfo", "delegations", "item.completed"),
    *("agent_message", "done", "control_response", "permission.asked", "step-finish", "code"),
)
"""Words of all the protocols, so that what is made up is often taken for something known."""

NUMBERS = st.integers() | st.floats() | st.sampled_from([1e308, -1, 2**70, 10**400])

VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
        | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5).map(json.dumps)
    ),
    max_leaves=8,
)

EVENTS = st.builds(
    lambda kind, method, rest: rest | ({"method": kind} if method else {"type": kind}),
    st.sampled_from(WORDS),
    st.booleans(),
    st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=6),
)


def recording(cli, scenario):
    """What was written to stdout."""
    return (RECORDINGS / cli / f"{scenario}.out").read_bytes()


def judged(cli, out, err=b"", code=0):
    """A verdict that is consistent and survives being stored."""
    verdict = READERS[cli](out, err, code, now=NOW)
    assert verdict.ok is (verdict.error is None)
    assert not (verdict.ok and verdict.answer is None)
    for encoding in (msgspec.json, msgspec.msgpack):
        stored = encoding.decode(encoding.encode(verdict), type=Verdict)
        assert stored == verdict
    return verdict


@CALM
@given(st.sampled_from(sorted(READERS)), st.binary(), st.binary(), st.none() | st.integers())
def test_bytes_without_sense_give_a_verdict(cli, out, err, code):
    assert not judged(cli, out, err, code).ok


@CALM
@given(st.sampled_from(sorted(READERS)), st.lists(EVENTS, max_size=5), st.none() | st.integers())
def test_events_of_strange_forms_give_a_verdict(cli, events, code):
    judged(cli, b"\n".join(json.dumps(event).encode() for event in events), b"", code)


@CALM
@given(st.sampled_from(CASES), st.floats(0, 1), st.binary(max_size=40))
def test_a_recording_that_was_hit_somewhere_gives_a_verdict(case, where, shot):
    out = recording(*case)
    at = int(len(out) * where)
    judged(case[0], out[:at] + shot + out[at + len(shot) :])


@CALM
@given(st.sampled_from(CASES), st.floats(0, 1, exclude_max=True))
def test_a_run_that_was_cut_before_its_last_event_is_not_ok(case, where):
    body = recording(*case).split(LAST[case[0]])[0]
    if case[1].startswith(("appserver", "serve")):
        body = recording(*case).split(LAST[case[1]])[0]
    assert not judged(case[0], body[: int(len(body) * where)]).ok


def test_a_turn_that_was_cut_after_one_that_ended_is_not_ok():
    out = recording("claude", "sjin-midtool").rsplit(b'"type":"result"', 1)[0]
    assert judged("claude", out).error == "agent_crashed"


@pytest.mark.parametrize("case", CASES, ids="-".join)
@pytest.mark.parametrize(
    "noise",
    [
        b'{"type": "a.new.event", "result": "x", "error": {"message": "401"}}',
        b'{"method": "a/new/notification", "params": {"error": {"message": "429"}}}',
        b"Warning: 429 Too Many Requests, 401 Unauthorized, rate limit exceeded",
        b"\xff\xfe\x80 not UTF-8 \xc3",
        b'{"type": "assistant", "message": {"content": [{"ty',
        b"[" * 5000,
        b"\x1b[31mError: \x1b[0m\x00",
        b"",
    ],
)
def test_what_gets_in_between_changes_nothing(case, noise):
    out = recording(*case)
    mixed = noise + b"\n" + out.replace(b"\n", b"\n" + noise + b"\n")
    assert judged(case[0], mixed) == judged(case[0], out)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_stderr_in_the_same_line_as_an_event_hides_none(case):
    out = recording(*case)
    glued = b"Warning: {odd} " + out.rstrip().replace(b"\n", b"done.\nnode: {x} warning ") + b" bye"
    assert judged(case[0], glued) == judged(case[0], out)


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_line_of_ten_megabytes_is_no_trouble(case):
    out = recording(*case)
    output = "x" * (10 * 1024 * 1024)
    big = json.dumps({"type": "tool_output", "text": output}).encode()
    torn = big[: len(big) // 2]
    assert judged(case[0], b"\n".join([big, torn, out])) == judged(case[0], out)


def test_half_a_character_in_an_answer_is_replaced():
    children = '[{"title": "\\ud83d", "n": 1e999, "huge": 1' + "0" * 40 + "}]"
    said = '{"status": "done", "summary": "\\ud83d", "delegations": ' + children + "}"
    out = json.dumps(
        {"type": "result", "subtype": "success", "result": said, "session_id": "\ud800"}
    )
    verdict = READERS["claude"](out.encode(), b"", 0, now=NOW)
    assert verdict.ok
    assert msgspec.msgpack.encode(verdict)
    assert verdict.answer.summary == "?"
    assert verdict.native_session == "?"


@pytest.mark.parametrize("odd", [-5, 1e308, 10**30, "7", True, None, [1], float("nan")])
def test_a_count_that_cannot_be_one_is_none(odd):
    used = {"input_tokens": odd, "output_tokens": 7, "cache_read_input_tokens": odd}
    out = json.dumps({"type": "result", "result": "x", "usage": used, "total_cost_usd": odd})
    usage = judged("claude", out.encode()).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (0, 7, 0)


def test_events_may_come_as_server_sent_events():
    out = recording("opencode", "serve-bash-perm")
    sent = b"".join(b"data: " + line + b"\n\n" for line in out.splitlines())
    assert judged("opencode", sent) == judged("opencode", out)
