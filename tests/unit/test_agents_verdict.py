"""What a recorded run came to, and what plain text of a terminal is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orch import agents
from orch.model import ErrorClass

DONE = '{"status": "done", "summary": "by answer"}'
NO_PROGRAM = "cannot start x: no such program in PATH=/"
NO_FOLDER = "cannot work in /x: No such file or directory"
BROKEN = '```json\n{"status": "done", "summary": }\n```'
BLOCKED = '{"status": "blocked", "blockers": ["no key"]}'


def judged(protocol="command", tail="", output="", ended_by="exit", code=0, signal=None, said=""):
    """The verdict on a run."""
    ended = agents.Ended(ended_by=ended_by, exit_code=code, signal=signal, message=said)
    return agents.verdict(protocol, agents.Recorded(result=ended, tail=tail, output=output))


@pytest.mark.parametrize(
    "how, status, summary",
    [
        ({"tail": "working\nall is well\n\n  \n"}, "done", "all is well"),
        ({"tail": ""}, "done", ""),
        ({"tail": f"prose\n{DONE}\n"}, "done", "by answer"),
        ({"output": DONE, "tail": BLOCKED}, "done", "by answer"),
        ({"output": "  \n", "tail": "last line"}, "done", "last line"),
        ({"tail": BLOCKED}, "blocked", ""),
        ({"tail": BLOCKED, "code": 3}, "blocked", ""),
        ({"output": BLOCKED, "code": None, "signal": 6}, "blocked", ""),
        ({"protocol": "terminal", "tail": f"screen {BLOCKED}"}, "done", ""),
        ({"protocol": "terminal", "output": BLOCKED}, "blocked", ""),
        ({"protocol": "shell", "tail": f"curl says {BLOCKED}\n== 2 steps done"}, "done", None),
        ({"protocol": "shell", "output": BLOCKED}, "blocked", ""),
        ({"tail": "HTTP 429 and 401 Unauthorized were fixed"}, "done", None),
    ],
)
def test_a_run_that_ended_well_has_an_answer(how, status, summary):
    verdict = judged(**how)
    assert (verdict.ok, verdict.error) == (True, None)
    assert verdict.answer
    assert verdict.answer.status == status
    if summary is not None:
        assert verdict.answer.summary == summary


@pytest.mark.parametrize(
    "how, error, says",
    [
        ({"code": 3, "tail": "oops\n"}, ErrorClass.AGENT_FAILED, "exit code 3: oops"),
        ({"code": 1, "output": DONE}, ErrorClass.AGENT_FAILED, "exit code 1"),
        ({"code": 1, "tail": "429 401"}, ErrorClass.AGENT_FAILED, "exit code 1"),
        ({"code": None, "signal": 11}, ErrorClass.AGENT_CRASHED, "signal 11"),
        ({"ended_by": "timeout", "output": DONE}, ErrorClass.TIMEOUT, "time limit"),
        ({"ended_by": "timeout", "tail": BLOCKED}, ErrorClass.TIMEOUT, "time limit"),
        ({"ended_by": "cancelled", "said": "by hand"}, ErrorClass.CANCELLED, "by hand"),
        ({"ended_by": "hangup"}, ErrorClass.LOST, "lost"),
        (
            {"ended_by": "launch_failed", "said": NO_PROGRAM},
            ErrorClass.MISSING_TOOL,
            "no such program",
        ),
        (
            {"ended_by": "launch_failed", "said": NO_FOLDER},
            ErrorClass.LAUNCH_FAILED,
            "cannot work in /x",
        ),
        ({"output": "I am done"}, ErrorClass.INVALID_RESPONSE, "no JSON: .*\nI am done"),
        ({"output": '{"status": "finished"}'}, ErrorClass.INVALID_RESPONSE, "finished"),
        ({"output": "{}", "protocol": "shell"}, ErrorClass.INVALID_RESPONSE, "no status"),
        ({"tail": BROKEN}, ErrorClass.INVALID_RESPONSE, "no JSON"),
    ],
)
def test_a_run_that_failed_is_never_done(how, error, says):
    verdict = judged(**how)
    assert (verdict.ok, verdict.error) == (False, error)
    assert re.search(says, verdict.message)


def test_an_answer_of_a_failed_run_is_kept_beside_the_error():
    verdict = judged(code=1, output=DONE)
    assert verdict.answer
    assert verdict.answer.summary == "by answer"


@pytest.mark.parametrize(
    "text, plain",
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "alink"),
        ("\x1bPq#0;2;0\x1b\\picture", "picture"),
        ("\x1b(B\x1b=\x1b[?1049h\x1b[2Jx\x1b7\x1b8", "x"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("abc\b\bXY", "aXY"),
        ("\b\bx", "x"),
        ("tab\tstays\x00\x07", "tab\tstays"),
        ("cut \x1b[3", "cut "),
        ("cut \x1b", "cut "),
        ("cut \x1b]0;tit", "cut "),
        ("zażółć 😀", "zażółć 😀"),
    ],
)
def test_terminal_output_becomes_plain_text(text, plain):
    assert agents.strip_ansi(text) == plain


def test_a_long_last_line_is_shortened():
    assert agents.last_line("x" * 1000) == "x" * 399 + "…"


HALF_PAST_ONE = {
    "claude": {"type": "result", "subtype": "success", "is_error": True,
               "result": "You've hit your session limit · resets 1:31pm"},
    "codex": {"type": "turn.failed",
              "error": {"message": "You've hit your usage limit. Try again at 1:31 PM."}},
    "opencode": {"type": "session.error", "properties": {"error": {"name": "APIError", "data": {
        "statusCode": 429, "isRetryable": False, "message": "Rate limit. Try again at 1:31 PM."}}}},
}  # fmt: skip


@pytest.mark.parametrize("protocol", HALF_PAST_ONE)
def test_a_clock_time_is_meant_in_the_zone_of_the_machine(protocol):
    now = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    recorded = agents.Recorded(
        result=agents.Ended(ended_by="exit", exit_code=1, ended_at=now.timestamp()),
        events=(json.dumps(HALF_PAST_ONE[protocol]).encode(),),
        zone=ZoneInfo("Asia/Tokyo"),
    )
    found = agents.verdict(protocol, recorded)
    assert found.retry_at is not None
    assert datetime.fromtimestamp(found.retry_at, UTC).strftime("%d %H:%M") == "22 04:31"
