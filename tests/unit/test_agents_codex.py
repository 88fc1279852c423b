"""codex's app server: its conversation, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orch.agents import stream
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
    Said,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    ToolPrinted,
    Unknown,
)

COMMAND = "item/commandExecution/requestApproval"
EDIT = "item/fileChange/requestApproval"


# ---- the conversation ------------------------------------------------------------------------


class Talk:
    """A conversation, and what codex would say in it; `out` is all that was sent to it."""

    def __init__(self, mode: str = "supervised", **settings: str) -> None:
        given = {"permissions": mode, "worktree": "/w", "approvals": "untrusted", **settings}
        self.it = stream.conversation("codex", given)
        self.out: list[Any] = []
        self.sends(self.it.begin("work", "u1"))

    def sends(self, data: bytes) -> list[Any]:
        said = [json.loads(line) for line in data.splitlines()]
        self.out += said
        return said

    def hears(self, **message: Any) -> list[stream.Step]:
        steps, back = self.it.feed(json.dumps(message).encode())
        self.sends(back)
        return steps

    def note(self, method: str, **params: Any) -> list[stream.Step]:
        return self.hears(method=method, params={"threadId": "t1", **params})

    def reply(self, **result: Any) -> list[stream.Step]:
        """The answer to the last request."""
        last = [one["id"] for one in self.out if "method" in one and "id" in one][-1]
        return self.hears(id=last, **({"result": {}} | result))

    def opens(self) -> list[stream.Step]:
        self.reply()
        return self.reply(result={"thread": {"id": "t1"}, "model": "gpt"})

    def turn(self, name: str = "r1") -> list[stream.Step]:
        return self.note("turn/started", turn={"id": name})

    def ends(self, status: str = "completed", name: str = "r1", **more: Any) -> list[stream.Step]:
        return self.note("turn/completed", turn={"id": name, "status": status, **more})

    def item(self, at: str, kind: str, **more: Any) -> list[stream.Step]:
        return self.note(f"item/{at}", item={"type": kind, "id": "i1", **more})

    def echo(self, sent: str | None, text: str = "x") -> list[stream.Step]:
        content = [{"type": "text", "text": text}]
        return self.item("started", "userMessage", clientId=sent, content=content)

    def works(self) -> Talk:
        """In its first turn, its prompt read."""
        self.opens()
        self.turn()
        self.echo("u1")
        return self

    def methods(self) -> list[str]:
        return [one["method"] for one in self.out if "method" in one]


def test_a_turn_from_its_beginning_to_its_end():
    talk = Talk(system="be brief", model="gpt-x", sandbox="workspace-write")
    assert talk.it.state == "starting"
    assert talk.opens() == [Began("t1", "gpt")]
    assert talk.methods() == ["initialize", "initialized", "thread/start", "turn/start"]
    assert talk.out[2]["params"] == {
        "approvalPolicy": "untrusted", "sandbox": "workspace-write",
        "developerInstructions": "be brief", "model": "gpt-x",
    }  # fmt: skip
    talk.turn()
    assert talk.echo("u1") == [Heard("u1")]
    assert talk.it.state == "working"
    assert talk.item("completed", "reasoning", summary=["hm", "so"]) == [Thought("hm\nso")]
    assert talk.item("completed", "agentMessage", text="bye") == [Said("bye")]
    assert talk.ends() == [Finished("bye")]
    assert (talk.it.state, talk.it.session, talk.it.model) == ("done", "t1", "gpt")


def test_a_thread_is_resumed_and_what_it_had_used_is_not_counted_again():
    talk = Talk(resume="t1")
    talk.opens()
    assert talk.out[2]["method"] == "thread/resume"
    assert talk.out[2]["params"]["threadId"] == "t1"
    sums = {"inputTokens": 30, "cachedInputTokens": 20, "outputTokens": 5}
    assert talk.note("thread/tokenUsage/updated", tokenUsage={"total": sums}) == []
    talk.turn()
    sums = {name: 3 * number for name, number in sums.items()}
    used = TokensUsed(20, 10, 40, 0)
    assert talk.note("thread/tokenUsage/updated", tokenUsage={"total": sums}) == [used]
    assert talk.it.used == used


def test_a_text_before_the_turn_has_a_name_waits_for_it():
    talk = Talk()
    assert talk.it.steer("early", "u2") == b""
    talk.opens()
    assert talk.methods()[-1] == "turn/start"
    talk.turn()
    assert talk.out[-1]["method"] == "turn/steer"
    assert talk.out[-1]["params"]["expectedTurnId"] == "r1"
    assert talk.out[-1]["params"]["clientUserMessageId"] == "u2"


@pytest.mark.parametrize("refused", [True, False])
def test_a_text_that_the_turn_did_not_take_begins_the_next(refused):
    talk = Talk().works()
    talk.sends(talk.it.steer("more", "u2"))
    if refused:
        talk.reply(error={"message": "no active turn to steer"})
        assert talk.methods()[-1] == "turn/steer", "its end has not come yet"
    talk.ends()
    assert (talk.it.state, talk.it.over) == ("working", False)
    assert talk.methods()[-1] == "turn/start"
    assert talk.methods().count("turn/start") == 2
    talk.turn("r2")
    assert talk.echo(None, "more") == [Heard("u2")], "by its words where it has no id"
    talk.ends(name="r2")
    assert talk.it.state == "done"


def test_after_an_interrupt_it_waits_for_a_text_and_nothing_runs_on():
    talk = Talk().works()
    talk.sends(talk.it.interrupt())
    assert talk.out[-1]["params"] == {"threadId": "t1", "turnId": "r1"}
    assert talk.ends("interrupted") == [Failed("interrupted")]
    assert talk.methods()[-1] == "thread/backgroundTerminals/clean"
    assert talk.it.state == "waiting"
    talk.sends(talk.it.steer("go on", "u2"))
    assert talk.methods()[-1] == "turn/start"
    talk.turn("r2")
    talk.echo("u2")
    talk.ends(name="r2")
    assert talk.it.state == "done"


def test_an_interrupt_before_the_turn_has_a_name_comes_as_soon_as_it_has():
    talk = Talk().works()
    talk.ends()
    talk.sends(talk.it.steer("more", "u2"))
    assert talk.it.interrupt() == b""
    talk.turn("r2")
    assert talk.out[-1]["method"] == "turn/interrupt"
    assert talk.out[-1]["params"]["turnId"] == "r2"


def test_an_interrupt_that_comes_too_late_changes_nothing():
    talk = Talk().works()
    talk.sends(talk.it.interrupt())
    talk.ends()
    assert talk.it.state == "done"


def test_a_turn_that_fails_is_the_last():
    talk = Talk().works()
    talk.sends(talk.it.steer("unread", "u2"))
    assert talk.ends("failed", error={"message": "no credit"}) == [Failed("no credit")]
    assert (talk.it.state, talk.it.over) == ("done", True)


@pytest.mark.parametrize("at", range(3))
def test_a_handshake_that_is_refused_is_the_end(at):
    talk = Talk()
    for _ in range(at):
        talk.reply(result={"thread": {"id": "t1"}})
    assert talk.reply(error={"message": "not so"}) == [Failed("not so")]
    assert talk.it.state == "done"


# ---- questions -------------------------------------------------------------------------------


def test_a_question_and_its_answer():
    talk = Talk().works()
    asked = {"id": 7, "method": COMMAND, "params": {"command": "bash -lc 'ls /w/x'"}}
    assert talk.hears(**asked) == [Asked("7", "Bash", "ls x")]
    assert talk.it.state == "asking"
    assert talk.sends(talk.it.answer("7", True, "")) == [
        {"id": 7, "result": {"decision": "accept"}}
    ]
    assert talk.it.state == "working"
    assert talk.it.answer("7", True, "") == b"", "it is answered once"


def test_the_reason_of_a_refusal_is_told_as_a_text():
    talk = Talk().works()
    talk.hears(id="q", method=COMMAND, params={"command": "make"})
    refused, text = talk.sends(talk.it.answer("q", False, "use ninja"))
    assert refused == {"id": "q", "result": {"decision": "decline"}}
    assert text["params"]["input"][0]["text"] == "use ninja"


def test_an_edit_is_asked_about_by_its_paths():
    talk = Talk().works()
    changes = [{"path": "/w/a.py", "kind": {"type": "add"}, "diff": "x\n"}]
    assert talk.item("started", "fileChange", changes=changes) == [ToolCalled("i1", "Edit", "a.py")]
    asked = talk.hears(id=1, method=EDIT, params={"itemId": "i1", "reason": "why"})
    assert asked == [Asked("1", "Edit", "a.py (why)")]


def test_a_question_with_options_gets_the_choice():
    talk = Talk().works()
    question = {"id": "a", "question": "Which?", "options": [{"label": "red"}, {"label": "blue"}]}
    steps = talk.hears(id=1, method="item/tool/requestUserInput", params={"questions": [question]})
    assert steps == [Asked("1", "question", "Which?", ("red", "blue"))]
    (said,) = talk.sends(talk.it.answer("1", True, "blue"))
    assert said["result"] == {"answers": {"a": {"answers": ["blue"]}}}


@pytest.mark.parametrize(
    ("method", "params", "allowed", "result"),
    [
        ("item/permissions/requestApproval", {"permissions": {"network": {"enabled": True}}}, True,
         {"permissions": {"network": {"enabled": True}}, "scope": "turn"}),
        ("item/permissions/requestApproval", {"permissions": {"network": {"enabled": True}}}, False,
         {"permissions": {}, "scope": "turn"}),
        ("mcpServer/elicitation/request", {"serverName": "s", "message": "m"}, False,
         {"action": "decline", "content": None}),
    ],
)  # fmt: skip
def test_other_questions_are_answered_in_their_own_form(method, params, allowed, result):
    talk = Talk().works()
    talk.hears(id=1, method=method, params=params)
    (said,) = talk.sends(talk.it.answer("1", allowed, ""))
    assert said["result"] == result


def test_a_question_that_is_settled_otherwise_is_open_no_more():
    talk = Talk().works()
    talk.hears(id=1, method=COMMAND, params={"command": "ls"})
    assert talk.note("serverRequest/resolved", requestId=1) == [Answered("1", False, "taken back")]
    assert talk.it.state == "working"


def test_alone_it_is_answered_at_once_and_by_the_rules():
    talk = Talk("autonomous", disallowed="Bash(rm *)").works()
    question = {"id": "a", "question": "Which?", "options": None}
    for n, (method, params) in enumerate(
        [
            (COMMAND, {"command": "bash -lc 'rm x'"}),
            (COMMAND, {"command": "bash -lc 'make'"}),
            (EDIT, {"itemId": "i1"}),
            ("item/tool/requestUserInput", {"questions": [question]}),
        ]
    ):
        assert talk.hears(id=n, method=method, params=params) == []
    decisions = [one["result"].get("decision") for one in talk.out[-4:]]
    assert decisions == ["decline", "accept", "accept", None]
    assert "Nobody" in talk.out[-1]["result"]["answers"]["a"]["answers"][0]
    assert talk.it.questions == {}


def test_a_request_that_nobody_knows_is_refused_so_that_nothing_hangs():
    talk = Talk().works()
    assert talk.hears(id=9, method="dance", params={}) == [Unknown("dance")]
    assert (talk.out[-1]["id"], talk.out[-1]["error"]["code"]) == (9, -32601)


# ---- what it does ----------------------------------------------------------------------------


def test_a_command_prints_live_in_whole_lines():
    talk = Talk().works()
    item = {"command": "/bin/bash -lc 'cd /w/x\nmake'"}
    assert talk.item("started", "commandExecution", **item) == [
        ToolCalled("i1", "Bash", "cd x ⏎ make")
    ]
    delta = "item/commandExecution/outputDelta"
    assert talk.note(delta, itemId="i1", delta="one\ntw") == [ToolPrinted("i1", "one")]
    assert talk.note(delta, itemId="i1", delta="o") == []
    ended = item | {"status": "failed", "aggregatedOutput": "one\ntwo"}
    assert talk.item("completed", "commandExecution", **ended) == [
        ToolPrinted("i1", "two"),
        ToolAnswered("i1", "", failed=True),
    ]


def test_of_a_long_output_the_beginning_and_the_end_are_shown():
    talk = Talk().works()
    talk.item("started", "commandExecution", command="x")
    lines = [f"line {n}" for n in range(500)]
    shown = []
    for line in lines:
        delta = f"{line}\n"
        shown += talk.note("item/commandExecution/outputDelta", itemId="i1", delta=delta)
    assert len(shown) == 200
    text = "\n".join(lines) + "\n"
    (answered,) = talk.item(
        "completed", "commandExecution", status="completed", aggregatedOutput=text
    )
    assert answered.text.splitlines() == ["… 300 more lines, the last are", *lines[-4:]]


def test_a_command_that_printed_nothing_live_shows_its_output_at_its_end():
    talk = Talk().works()
    talk.item("started", "commandExecution", command="x")
    ended = talk.item("completed", "commandExecution", status="completed", aggregatedOutput="hi\n")
    assert ended == [ToolAnswered("i1", "hi\n")]


@pytest.mark.parametrize("kind", ["commandExecution", "fileChange"])
def test_what_was_declined_is_told_as_not_allowed(kind):
    talk = Talk().works()
    talk.item("started", kind)
    ended = talk.item("completed", kind, status="declined")
    assert ended == [ToolAnswered("i1", "not allowed", failed=True)]


@pytest.mark.parametrize(
    ("kind", "diff", "lines"),
    [
        ("add", "x\ny\n", ("+x", "+y")),
        ("delete", "x\n", ("-x",)),
        ("update", "@@ -1 +1 @@\n-a\n+b\n", ("@@ -1 +1 @@", "-a", "+b")),
    ],
)
def test_an_edit_is_shown_as_a_diff(kind, diff, lines):
    talk = Talk().works()
    change = {"path": "/w/f.py", "kind": {"type": kind}, "diff": diff}
    talk.item("started", "fileChange", changes=[change])
    ended = talk.item("completed", "fileChange", changes=[change], status="completed")
    assert ended == [Edited("f.py", lines), ToolAnswered("i1", "")]


def test_a_tool_of_a_server_is_shown_with_what_it_gave():
    talk = Talk().works()
    item = {"server": "db", "tool": "ask", "arguments": {"q": 1}}
    assert talk.item("started", "mcpToolCall", **item) == [ToolCalled("i1", "db.ask", '{"q": 1}')]
    content = {"content": [{"type": "text", "text": "2"}, {"type": "image"}]}
    ended = talk.item("completed", "mcpToolCall", **item, status="completed", result=content)
    assert ended == [ToolAnswered("i1", "2\n(image)")]


def test_what_agents_of_its_own_do_does_not_end_it():
    talk = Talk().works()
    assert talk.hears(method="turn/completed", params={"threadId": "t2", "turn": {}}) == []
    assert talk.it.state == "working"


def test_limits_retries_and_unknown_things_are_told_once():
    talk = Talk().works()
    used_up = {"primary": {"usedPercent": 100, "resetsAt": 70}, "secondary": None}
    limited = talk.note("account/rateLimits/updated", rateLimits=used_up)
    assert limited == [Limited("the usage limit is reached", 70)]
    assert talk.note("account/rateLimits/updated", rateLimits=used_up) == []
    error = {"message": "Reconnecting... 1/5"}
    again = talk.note("error", error=error, willRetry=True)
    assert again == [Noted("Reconnecting... 1/5; it tries again")]
    assert talk.note("error", error=error, willRetry=False) == [], "the turn's end says it"
    assert talk.note("of/next/year") == [Unknown("of/next/year")]
    assert talk.item("completed", "ofNextYear") == [Unknown("item/ofNextYear")]
    assert talk.note("thread/status/changed") == talk.note("item/plan/delta") == []
