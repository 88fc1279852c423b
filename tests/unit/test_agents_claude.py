"""claude's conversation, message by message."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from orch.agents import render, stream
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
    Unknown,
)
from orch.session.launch import State
from orch.session.structured_talk import now_of


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


FORM = [
    {"question": "Which\ncolour?", "options": [{"label": "red"}, {"label": "blue"}]},
    {"question": "How many?", "options": [{"label": "one"}, {"description": "no label"}, 7]},
    "no question",
    {"question": "Why?"},
]


def test_a_form_is_asked_question_by_question_and_answered_once_all_are_settled():
    talk = Talk()
    talk.init()
    steps, _ = talk.asks("AskUserQuestion", questions=FORM)
    assert steps == [
        Asked("q1", "AskUserQuestion", "Which ⏎ colour?", ("red", "blue")),
        Asked("q1#2", "AskUserQuestion", "How many?", ("one",)),
        Asked("q1#3", "AskUserQuestion", "Why?"),
    ]
    assert talk.it.answer("q1#2", True, "one") == b""
    assert talk.it.answer("q1", True, "blue") == b""
    assert list(talk.it.questions) == ["q1#3"]
    assert talk.it.answer("q1#2", True, "seven") == b"", "it is answered once"
    told = json.loads(talk.it.answer("q1#3", True, "because"))["response"]
    assert told["request_id"] == "q1"
    assert told["response"]["updatedInput"] == {
        "questions": FORM,
        "answers": {"Which\ncolour?": "blue", "How many?": "one", "Why?": "because"},
    }
    assert talk.it.state == "working"


def test_a_form_of_which_something_was_refused_is_refused_with_what_was_said():
    talk = Talk()
    talk.asks("AskUserQuestion", questions=FORM)
    talk.it.answer("q1", True, "blue")
    talk.it.answer("q1#2", False, "count yourself")
    told = json.loads(talk.it.answer("q1#3", True, ""))["response"]["response"]
    assert told == {"behavior": "deny", "message": "count yourself\nWhich\ncolour? blue"}


def test_a_form_that_is_taken_back_takes_what_is_left_of_it():
    talk = Talk()
    talk.init()
    talk.asks("AskUserQuestion", questions=FORM)
    talk.it.answer("q1", True, "blue")
    steps = talk.hears(type="control_cancel_request", request_id="q1")
    assert steps == [Answered("q1#2", False, "taken back"), Answered("q1#3", False, "taken back")]
    assert talk.it.state == "working"


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
        b'{"type": "system", "subtype": "api_retry", "retry_delay_ms": 1' + b"0" * 400 + b"}",
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


def test_names_are_kept_as_text_that_every_reader_takes():
    talk = Talk()
    talk.hears(type="system", subtype="init", session_id="s\ud800" + "x" * 999, model=7)
    assert (talk.it.session[:3], len(talk.it.session), talk.it.model) == ("s?x", 200, "")


KEYS = (
    *("type", "subtype", "message", "content", "id", "name", "input", "text", "thinking", "usage"),
    *("tool_use_id", "tool_use_result", "is_error", "result", "modelUsage", "total_cost_usd"),
    *("session_id", "model", "request_id", "request", "tool_name", "structuredPatch", "lines"),
    *("edits", "old_string", "new_string", "questions", "options", "command", "file_path"),
    *("rate_limit_info", "status", "resetsAt", "uuid", "isReplay", "errors", "retry_delay_ms"),
    *("input_tokens", "inputTokens", "terminal_reason", "error", "oldStart", "label"),
)
WORDS = (
    *("assistant", "user", "result", "system", "control_request", "rate_limit_event", "init"),
    *("api_retry", "can_use_tool", "tool_use", "tool_result", "text", "thinking", "rejected"),
    *("Edit", "Write", "MultiEdit", "AskUserQuestion", "u1", "q1", "aborted", "create", "success"),
)
ODD = (None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**400, "", "é\ud800", "\x1b[2J\0")


BLOCKS = ("text", "thinking", "tool_use", "tool_result")


def anything(chance: random.Random, depth: int = 0) -> Any:
    """Any JSON value, of the words that claude uses."""
    kind = chance.random()
    if depth > 3 or kind < 0.5:
        return chance.choice((*WORDS, *ODD))
    if kind < 0.65:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(3))]
    keys = chance.sample(KEYS, chance.randrange(6))
    return {key: anything(chance, depth + 1) for key in keys}


def block(chance: random.Random) -> Any:
    """Part of a message: as it should be, but for one or two fields."""
    right = {"type": chance.choice(BLOCKS), "id": "t1", "tool_use_id": "t1", "name": "Edit"}
    right |= {"text": "x", "thinking": "x", "input": {"old_string": "a", "new_string": "b"}}
    return right | {chance.choice(list(right)): anything(chance) for _ in range(2)}


@pytest.mark.parametrize("mode", ["autonomous", "supervised"])
@pytest.mark.parametrize("seed", range(8))
def test_whatever_it_says_can_be_shown_and_written_down(seed, mode):
    chance = random.Random(seed)
    for _ in range(100):
        talk = Talk(mode)
        for _ in range(4):
            message = {key: anything(chance) for key in chance.sample(KEYS, 12)}
            message |= {"type": chance.choice(WORDS[:6])}
            if chance.random() < 0.8:
                content = [block(chance) for _ in range(2)]
                message["message"] = {"id": "m1", "content": content, "usage": anything(chance)}
            steps, back = talk.both(**message)
            text = "".join(render.render(step) for step in steps)
            assert isinstance(text.encode("utf-8", "replace"), bytes)
            assert isinstance(back, list)
            state = json.dumps(now_of(talk.it), ensure_ascii=False).encode("utf-8", "replace")
            msgspec.json.decode(state, type=State)
            msgspec.json.decode(json.dumps(talk.it.session))
