"""The table of failures: what each CLI's own words and fields mean, and what does not matter."""

from __future__ import annotations

import json
from datetime import UTC

import pytest

from orch.agents import claude_run, codex_run, gemini_run, opencode_run, qwen_run
from orch.agents.runs import READERS

NOW = 1795344109.0
ANSWER = '```json\n{"status": "done", "summary": "ok"}\n```'
LIMITED = {"status": "rejected", "resetsAt": 1795354297, "rateLimitType": "five_hour"}


def lines(*events):
    """The events as a CLI writes them."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def claude(said, *before, code=1, **fields):
    """The verdict on a run of claude with this result, after the events `before`."""
    result = {"type": "result", "subtype": "success", "is_error": code != 0, "result": said}
    out = lines({"type": "system", "subtype": "init", "session_id": "s"}, *before, result | fields)
    return claude_run.verdict(out, b"", code, now=NOW, zone=UTC)


def error_of(word):
    """claude's own message about a failed request."""
    return {"type": "assistant", "message": {"model": "<synthetic>"}, "error": word}


SPENT = (
    "API Error: 400 You have reached your specified API usage limits. You will regain access on "
    "2026-12-01 at 00:00 UTC."
)
CUT = "API Error: Claude's response exceeded the 32000 output token maximum. To configure"
POLICY = (
    "API Error: Claude Code is unable to respond to this request, which appears to violate our "
    "Usage Policy (https://www.anthropic.com/legal/aup)."
)


@pytest.mark.parametrize(
    ("said", "fields", "before", "error", "retry_at"),
    [
        (
            "You've hit your session limit · resets 1:31pm (UTC)",
            {"api_error_status": 429},
            [{"type": "rate_limit_event", "rate_limit_info": LIMITED}, error_of("rate_limit")],
            "usage_limit",
            1795354297.0,
        ),
        (
            "You’ve hit your weekly limit · resets Nov 25 at 5am (UTC)",
            {"api_error_status": 429},
            [],
            "usage_limit",
            1795582800.0,
        ),
        (
            "Credit balance is too low",
            {"api_error_status": 400},
            [error_of("billing_error")],
            "billing",
            None,
        ),
        (SPENT, {"api_error_status": 400}, [error_of("invalid_request")], "billing", 1796083200.0),
        (CUT, {}, [error_of("max_output_tokens")], "output_limit", None),
        (CUT, {}, [], "output_limit", None),
        (POLICY, {"stop_reason": "refusal"}, [], "refusal", None),
        (None, {"subtype": "error_max_turns", "errors": ["Reached 2"]}, [], "turn_limit", None),
        (None, {"subtype": "error_max_budget_usd"}, [], "budget", None),
        (None, {"subtype": "error_during_execution"}, [], "agent_failed", None),
        ("API Error: 529 Overloaded.", {}, [error_of("server_error")], "overloaded", None),
        ("something new", {"api_error_status": 500}, [], "overloaded", None),
        ("something new", {"api_error_status": 418}, [], "agent_failed", None),
        ("something new", {}, [], "agent_failed", None),
    ],
)
def test_claude_says_why_it_failed(said, fields, before, error, retry_at):
    verdict = claude(said, *before, **fields)
    assert (verdict.error, verdict.retry_at) == (error, retry_at)


@pytest.mark.parametrize(
    ("message", "error", "retry_at"),
    [
        ("You've hit your usage limit. Try again at 1:31 PM.", "usage_limit", 1795354260.0),
        ("Quota exceeded. Check your plan and billing details.", "billing", None),
        ('{"error": {"message": "no", "code": "billing_hard_limit_reached"}}', "billing", None),
        ("Incomplete response returned, reason: max_output_tokens", "output_limit", None),
        ("Incomplete response returned, reason: content_filter", "refusal", None),
        ("unexpected status 413 Payload Too Large: x, url: y", "context_overflow", None),
        ("unexpected status 418 I'm a teapot: x", "agent_failed", None),
        ("stream disconnected before completion: HTTP 429 was on page 401", "network", None),
    ],
)
def test_codex_says_why_it_failed(message, error, retry_at):
    out = lines({"type": "turn.started"}, {"type": "turn.failed", "error": {"message": message}})
    verdict = codex_run.verdict(out, b"", 1, now=NOW, zone=UTC)
    assert (verdict.error, verdict.retry_at) == (error, retry_at)


@pytest.mark.parametrize(
    ("info", "message", "error"),
    [
        ("contextWindowExceeded", "x", "context_overflow"),
        ("modelNotFound", "x", "model_unavailable"),
        ("unauthorized", "x", "auth"),
        ("usageLimitExceeded", "Quota exceeded. Check your plan", "billing"),
        ({"httpConnectionFailed": {"httpStatusCode": None}}, "x", "network"),
        ({"httpConnectionFailed": {"httpStatusCode": 503}}, "x", "overloaded"),
        ("somethingNew", "The model `m` does not exist", "model_unavailable"),
        (7, "x", "agent_failed"),
    ],
)
def test_the_app_server_names_the_error_in_a_field(info, message, error):
    turn = {"status": "failed", "error": {"message": message, "codexErrorInfo": info}}
    out = lines({"method": "turn/completed", "params": {"turn": turn}})
    assert codex_run.verdict(out, b"", None, now=NOW).error == error


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("APIError", {"message": "You exceeded your current quota", "statusCode": 400}, "billing"),
        ("APIError", {"message": "You exceeded your current quota", "statusCode": 429}, "billing"),
        ("APIError", {"message": "x", "statusCode": 429}, "rate_limit"),
        ("APIError", {"message": "x", "statusCode": 404}, "model_unavailable"),
        ("APIError", {"responseBody": '{"error": {"type": "overloaded_error"}}'}, "overloaded"),
        ("APIError", {"responseBody": '{"error": {"code": "insufficient_quota"}}'}, "billing"),
        (
            "APIError",
            {"statusCode": 429, "responseBody": '{"error": {"type": "usage_limit_reached"}}'},
            "usage_limit",
        ),
        ("ProviderAuthError", {}, "auth"),
        ("MessageOutputLengthError", {}, "output_limit"),
        ("UnknownError", {"message": "JSON parsing failed: Text: {"}, "network"),
        ("UnknownError", {"message": "Unexpected server error. Check logs"}, "model_unavailable"),
        ("UnknownError", {"message": "page 401 says 429"}, "agent_failed"),
    ],
)
def test_opencode_names_the_error_in_fields(name, data, error):
    out = lines({"type": "error", "sessionID": "s", "error": {"name": name, "data": data}})
    assert opencode_run.verdict(out, b"", 1, now=NOW).error == error


@pytest.mark.parametrize(
    ("reason", "text", "error"),
    [
        ("length", "half an ans", "output_limit"),
        ("content-filter", "", "refusal"),
        ("stop", "no object", "invalid_response"),
        ("length", ANSWER, None),
        ("stop", ANSWER, None),
        ("tool-calls", ANSWER, "agent_crashed"),
    ],
)
def test_opencode_ends_its_last_step_for_a_reason(reason, text, error):
    out = lines(
        {"type": "text", "sessionID": "s", "part": {"messageID": "m", "text": text}},
        {"type": "step_finish", "sessionID": "s", "part": {"messageID": "m", "reason": reason}},
    )
    assert opencode_run.verdict(out, b"", 0, now=NOW).error == error


@pytest.mark.parametrize(
    ("result", "error"),
    [
        ("[API Error: 429 You exceeded your current quota, check your plan]", "billing"),
        ("[API Error: 429 Rate limit reached for m. Please try again in 2s.]", "rate_limit"),
        ("[API Error: 503 x]", "overloaded"),
        ("[API Error: Connection error.]", "network"),
        ("[API Error: what is that?]", "agent_failed"),
        ("[API Error: 429 Rate limit reached]\nPlease wait and try again later.", "rate_limit"),
        ("[API Error: Unexpected token 'o', \"{no\" is not valid JSON]", "network"),
        ("[API Error: Model stream ended with empty response text.]", "invalid_response"),
        ("It beg[API Error: terminated (cause: other side closed)]", "network"),
        ("It beg\n[API Error: 401 x]\nand so on, as [asked]", "invalid_response"),
        (f"{ANSWER}\n[API Error: terminated]", None),
        (f"I wrote about [API Error: 401 x]\n{ANSWER}", None),
    ],
)
def test_qwen_hides_its_errors_in_the_result(result, error):
    out = lines({"type": "result", "subtype": "success", "is_error": False, "result": result})
    assert qwen_run.verdict(out, b"", 0, now=NOW).error == error


def test_qwen_without_a_login_says_so_in_its_result():
    error = {"message": "No auth type is selected. Please configure an auth type."}
    out = lines({"type": "result", "subtype": "error_x", "is_error": True, "error": error})
    assert qwen_run.verdict(out, b"", 1, now=NOW).error == "auth"


@pytest.mark.parametrize(
    ("message", "code", "error", "told"),
    [
        ("[API Error: terminated]", 1, "network", "terminated"),
        ("[API Error: exception TypeError: fetch failed sending request]", 1, "network",
         "fetch failed sending request"),
        ("[API Error: Incomplete JSON segment at the end]", 1, "network", None),
        ("[API Error: models/m is not found for this version.]", 1, "model_unavailable", None),
        ("[API Error: Resource exhausted. Try later.]\nYou may wait.", 173, "rate_limit",
         "Resource exhausted. Try later."),
        ('[API Error: {"error":{"code":400,"message":"API key not valid.","details":[{}]}}]', 144,
         "auth", "API key not valid."),
        ("[API Error: who knows]", 247, "overloaded", "who knows"),
        ("[API Error: who knows]", 1, "agent_failed", "who knows"),
        ("Reached max session turns for this session.", 53, "turn_limit", None),
    ],
)  # fmt: skip
def test_gemini_tells_in_its_result_why_a_request_failed(message, code, error, told):
    failed = {"type": "result", "status": "error", "error": {"type": "x", "message": message}}
    verdict = gemini_run.verdict(lines({"type": "init"}, failed), b"", code, now=NOW)
    assert (verdict.error, verdict.message) == (error, told or verdict.message)


def test_gemini_states_when_its_quota_is_there_again():
    message = "[API Error: Resource exhausted.\nSuggested retry after 10800s.]\nPlease wait."
    failed = {"type": "result", "status": "error", "error": {"message": message}}
    assert gemini_run.verdict(lines(failed), b"", 173, now=NOW).retry_at == NOW + 10800


@pytest.mark.parametrize(
    ("said", "error"),
    [("The model returned an empty response.", "invalid_response"), ("Odd.", "agent_failed")],
)
def test_gemini_may_tell_before_its_result_why_that_is_bad(said, error):
    out = lines({"type": "error", "message": said}, {"type": "result", "status": "error"})
    verdict = gemini_run.verdict(out, b"", 0, now=NOW)
    assert (verdict.error, verdict.message) == (error, said)


@pytest.mark.parametrize(
    ("code", "error"),
    [(41, "auth"), (42, "launch_failed"), (53, "turn_limit"), (145, "auth"), (173, "rate_limit")],
)
def test_gemini_tells_by_its_exit_code(code, error):
    assert gemini_run.verdict(b"", b"Something went wrong\n", code, now=NOW).error == error


def test_gemini_without_a_key_is_quoted_with_what_is_missing():
    err = b"When using Gemini API, you must specify GEMINI_API_KEY.\nUpdate your environment!\n"
    verdict = gemini_run.verdict(b"", err, 41, now=NOW)
    assert verdict.error == "auth"
    assert "GEMINI_API_KEY" in verdict.message


@pytest.mark.parametrize(
    ("cli", "line", "code"),
    [
        ("claude", "error: unknown option '--x'", 1),
        ("claude", "No conversation found with session ID: 1", 1),
        ("claude", "--dangerously-skip-permissions cannot be used with root/sudo privileges", 1),
        ("codex", "error: unexpected argument '--x' found", 2),
        ("codex", "Not inside a trusted directory and --skip-git-repo-check was not given.", 1),
        ("opencode", "\x1b[91m\x1b[1mError: \x1b[0mSession not found", 1),
        ("gemini", "Unknown argument: x", 1),
        ("qwen", "Unknown argument: x", 1),
    ],
)
def test_a_cli_that_does_not_start_was_launched_wrongly(cli, line, code):
    verdict = READERS[cli](b"", f"{line}\n\nUsage: …\n".encode(), code, now=NOW)
    assert verdict.error == "launch_failed"


@pytest.mark.parametrize("cli", READERS)
def test_numbers_in_what_an_agent_says_or_prints_mean_nothing(cli):
    said = f"HTTP 429 and 401 Unauthorized are handled; rate limit exceeded, too. {ANSWER}"
    noise = b"Error: 429 Too Many Requests in my test\n401 Unauthorized\n"
    assert READERS[cli](finished(cli, said), noise, 0, now=NOW).error is None


@pytest.mark.parametrize(
    ("said", "ok"),
    [
        (ANSWER, True),
        ('{"status":"done"}', True),
        ("I am done: " + '{"status": "done", "summary": "x"} and that is all', True),
        (json.dumps({"result": '{"status": "blocked", "reason": "x"}'}), True),
        (json.dumps({"answer": {"status": "needs_review"}}), True),
        ("all done", False),
        ('{"status": "finished"}', False),
        ('```json\n{"status": "done", "summary": }\n```', False),
        ("", False),
    ],
)
@pytest.mark.parametrize("cli", READERS)
def test_a_run_without_a_readable_answer_is_never_ok(cli, said, ok):
    verdict = READERS[cli](finished(cli, said), b"", 0, now=NOW)
    assert (verdict.ok, verdict.error) == (ok, None if ok else "invalid_response")
    assert said.strip() in verdict.message or ok


def finished(cli, said):
    """The output of a run that ended well with these last words."""
    if cli == "codex":
        item = {"type": "agent_message", "text": said}
        return lines({"type": "item.completed", "item": item}, {"type": "turn.completed"})
    if cli == "opencode":
        part = {"messageID": "m", "reason": "stop", "text": said}
        return lines(
            {"type": "text", "sessionID": "s", "part": part},
            {"type": "step_finish", "sessionID": "s", "part": part},
        )
    if cli == "gemini":
        return lines(
            {"type": "message", "role": "assistant", "content": said},
            {"type": "result", "status": "success"},
        )
    return lines({"type": "result", "subtype": "success", "is_error": False, "result": said})
