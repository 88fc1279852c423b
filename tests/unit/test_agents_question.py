"""How each agent is asked one question, and how its reply is read."""

import json

import pytest

from orch.agents.contract import AgentSpec
from orch.agents.question import Question, asking, heard
from orch.errors import ConfigError, Refused
from orch.model import ErrorClass

NOW = 1795344109.0


def plan(protocol, *command, env=None, **more):
    spec = AgentSpec(protocol=protocol, command=command, env=env or {})
    return asking("a", spec, Question(text="Who?", folder="/q/1", run="h:engine:1", **more))


@pytest.mark.parametrize("protocol, has, lacks", [
    ("claude", ("-p --output-format stream-json", "--tools  --strict"), ("skip-perm",)),
    ("codex", ("exec --json", "--sandbox read-only", "--disable shell_tool", "--model m -"), ()),
    ("opencode", ("run --format json", "--model m"), ("--auto",)),
])  # fmt: skip
def test_a_question_needs_no_tools(protocol, has, lacks):
    asked = plan(protocol, model="m")
    line = " ".join(asked.argv)
    assert all(part in line for part in has), line
    assert not any(part in line for part in lacks), line
    assert asked.stdin == b"Who?"
    assert asked.env["ORCH_RUN"] == "h:engine:1"
    assert (asked.folder, asked.cwd) == ("/q/1", "/q/1")


def test_who_looks_gets_what_reads_and_nothing_that_writes():
    assert "Read,Glob,Grep" in plan("claude", looks=True).argv
    assert "shell_tool" not in plan("codex", looks=True).argv
    assert plan("codex", looks=True, where="/repo").cwd == "/repo"
    looking = json.loads(plan("opencode", looks=True).env["OPENCODE_PERMISSION"])
    blind = json.loads(plan("opencode").env["OPENCODE_PERMISSION"])
    assert {looking["edit"], looking["bash"], blind["read"]} == {"deny"}
    assert "read" not in looking


def test_a_system_prompt_is_told_as_each_can_take_it():
    claude = plan("claude", system="Be brief.")
    assert claude.files == {"prompt-sys.md": "Be brief."}
    assert claude.argv[-1] == "/q/1/prompt-sys.md"
    assert plan("codex", system="Be brief.").stdin == b"Be brief.\nWho?"


def test_any_program_is_asked_by_its_files_and_its_stdin():
    asked = plan("command", "ask", "{prompt_file}", "--model", "{model}", env={"K": "v"})
    assert asked.argv == ("ask", "/q/1/prompt-msg.md")
    assert asked.files["prompt-msg.md"] == "Who?"
    assert asked.stdin == b"Who?"
    assert asked.env["ORCH_QUESTION"] == "1"
    assert asked.env["K"] == "v"


@pytest.mark.parametrize("protocol, error", [
    ("shell", Refused), ("terminal", Refused), ("command", ConfigError),
])  # fmt: skip
def test_who_cannot_be_asked_says_so(protocol, error):
    with pytest.raises(error, match="a"):
        plan(protocol)


@pytest.mark.parametrize("out, err, code, output, text, error", [
    (b"\x1b[1mhello\x1b[0m\n", b"", 0, "", "hello", None),
    (b"noise", b"", 0, '{"a": 1}', '{"a": 1}', None),
    (b"", b"", 0, "", "", ErrorClass.INVALID_RESPONSE),
    (b"half", b"no key\n", 3, "", "", ErrorClass.AGENT_FAILED),
    (b"\xff\xfe", b"", 0, "", "��", None),
])  # fmt: skip
def test_what_any_program_replies(out, err, code, output, text, error):
    reply = heard(plan("command", "x"), out, err, code, now=NOW, output=output)
    assert (reply.text, reply.error) == (text, error)


def result(text, **more):
    body = {"type": "result", "subtype": "success", "is_error": False, "result": text,
            "usage": {"input_tokens": 5, "output_tokens": 2}, **more}  # fmt: skip
    return json.dumps(body).encode()


LIMIT = "You've hit your session limit · resets 1:31pm (UTC)"


@pytest.mark.parametrize("out, code, text, error", [
    (result('{"executor": "codex"}'), 0, '{"executor": "codex"}', None),
    (result('{"status": "done"}'), 0, '{"status": "done"}', None),
    (result(LIMIT, is_error=True, api_error_status=429), 1, "", ErrorClass.USAGE_LIMIT),
    (b"", 1, "", ErrorClass.AGENT_FAILED),
    (b'{"type": "resu', 0, "", None),
])  # fmt: skip
def test_what_claude_replies_has_the_class_of_a_run(out, code, text, error):
    reply = heard(plan("claude"), out, b"", code, now=NOW)
    assert reply.text == text
    assert error is None or reply.error is error
    assert (reply.text == "") == (reply.error is not None)
    assert (reply.retry_at is not None) == (error is ErrorClass.USAGE_LIMIT)
