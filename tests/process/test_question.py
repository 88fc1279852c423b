"""An agent is asked once: bounded in time, nothing left behind, a failure has its class."""

from __future__ import annotations

import sys

import pytest

from orch.agents.contract import AgentSpec
from orch.agents.question import Question, asking
from orch.model import ErrorClass
from orch.tools.process import marked
from orch.tools.question import ask

LINGERING = """\
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True,
                 stdin=-3, stdout=-3, stderr=-3)
"""


def put(tmp_path, script: str, seconds: float = 30.0, text: str = "Who?"):
    spec = AgentSpec(protocol="command", command=(sys.executable, "-c", script))
    asked = Question(text=text, folder=str(tmp_path / "q"), run=f"{tmp_path}:engine:1")
    try:
        return ask(asking("a", spec, asked), seconds)
    finally:
        assert marked(f"{tmp_path}:engine:1") == []
        assert not (tmp_path / "q").exists()


@pytest.mark.parametrize("script", [
    "import sys; print(sys.stdin.read() + '!')",
    "import os; print(open(os.environ['ORCH_PROMPT_FILE']).read() + '!')",
    "import os; open(os.environ['ORCH_OUTPUT_FILE'], 'w').write('Who?!'); print('noise')",
])  # fmt: skip
def test_a_program_is_asked_and_replies(tmp_path, script):
    assert put(tmp_path, script).text == "Who?!"


def test_a_program_that_does_not_read_a_long_question_is_no_problem(tmp_path):
    assert put(tmp_path, "print('short')", text="x" * 1_000_000).text == "short"


def test_what_it_leaves_running_is_ended(tmp_path):
    assert put(tmp_path, LINGERING + "print('done')").text == "done"


def test_who_takes_too_long_is_ended_with_all_it_started(tmp_path):
    reply = put(tmp_path, LINGERING + "time.sleep(600)", seconds=1.0)
    assert (reply.error, reply.message) == (ErrorClass.TIMEOUT, "no reply within 1 s")


def test_a_missing_program_is_a_missing_tool(tmp_path):
    spec = AgentSpec(protocol="command", command=("no-such-program-here",))
    reply = ask(asking("a", spec, Question(text="?", folder=str(tmp_path / "q"))), 5.0)
    assert reply.error is ErrorClass.MISSING_TOOL
    assert "not installed" in reply.message


def test_what_a_late_cli_said_of_its_limit_is_heard(tmp_path):
    script = """\
import json, sys, time
print(json.dumps({"type": "system", "subtype": "init", "session_id": "s"}))
print(json.dumps({"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10,
                  "retry_delay_ms": 600000, "error_status": 429, "error": "rate_limit"}))
sys.stdout.flush()
time.sleep(600)
"""
    path = tmp_path / "claude"
    path.write_text(f"#!{sys.executable}\n{script}")
    path.chmod(0o755)
    spec = AgentSpec(protocol="claude", command=(str(path),))
    asked = Question(text="?", folder=str(tmp_path / "q"), run=f"{tmp_path}:engine:1")
    assert ask(asking("a", spec, asked), 1.0).error is ErrorClass.RATE_LIMIT
