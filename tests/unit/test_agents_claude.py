"""claude as an agent: how it is started, and its conversation, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orch import agents
from orch.agents import render, stream
from orch.agents.plain import strip_ansi
from orch.agents.stream import (
    Answered,
    Asked,
    Began,
    Edited,
    Failed,
    Finished,
    Heard,
    Limited,
    Noted,
    Retrying,
    Said,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    ToolPrinted,
    Unknown,
)


def work(**more: Any) -> agents.Work:
    return agents.Work(
        **{"task": "int-1", "attempt": 2, "folder": "/s/2", "worktree": "/w", "run": "r"} | more
    )


def plan(name: str = "claude", spec: dict[str, Any] | None = None, **more: Any) -> agents.Plan:
    given = agents.AgentSpec(**{"protocol": "claude", "command": (name,)} | (spec or {}))
    return agents.plan(name, given, work(**more))


def option(argv: tuple[str, ...], name: str) -> str:
    return argv[argv.index(name) + 1] if name in argv else ""


# ---- how it is started -----------------------------------------------------------------------


def test_it_is_started_to_speak_messages_both_ways_and_to_ask_us():
    found = plan()
    assert found.argv[:2] == ("claude", "-p")
    for name in ("--input-format", "--output-format"):
        assert option(found.argv, name) == "stream-json"
    assert option(found.argv, "--permission-prompt-tool") == "stdio"
    assert option(found.argv, "--append-system-prompt-file") == "/s/2/prompt-sys.md"
    assert "--replay-user-messages" in found.argv
    assert "--model" not in found.argv
    assert "--resume" not in found.argv
    assert (found.protocol, found.dialect, found.prompt) == (
        "structured",
        "claude",
        "prompt-msg.md",
    )


@pytest.mark.parametrize(
    ("mode", "means", "asks"),
    [("autonomous", "bypassPermissions", False), ("supervised", "default", True)],
)
def test_permissions_are_translated(mode, means, asks):
    allowed = agents.Permissions(
        mode=mode, allowed_tools=("WebFetch", "Bash(git *)"), disallowed_tools=("Bash(rm *)",)
    )
    found = plan(permissions=allowed)
    assert option(found.argv, "--permission-mode") == means
    assert option(found.argv, "--allowedTools") == "WebFetch,Bash(git *)"
    refused = option(found.argv, "--disallowedTools").split(",")
    assert {"Bash(rm *)", "EnterWorktree"} <= set(refused)
    assert ("AskUserQuestion" not in refused) is asks
    assert found.settings["permissions"] == mode


def test_model_and_session_are_passed_on():
    found = plan(model="opus", resume="5e55")
    assert (option(found.argv, "--model"), option(found.argv, "--resume")) == ("opus", "5e55")


def test_it_tells_nobody_and_updates_nothing_unless_configured_otherwise():
    env = plan(spec={"env": {"DISABLE_TELEMETRY": "0"}}).env
    assert env["DISABLE_AUTOUPDATER"] == env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert env["DISABLE_TELEMETRY"] == "0"
    assert "ORCH_OUTPUT_FILE" not in env, "its answer is its last message"
    assert env["ORCH_TASK"] == "int-1"


PERSON = {
    "ANTHROPIC_API_KEY": "a",
    "CLAUDE_CONFIG_DIR": "/c",
    "CLAUDE_CODE_OAUTH_TOKEN": "o",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "AWS_SECRET_ACCESS_KEY": "w",
    "OPENAI_API_KEY": "x",
    "GH_TOKEN": "g",
    "KIMI_API_KEY": "k",
    "MOONSHOT_API_KEY": "m",
    "MINIMAX_API_KEY": "n",
    "MY_AGENT_KEY": "y",
}


@pytest.mark.parametrize(
    ("command", "env", "gets"),
    [
        ("claude", {}, {"ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN"}),
        ("/opt/bin/claude", {"CLAUDE_CODE_USE_BEDROCK": "1"},
         {"ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN",
          "AWS_SECRET_ACCESS_KEY"}),
        ("kimi", {}, {"KIMI_API_KEY", "MOONSHOT_API_KEY"}),
        ("minimax", {}, {"MINIMAX_API_KEY"}),
        ("my-agent", {}, {"MY_AGENT_KEY"}),
    ],
)  # fmt: skip
def test_a_vendors_variables_go_to_its_own_program_alone(command, env, gets):
    found = plan(command, {"env": env})
    inherited = agents.environment(PERSON, found.env, found.passes)
    assert set(inherited) & set(PERSON) == gets


# ---- the conversation ------------------------------------------------------------------------


class Talk:
    """A conversation that has begun, and what claude would say in it."""

    def __init__(self, mode: str = "supervised") -> None:
        self.it = stream.conversation("claude", {"permissions": mode, "worktree": "/w"})
        self.it.begin("work", "u1")

    def hears(self, **message: Any) -> list[stream.Step]:
        return self.both(**message)[0]

    def both(self, **message: Any) -> tuple[list[stream.Step], list[Any]]:
        steps, back = self.it.feed(json.dumps(message).encode())
        return steps, [json.loads(line) for line in back.splitlines()]

    def init(self) -> list[stream.Step]:
        return self.hears(type="system", subtype="init", session_id="s1", model="opus")

    def echo(self, sent: str) -> list[stream.Step]:
        message = {"role": "user", "content": [{"type": "text", "text": "x"}]}
        return self.hears(type="user", message=message, uuid=sent, isReplay=True)

    def says(self, *content: dict[str, Any], at: str = "m1", **more: Any) -> list[stream.Step]:
        usage = {"input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 1}
        message = {"id": at, "content": list(content), "usage": usage}
        return self.hears(type="assistant", message=message, **more)

    def result(self, **more: Any) -> list[stream.Step]:
        given = {"subtype": "success", "is_error": False, "result": "bye", **more}
        return self.hears(type="result", session_id="s1", **given)

    def asks(self, tool: str = "Bash", **given: Any) -> tuple[list[stream.Step], list[Any]]:
        request = {"subtype": "can_use_tool", "tool_name": tool, "input": given}
        return self.both(type="control_request", request_id="q1", request=request)


def test_a_turn_from_its_beginning_to_its_end():
    talk = Talk()
    assert talk.it.state == "starting"
    assert talk.init() == [Began("s1", "opus")]
    assert talk.echo("u1") == [Heard("u1")]
    assert talk.it.state == "working"
    assert talk.says({"type": "thinking", "thinking": "hm"}) == [
        Thought("hm"),
        TokensUsed(10, 1, 20, 0),
    ]
    assert talk.says({"type": "text", "text": "hello"}) == [Said("hello")], "one request's usage"
    assert talk.result()[-1] == Finished("bye")
    assert (talk.it.state, talk.it.session, talk.it.model) == ("done", "s1", "opus")


def test_a_turn_is_not_the_last_while_something_is_unread():
    talk = Talk()
    talk.init()
    talk.echo("u1")
    line = json.loads(talk.it.steer("in tabs", "u2"))
    assert (line["uuid"], line["message"]["content"][0]["text"]) == ("u2", "in tabs")
    talk.result()
    assert (talk.it.state, talk.it.over) == ("working", True)
    assert talk.init() == [], "another turn, the same session"
    assert not talk.it.over
    assert talk.echo("u2") == [Heard("u2")]
    talk.result()
    assert talk.it.state == "done"


def test_after_an_interrupt_it_waits_for_a_text():
    talk = Talk()
    talk.init()
    talk.echo("u1")
    assert json.loads(talk.it.interrupt())["request"] == {"subtype": "interrupt"}
    cut = {"subtype": "error_during_execution", "is_error": True, "result": None}
    assert talk.result(**cut, terminal_reason="aborted_tools")[-1] == Failed("interrupted")
    assert talk.it.state == "waiting"
    talk.it.steer("go on", "u2")
    talk.init()
    talk.echo("u2")
    talk.result()
    assert talk.it.state == "done"


def test_an_interrupt_that_comes_too_late_changes_nothing():
    talk = Talk()
    talk.init()
    talk.echo("u1")
    talk.it.interrupt()
    talk.result()
    assert talk.it.state == "done"


@pytest.mark.parametrize(
    ("allowed", "reason", "told"),
    [
        (True, "", {"behavior": "allow", "updatedInput": {"command": "ls /w/x"}}),
        (False, "no", {"behavior": "deny", "message": "no"}),
        (False, "", {"behavior": "deny", "message": "A person said no."}),
    ],
)
def test_a_question_and_its_answer(allowed, reason, told):
    talk = Talk()
    talk.init()
    assert talk.asks(command="ls /w/x") == ([Asked("q1", "Bash", "ls x")], [])
    assert talk.it.state == "asking"
    response = json.loads(talk.it.answer("q1", allowed, reason))["response"]
    assert (response["request_id"], response["response"]) == ("q1", told)
    assert talk.it.state == "working"
    assert talk.it.answer("q1", True, "") == b"", "it is answered once"


def test_a_question_with_options_gets_the_choice():
    talk = Talk()
    options = [{"label": "red"}, {"label": "blue"}]
    steps, _ = talk.asks("AskUserQuestion", questions=[{"question": "Which?", "options": options}])
    assert steps == [Asked("q1", "AskUserQuestion", "Which?", ("red", "blue"))]
    response = json.loads(talk.it.answer("q1", True, "blue"))["response"]["response"]
    assert response["updatedInput"]["answers"] == {"Which?": "blue"}


def test_a_question_that_is_taken_back_is_open_no_more():
    talk = Talk()
    talk.init()
    talk.asks(command="ls")
    steps = talk.hears(type="control_cancel_request", request_id="q1")
    assert steps == [Answered("q1", False, "taken back")]
    assert talk.it.state == "working"


def test_alone_it_is_answered_at_once():
    talk = Talk("autonomous")
    steps, (allowed,) = talk.asks(command="ls")
    _, (refused,) = talk.asks("AskUserQuestion", questions=[])
    assert steps == []
    assert allowed["response"]["response"]["behavior"] == "allow"
    assert refused["response"]["response"]["behavior"] == "deny"
    assert talk.it.questions == {}


def test_a_request_that_nobody_knows_is_refused_so_that_nothing_hangs():
    steps, (back,) = Talk().both(
        type="control_request", request_id="q9", request={"subtype": "dance"}
    )
    assert steps == [Unknown("control_request")]
    assert (back["response"]["subtype"], back["response"]["request_id"]) == ("error", "q9")


PATCH = [{"oldStart": 3, "oldLines": 1, "newStart": 3, "newLines": 2, "lines": ["-a", "+b", "+c"]}]


@pytest.mark.parametrize(
    ("tool", "given", "detail", "lines"),
    [
        ("Edit", {}, {"structuredPatch": PATCH}, ("@@ -3,1 +3,2 @@", "-a", "+b", "+c")),
        ("Write", {}, {"type": "create", "content": "x\ny\n"}, ("+x", "+y")),
        ("Write", {"content": "x\n"}, None, ("+x",)),
        ("Edit", {"old_string": "a\nb", "new_string": "a\nc"}, "?", (" a", "-b", "+c")),
        ("MultiEdit", {"edits": [{"old_string": "a", "new_string": "b"}]}, None, ("-a", "+b")),
    ],
)
def test_an_edit_is_shown_as_a_diff(tool, given, detail, lines):
    talk = Talk()
    use = {"type": "tool_use", "id": "t1", "name": tool, "input": {"file_path": "/w/f.py", **given}}
    assert talk.says(use)[0] == ToolCalled("t1", tool, "f.py")
    block = {"type": "tool_result", "tool_use_id": "t1", "content": "updated"}
    steps = talk.hears(type="user", message={"content": [block]}, tool_use_result=detail)
    assert steps == [Edited("f.py", lines), ToolAnswered("t1", "")]


def test_other_tools_give_their_output():
    talk = Talk()
    talk.says({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make\n test"}})
    content = [{"type": "text", "text": "out"}, {"type": "image"}]
    block = {"type": "tool_result", "tool_use_id": "t1", "content": content, "is_error": True}
    steps = talk.hears(type="user", message={"content": [block]})
    assert steps == [ToolAnswered("t1", "out\n(image)", True)]


def test_the_tokens_of_turns_are_not_counted_twice():
    talk = Talk()
    talk.init()
    talk.says(at="m1")
    talk.says(at="m2")
    assert talk.it.used == TokensUsed(20, 2, 40, 0)
    models = {
        "opus": {"inputTokens": 21, "outputTokens": 9, "cacheReadInputTokens": 40},
        "haiku": {"inputTokens": 1, "outputTokens": 1, "cacheCreationInputTokens": 5},
    }
    talk.result(modelUsage=models, total_cost_usd=0.25)
    assert talk.it.used == TokensUsed(22, 10, 40, 5, 0.25)
    talk.says(at="m3")
    assert talk.it.used == TokensUsed(32, 11, 60, 5, 0.25)
    talk.result(modelUsage={"opus": {"inputTokens": 30, "outputTokens": 20}}, total_cost_usd=0.5)
    assert talk.it.used == TokensUsed(30, 20, 0, 0, 0.5)


def test_without_sums_by_model_the_turns_are_added_up():
    talk = Talk()
    for _ in range(2):
        talk.init()
        talk.result(usage={"input_tokens": 5, "output_tokens": 3})
    assert talk.it.used == TokensUsed(10, 6)


@pytest.mark.parametrize(
    ("message", "steps"),
    [
        ({"type": "system", "subtype": "api_retry", "retry_delay_ms": 2000, "error_status": 529,
          "error": "overloaded"}, [Retrying("overloaded (529)", 2.0)]),
        ({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 7,
          "rateLimitType": "five_hour"}}, [Limited("the five hour limit is reached", 7.0)]),
        ({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed"}}, []),
        ({"type": "system", "subtype": "compact_boundary"},
         [Noted("the conversation was compacted")]),
        ({"type": "system", "subtype": "task_started"}, []),
        ({"type": "system", "subtype": "of_next_year"}, [Unknown("system/of_next_year")]),
        ({"type": "of_next_year"}, [Unknown("of_next_year")]),
        ({"type": "stream_event", "event": {}}, []),
    ],
)  # fmt: skip
def test_what_else_it_says(message, steps):
    assert Talk().hears(**message) == steps


@pytest.mark.parametrize(
    "line",
    [
        b"", b"  ", b"null", b"[1]", b"x", b"\xff\xfe{", b"{" * 5000, b'{"type": []}',
        b'{"type": "assistant"}', b'{"type": "assistant", "message": {"content": [1]}}',
        b'{"type": "user", "message": null}', b'{"type": "result", "modelUsage": {"a": 1}}',
        b'{"type": "rate_limit_event", "rate_limit_info": 3}', b'{"type": "control_request"}',
        b'{"type": "control_request", "request_id": {}, "request": {"subtype": "can_use_tool"}}',
        b'{"type": "system", "subtype": "api_retry", "retry_delay_ms": "soon"}',
        b'{"type":"user","message":{"content":[{"type":"tool_result","content":[{}]}]}}',
    ],
)  # fmt: skip
def test_nothing_that_it_says_is_an_error(line):
    talk = Talk()
    talk.it.feed(line)
    talk.init()
    talk.echo("u1")
    talk.it.questions.clear()
    talk.result()
    assert talk.it.state == "done"


# ---- what people see -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Began("s1", "opus"), "the agent is there with opus, session s1\n"),
        (Said("one\n\ntwo"), "● one\n\n  two\n"),
        (Thought("hm\nso"), "  hm\n  so\n"),
        (ToolCalled("t", "Bash", "make"), "▸ Bash make\n"),
        (ToolPrinted("t", "a\nb"), "    a\n    b\n"),
        (ToolAnswered("t", "", True), "    ✗ failed\n"),
        (Edited("f", ("@@ -1,1 +1,1 @@", "-a", "+b")),
         "    f +1 -1\n    @@ -1,1 +1,1 @@\n    -a\n    +b\n"),
        (Asked("q", "Bash", "rm x"),
         "? may it use Bash: rm x\n  y to allow, n and a reason to refuse\n"),
        (Asked("q", "Ask", "Which?", ("red", "blue")),
         "? Which?\n    - red\n    - blue\n  type your choice\n"),
        (Answered("q", False, "no"), "  not allowed (no)\n"),
        (Retrying("overloaded (529)", 2.4), "  overloaded (529): next try in 2 s\n"),
        (Limited("the limit is reached"), "  the limit is reached\n"),
        (Failed("a\nb"), "✗ a\n✗ b\n"),
        (Finished("bye"), "● bye\n"),
        (Unknown("new"), "  (new)\n"),
        (Heard("u1"), ""),
        (TokensUsed(1, 2), ""),
    ],
)  # fmt: skip
def test_every_step_reads_as_text(step, text):
    assert strip_ansi(render.render(step)) == text


def test_a_last_text_is_not_said_twice():
    assert render.render(Finished("bye "), Said("bye")) == ""


def test_a_long_output_is_cut_in_the_middle():
    lines = strip_ansi(render.render(ToolAnswered("t", "\n".join(map(str, range(100)))))).split()
    assert lines[:8] == [str(n) for n in range(8)]
    assert lines[8:12] == ["…", "88", "more", "lines"]
    assert lines[12:] == ["96", "97", "98", "99"]


@pytest.mark.parametrize("step", [Said, Thought, Noted, Failed, Unknown])
def test_nothing_that_acts_on_a_terminal_is_shown(step):
    shown = render.render(step("a\x1b]0;title\x07\x1b[2Jb\x07\r\nc\u2028d"))
    assert set("\x1b\x07\r") & set(strip_ansi(shown)) == set()
    assert "title" not in shown
    assert "\x1b[2J" not in shown


def test_what_was_used_is_told_with_thousands_and_money():
    used = TokensUsed(1234, 56, 7890, 12, 0.0153)
    assert strip_ansi(render.account(used)) == (
        "— 1,234 tokens in and 7,890 from the cache, 12 into it, 56 out · $0.0153\n"
    )
