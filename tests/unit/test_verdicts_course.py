"""The course of a run: what it recovered from, was denied, was asked, and how it was stopped."""

from __future__ import annotations

import json

import pytest

from orch.agents.runs import READERS

NOW = 1795344109.0
ANSWER = '```json\n{"status": "done", "summary": "ok"}\n```'
BLOCKED = '{"status": "blocked", "reason": "no key"}'
LIMITED = {"status": "rejected", "resetsAt": 1795354297}

INIT = {"type": "system", "subtype": "init", "session_id": "s"}
DONE = {"type": "result", "subtype": "success", "is_error": False, "result": ANSWER}
ABORTED = {
    "type": "result",
    "subtype": "error_during_execution",
    "is_error": True,
    "terminal_reason": "aborted_tools",
}
SAYS = {"type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "go on"}]}}
WORKS = {"type": "item.completed", "item": {"type": "command_execution", "status": "completed"}}
WARNS = {"type": "item.completed", "item": {"type": "error", "message": "metadata not found"}}
RECONNECTS = {
    "type": "error",
    "message": "Reconnecting... 2/5 (stream disconnected before completion: x)",
}


def judged(cli, *events, code=0, err="", **ended):
    """The verdict on a run with these events."""
    out = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    return READERS[cli](out, err.encode(), code, now=NOW, **ended)


def calls(tool, call):
    """claude uses a tool."""
    part = {"type": "tool_use", "id": call, "name": tool}
    return {"type": "assistant", "message": {"id": call, "content": [part]}}


def gives(call, failed=False):
    """A tool gives something back to claude."""
    part = {"type": "tool_result", "tool_use_id": call, "is_error": failed}
    return {"type": "user", "message": {"content": [part]}}


def denied(tool, call):
    """A result of claude with a denied tool call."""
    return DONE | {"permission_denials": [{"tool_name": tool, "tool_use_id": call}]}


def asks(tool, call):
    """claude asks whether it may use a tool."""
    request = {"subtype": "can_use_tool", "tool_name": tool, "tool_use_id": call}
    return {"type": "control_request", "request_id": "q1", "request": request}


def part(kind, served=False, **fields):
    """A part of an opencode message, of `run` or of `serve`."""
    if served:
        body = {"type": kind.replace("_", "-"), **fields}
        return {"type": "message.part.updated", "properties": {"sessionID": "s", "part": body}}
    return {"type": kind, "sessionID": "s", "timestamp": NOW * 1000, "part": fields}


FINAL = (
    part("text", messageID="m", text=ANSWER),
    part("step_finish", messageID="m", reason="stop"),
)
SERVED = (
    part("text", served=True, messageID="m", text=ANSWER),
    part("step_finish", served=True, messageID="m", reason="stop"),
)
IDLE = {"type": "session.idle", "properties": {"sessionID": "s"}}
REJECTED = part(
    "tool_use",
    tool="bash",
    state={"status": "error", "error": "The user rejected permission to use this tool."},
)
USED = part("tool_use", tool="bash", state={"status": "completed"})


@pytest.mark.parametrize(
    ("cli", "events"),
    [
        ("claude", [INIT, {"type": "system", "subtype": "api_retry", "error_status": 529}, DONE]),
        ("claude", [INIT, {**SAYS, "error": "server_error"}, DONE]),
        ("claude", [INIT, ABORTED, INIT, SAYS, DONE]),
        ("codex", [RECONNECTS, {"type": "turn.failed", "error": {}}, {"type": "turn.started"}]),
        ("opencode", [{"type": "error", "sessionID": "s", "error": {"name": "APIError"}}, *FINAL]),
    ],
)
def test_an_error_that_the_agent_recovered_from_is_no_failure(cli, events):
    after = {
        "codex": [
            {"type": "item.completed", "item": {"type": "agent_message", "text": ANSWER}},
            {"type": "turn.completed"},
        ]
    }
    assert judged(cli, *events, *after.get(cli, [])).ok


@pytest.mark.parametrize(
    ("cli", "events"),
    [
        ("claude", [INIT, DONE, SAYS]),
        ("claude", [INIT, DONE, INIT]),
        ("qwen", [DONE, SAYS]),
        ("opencode", [*SERVED]),
        ("opencode", [*FINAL, part("step_start")]),
    ],
)
def test_a_run_that_went_on_after_its_last_answer_did_not_finish(cli, events):
    assert judged(cli, *events).error == "agent_crashed"


@pytest.mark.parametrize(
    ("cli", "events", "error"),
    [
        ("claude", [INIT, calls("Bash", "1"), gives("1", failed=True), denied("Bash", "1")], True),
        (
            "claude",
            [
                calls("Bash", "1"),
                gives("1", True),
                calls("Read", "2"),
                gives("2"),
                denied("Bash", "1"),
            ],
            True,
        ),
        (
            "claude",
            [
                calls("Bash", "1"),
                gives("1", True),
                calls("Bash", "2"),
                gives("2"),
                denied("Bash", "1"),
            ],
            False,
        ),
        (
            "claude",
            [{"type": "system", "subtype": "permission_denied", "tool_name": "B"}, DONE],
            True,
        ),
        ("qwen", [denied("Bash", "1")], True),
        ("opencode", [REJECTED, part("step_finish", reason="tool-calls")], True),
        ("opencode", [REJECTED, *FINAL], True),
        ("opencode", [REJECTED, USED, *FINAL], False),
        (
            "codex",
            [
                {"type": "item.completed", "item": {"type": "file_change", "status": "declined"}},
                {"type": "item.completed", "item": {"type": "agent_message", "text": ANSWER}},
                {"type": "turn.completed"},
            ],
            True,
        ),
    ],
)
def test_a_denied_permission_matters_unless_the_tool_was_used_later(cli, events, error):
    assert judged(cli, *events).error == ("permission_denied" if error else None)


def test_what_a_person_refused_is_no_failure_of_the_agent():
    answered = {"orch_sent": {"type": "control_response", "response": {"request_id": "q1"}}}
    events = [INIT, calls("Bash", "1"), asks("Bash", "1"), answered, gives("1", failed=True)]
    assert judged("claude", *events, denied("Bash", "1")).ok


DECLINED = {"type": "commandExecution", "id": "c1", "status": "declined"}
CODEX = (
    [{"method": "turn/started", "params": {}},
     {"method": "item/commandExecution/requestApproval", "id": 0, "params": {"itemId": "c1"}}],
    [{"method": "item/completed", "params": {"item": DECLINED}},
     {"method": "item/completed", "params": {"item": {"type": "agentMessage", "text": ANSWER}}},
     {"method": "turn/completed", "params": {"turn": {"status": "completed"}}}],
)  # fmt: skip
OPENCODE = (
    [{"type": "permission.asked", "properties": {
        "id": "0", "sessionID": "s", "permission": "bash", "tool": {"callID": "c1"}}}],
    [part("tool", served=True, tool="bash", callID="c1", state=REJECTED["part"]["state"]),
     {"type": "permission.replied", "properties": {"requestID": "0"}}, *SERVED, IDLE],
)  # fmt: skip


@pytest.mark.parametrize(("cli", "run"), [("codex", CODEX), ("opencode", OPENCODE)])
@pytest.mark.parametrize(
    ("decided", "ok"),
    [
        ([], False),  # a rule said no
        ([{"orch_decided": {"question": "0", "allowed": False}}], True),
        ([{"orch_decided": {"question": "1", "allowed": False}}], False),
        ([{"orch_decided": {"question": "0", "allowed": True}}], False),
        ([{"orch_decided": 3}, {"orch_decided": {"allowed": False}}], False),
    ],
)
def test_a_person_s_no_is_told_from_a_rule_s(cli, run, decided, ok):
    asked, rest = run
    found = judged(cli, *asked, *decided, *rest)
    assert (found.ok, found.error) == (ok, None if ok else "permission_denied")


@pytest.mark.parametrize(
    ("before", "error"),
    [
        ([], "agent_crashed"),
        ([{"type": "control_response", "response": {"request_id": "r1"}}], "cancelled"),
        (
            [{"orch_sent": {"type": "control_request", "request": {"subtype": "interrupt"}}}],
            "cancelled",
        ),
    ],
)
def test_an_interrupt_is_a_persons_only_if_one_was_asked_for(before, error):
    verdict = judged("claude", INIT, *before, ABORTED, code=1)
    assert verdict.error == error
    assert ("a person" in verdict.message) is (error == "cancelled")


@pytest.mark.parametrize(
    ("cli", "question"),
    [
        ("claude", asks("Bash", "1")),
        (
            "codex",
            {
                "id": 7,
                "method": "item/commandExecution/requestApproval",
                "params": {"command": "Bash"},
            },
        ),
        ("opencode", {"type": "permission.asked", "properties": {"id": "p", "permission": "Bash"}}),
    ],
)
def test_a_time_limit_while_it_asked_somebody_is_told_as_such(cli, question):
    verdict = judged(cli, question, code=None, ended_by="timeout")
    assert verdict.error == "waiting_for_input"
    assert "Bash" in verdict.message


@pytest.mark.parametrize("text", ["API Error: Request rejected (429) · x", "You've hit your limit"])
@pytest.mark.parametrize("status", [429, None])
def test_a_rejected_rate_limit_event_states_the_reset(text, status):
    failed = DONE | {"is_error": True, "api_error_status": status, "result": text}
    verdict = judged("claude", {"type": "rate_limit_event", "rate_limit_info": LIMITED}, failed)
    assert (verdict.error, verdict.retry_at) == (
        ("usage_limit", 1795354297.0) if status or text.startswith("You") else ("rate_limit", None)
    )


@pytest.mark.parametrize(
    ("kind", "whole"),
    [("five_hour", True), ("seven_day", True), ("seven_day_opus", False), (None, False)],
)
def test_a_limit_is_the_accounts_where_claude_says_so(kind, whole):
    event = {"type": "rate_limit_event", "rate_limit_info": LIMITED | {"rateLimitType": kind}}
    for status in (429, None):
        told = {"is_error": True, "api_error_status": status, "result": "You've hit your limit"}
        assert judged("claude", event, DONE | told).whole_account is whole
    refused = {"is_error": True, "api_error_status": 401, "result": "Invalid API key"}
    assert judged("claude", event, DONE | refused).whole_account is False
    retries = {"type": "system", "subtype": "api_retry", "error_status": 429, "attempt": 1}
    assert judged("claude", event, retries, code=1).whole_account is whole


def test_a_warning_of_a_limit_is_none():
    warned = {
        "type": "rate_limit_event",
        "rate_limit_info": LIMITED | {"status": "allowed_warning"},
    }
    failed = DONE | {"is_error": True, "api_error_status": 429, "result": "API Error: x"}
    assert judged("claude", warned, DONE).ok
    assert judged("claude", warned, failed, code=1).error == "rate_limit"


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([RECONNECTS], "network"),
        ([RECONNECTS, WARNS], "network"),
        ([RECONNECTS, WORKS], "agent_crashed"),
    ],
)
def test_codex_that_ends_without_a_word_failed_for_what_it_last_retried(events, error):
    assert judged("codex", {"type": "turn.started"}, *events, code=1).error == error


@pytest.mark.parametrize(("second", "error"), [("49", "overloaded"), ("48", "timeout")])
def test_a_logged_failure_of_opencode_counts_only_if_nothing_came_after_it(second, error):
    log = f'timestamp=2026-11-22T10:41:{second}.500Z level=ERROR x error.error="AI_X: Overloaded"'
    assert judged("opencode", part("step_start"), code=124, err=log).error == error


def test_gemini_that_worked_in_between_did_not_end_for_its_first_retry():
    err = "Attempt 1 failed with status 429. Retrying with backoff... _ApiError: x"
    tool = {"type": "tool_use", "tool_name": "t"}
    assert judged("gemini", {"type": "init"}, code=124, err=err).error == "rate_limit"
    assert judged("gemini", tool, code=124, err=err).error == "timeout"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("Attempt 3 failed with status 503. Retrying with backoff... _ApiError: x", "overloaded"),
        ("Attempt 1 failed: Resource exhausted. Later.. Retrying after 5948ms...", "rate_limit"),
        ("Attempt 2 failed. Retrying with backoff... Error: exception TypeError: fetch failed",
         "network"),
    ],
)  # fmt: skip
def test_gemini_says_in_three_ways_that_it_tries_again(line, error):
    err = f"{line}\n    at somewhere\n"
    assert judged("gemini", {"type": "init"}, code=124, err=err).error == error


def test_geminis_thoughts_are_output():
    stats = {"input_tokens": 100, "cached": 60, "output_tokens": 20, "total_tokens": 125}
    used = judged("gemini", {"type": "result", "status": "success", "stats": stats}).usage
    assert (used.input_tokens, used.cache_read_tokens, used.output_tokens) == (40, 60, 25)


def test_the_prompt_is_not_taken_for_the_answer():
    role = {"type": "message.updated", "properties": {"info": {"id": "m", "role": "user"}}}
    assert judged("opencode", role, *SERVED, IDLE).error == "invalid_response"
    assert judged("opencode", *SERVED, IDLE).ok


def test_the_structured_output_is_the_answer():
    verdict = judged(
        "claude", DONE | {"result": "see there", "structured_output": json.loads(BLOCKED)}
    )
    assert verdict.answer.status == "blocked"


@pytest.mark.parametrize(("code", "signal"), [(-15, 15), (143, 15), (137, 9), (129, 1)])
def test_an_exit_code_may_stand_for_a_signal(code, signal):
    verdict = judged("codex", RECONNECTS, code=code)
    assert verdict.error == "agent_crashed"
    assert f"signal {signal}" in verdict.message


@pytest.mark.parametrize(("said", "error"), [(ANSWER, "agent_failed"), (BLOCKED, None)])
def test_done_is_believed_only_of_an_agent_that_ended_well(said, error):
    assert judged("claude", DONE | {"result": said}, code=3).error == error


def test_only_a_limit_has_a_time_to_try_again():
    message = "stream disconnected before completion: try again in 5s"
    failed = {"type": "turn.failed", "error": {"message": message}}
    assert judged("codex", failed, code=1).retry_at is None
    data = {"message": "x", "statusCode": 401, "responseHeaders": {"retry-after": "9"}}
    refused = {"type": "error", "sessionID": "s", "error": {"name": "APIError", "data": data}}
    assert judged("opencode", refused, code=1).retry_at is None


def test_a_run_that_had_begun_was_not_launched_wrongly():
    err = "error: unknown option '--x'"
    assert judged("claude", INIT, code=1, err=err).error == "agent_crashed"
    assert judged("claude", code=1, err=err).error == "launch_failed"


def test_opencode_that_retries_without_money_until_the_time_limit_has_a_billing_failure():
    told = "You exceeded your current quota, please check your plan"
    status = {"type": "retry", "message": told, "next": NOW * 1000}
    event = {"type": "session.status", "properties": {"sessionID": "s", "status": status}}
    log = f'timestamp=2026-11-22T10:41:49.500Z level=ERROR x error.error="AI_X: {told}"'
    assert judged("opencode", event, code=None, ended_by="timeout").error == "billing"
    assert judged("opencode", part("step_start"), code=124, err=log).error == "billing"


def test_claude_that_ends_between_its_last_retry_and_its_result_failed_for_what_it_retried():
    retry = {"type": "system", "subtype": "api_retry", "error_status": 529, "error": "overloaded"}
    told = {"type": "assistant", "message": {"model": "<synthetic>"}, "error": "server_error"}
    assert judged("claude", INIT, retry, told, code=1).error == "overloaded"
    assert judged("claude", INIT, retry, SAYS, code=1).error == "agent_crashed"


@pytest.mark.parametrize(
    ("message", "ahead", "error", "stated"),
    [
        ("Rate limit reached", 5.0, "rate_limit", False),
        ("Rate limit reached", 7200.0, "rate_limit", True),
        ('{"message": "Slow down.", "code": "rate_limit_exceeded"}', 5.0, "rate_limit", False),
        ('{"message": "half of it', 5.0, "overloaded", False),
    ],
)
def test_opencodes_own_pause_is_not_what_the_vendor_stated(message, ahead, error, stated):
    status = {"type": "retry", "attempt": 2, "message": message, "next": (NOW + ahead) * 1000}
    event = {"type": "session.status", "properties": {"sessionID": "s", "status": status}}
    verdict = READERS["opencode"](json.dumps(event).encode(), b"", None, now=NOW)
    assert (verdict.error, verdict.retry_at is not None) == (error, stated)
