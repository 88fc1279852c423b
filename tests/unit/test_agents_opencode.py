"""opencode as an agent: how it is started, and its conversation, event by event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orch import agents
from orch.agents import stream
from orch.agents.stream import (
    Asked,
    Began,
    Edited,
    Failed,
    Finished,
    Heard,
    Limited,
    Retrying,
    Said,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    ToolPrinted,
    Unknown,
)
from orch.errors import ConfigError

RECORDED = Path(__file__).parents[1] / "golden" / "recordings" / "opencode"


def plan(spec: dict[str, Any] | None = None, **more: Any) -> agents.Plan:
    work = {"task": "int-1", "attempt": 2, "folder": "/s/2", "worktree": "/w", "run": "r"} | more
    given = agents.AgentSpec(**{"protocol": "opencode", "command": ("opencode",)} | (spec or {}))
    return agents.plan("opencode", given, agents.Work(**work))


def test_it_is_started_as_a_server_on_loopback_behind_the_bridge():
    found = plan(model="a/b/c", resume="ses_7")
    assert found.argv == (
        stream.BRIDGE, "opencode", "serve", "--hostname", "127.0.0.1", "--port", "0",
    )  # fmt: skip
    assert (found.protocol, found.dialect, found.prompt) == (
        "structured",
        "opencode",
        "prompt-msg.md",
    )
    assert (found.settings["model"], found.settings["resume"]) == ("a/b/c", "ses_7")
    config = json.loads(found.env["OPENCODE_CONFIG_CONTENT"])
    assert config == {"autoupdate": False, "share": "disabled",
                      "instructions": ["/s/2/prompt-sys.md"]}  # fmt: skip
    assert found.env["OPENCODE_DISABLE_MODELS_FETCH"] == "1"
    assert "ORCH_OUTPUT_FILE" not in found.env


def test_a_model_without_its_provider_is_refused():
    with pytest.raises(ConfigError, match="no model of opencode"):
        plan(model="gpt")


def test_what_a_person_configures_stays():
    content = json.dumps({"instructions": ["x.md"], "autoupdate": True})
    env = plan({"env": {"OPENCODE_CONFIG_CONTENT": content, "OPENCODE_DISABLE_AUTOUPDATE": "0"}})
    config = json.loads(env.env["OPENCODE_CONFIG_CONTENT"])
    assert config["instructions"] == ["x.md", "/s/2/prompt-sys.md"]
    assert (config["autoupdate"], env.env["OPENCODE_DISABLE_AUTOUPDATE"]) == (True, "0")
    with pytest.raises(ConfigError, match="no JSON object"):
        plan({"env": {"OPENCODE_PERMISSION": "[1]"}})


@pytest.mark.parametrize(
    ("mode", "rules"),
    [
        ("autonomous", {"external_directory": {"*": "allow"}, "doom_loop": {"*": "allow"},
                        "question": {"*": "deny"}, "bash": {"git *": "allow", "rm *": "deny"},
                        "edit": {"*": "allow"}}),
        ("supervised", {"bash": {"*": "ask", "git *": "allow", "rm *": "deny"},
                        "edit": {"*": "allow"}, "webfetch": {"*": "ask"},
                        "websearch": {"*": "ask"}, "external_directory": {"*": "ask"}}),
    ],
)  # fmt: skip
def test_permissions_are_translated_and_a_refusal_stands_last(mode, rules):
    allowed = agents.Permissions(
        mode=mode, allowed_tools=("Write", "Bash(git:*)"), disallowed_tools=("Bash(rm *)",)
    )
    found = json.loads(plan(permissions=allowed).env["OPENCODE_PERMISSION"])
    assert found == rules
    assert list(found["bash"])[-1] == "rm *"


def test_nothing_of_other_vendors_or_of_an_outer_opencode_gets_in():
    outer = {"OPENCODE": "1", "OPENCODE_PID": "7", "OPENCODE_SERVER_PASSWORD": "p",
             "OPENCODE_CONFIG": "/c", "OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "a"}  # fmt: skip
    env = agents.environment(outer, {}, plan().passes)
    assert set(env) & set(outer) == {"OPENCODE_CONFIG"}


# ---- the conversation ------------------------------------------------------------------------


class Talk:
    """A conversation that has begun, and what the server would say in it."""

    def __init__(self, mode: str = "supervised", **more: str) -> None:
        self.it = stream.conversation(
            "opencode", {"permissions": mode, "worktree": "/w", "model": "p/m/x", **more}
        )
        self.opened = json.loads(self.it.begin("work", "u1"))

    def both(self, type: str, **given: Any) -> tuple[list[stream.Step], list[Any]]:  # noqa: A002
        event = {"type": type, "properties": {"sessionID": "s1", **given}}
        steps, back = self.it.feed(json.dumps(event).encode())
        return steps, [json.loads(line) for line in back.splitlines()]

    def hears(self, type: str, **given: Any) -> list[stream.Step]:  # noqa: A002
        return self.both(type, **given)[0]

    def open(self) -> Any:
        _, (prompt,) = self.both("orch.answered", call="open", status=200, body={"id": "s1"})
        return prompt

    def takes_up(self, message: str) -> list[stream.Step]:
        """The user's message appears, and an answer to it begins."""
        self.hears("message.updated", info={"id": message, "role": "user"})
        self.part(id=f"p-{message}", messageID=message, type="text", text="x")
        info = {"id": f"a-{message}", "role": "assistant", "parentID": message, "modelID": "m"}
        return self.hears("message.updated", info=info)

    def part(self, **part: Any) -> list[stream.Step]:
        given = {"id": "p1", "messageID": "a-m1", "sessionID": "s1", **part}
        return self.hears("message.part.updated", part=given, time=1_000_000)

    def finish(self, key: str = "f1") -> list[stream.Step]:
        tokens = {"input": 10, "output": 4, "reasoning": 1, "cache": {"read": 20, "write": 3}}
        steps = self.part(id=key, type="step-finish", reason="stop", tokens=tokens, cost=0.5)
        return steps + self.hears("session.idle")


def begun(mode: str = "supervised") -> Talk:
    talk = Talk(mode)
    talk.open()
    talk.takes_up("m1")
    return talk


def test_a_turn_from_its_beginning_to_its_end():
    talk = Talk(title="Greet")
    assert (talk.opened["method"], talk.opened["body"]) == ("POST", {"title": "Greet"})
    assert talk.it.state == "starting"
    steps, (prompt,) = talk.both("orch.answered", call="open", status=200, body={"id": "s1"})
    assert steps == [Began("s1")]
    assert prompt["path"] == "/session/s1/prompt_async"
    assert prompt["body"] == {"parts": [{"type": "text", "text": "work"}],
                              "model": {"providerID": "p", "modelID": "m/x"}}  # fmt: skip
    assert talk.takes_up("m1") == [Heard("u1")]
    assert talk.it.state == "working"
    end = {"time": {"start": 1, "end": 2}}
    assert talk.part(id="r", type="reasoning", text="hm", **end) == [Thought("hm")]
    assert talk.part(id="t", type="text", text="hel") == []
    assert talk.part(id="t", type="text", text="hello", **end) == [Said("hello")]
    assert talk.finish() == [TokensUsed(10, 5, 20, 3, 0.5), Finished("hello")]
    assert (talk.it.state, talk.it.session, talk.it.model) == ("done", "s1", "m")


def test_a_text_is_heard_when_an_answer_to_it_begins():
    talk = begun()
    assert b"prompt_async" in talk.it.steer("in tabs", "u2")
    talk.finish()
    assert (talk.it.state, talk.it.over) == ("working", True)
    assert talk.takes_up("m2") == [Heard("u2")]
    assert not talk.it.over
    talk.finish("f2")
    assert talk.it.state == "done"
    assert talk.it.used == TokensUsed(20, 10, 40, 6, 1.0)


def test_after_an_interrupt_it_waits_for_a_text():
    talk = begun()
    assert b"/session/s1/abort" in talk.it.interrupt()
    error = {"name": "MessageAbortedError", "data": {"message": "Aborted"}}
    assert talk.hears("session.error", error=error) == [Failed("interrupted")]
    talk.hears("session.idle")
    assert talk.it.state == "waiting"
    talk.it.steer("go on", "u2")
    talk.takes_up("m2")
    talk.finish()
    assert talk.it.state == "done"


def test_a_question_and_its_answer():
    talk = begun()
    asked = {
        "id": "q1",
        "permission": "bash",
        "patterns": ["ls"],
        "metadata": {"command": "ls /w/x"},
    }
    assert talk.hears("permission.asked", **asked) == [Asked("q1", "bash", "ls x")]
    assert talk.it.state == "asking"
    told = json.loads(talk.it.answer("q1", False, ""))
    assert told["body"] == {"reply": "reject", "message": "A person said no."}
    assert talk.it.answer("q1", True, "") == b"", "it is answered once"


def test_a_question_with_options_gets_the_choice():
    talk = begun()
    several = [{"question": "Which?", "options": [{"label": "red"}]}, {"question": "And?"}]
    asked = talk.hears("question.asked", id="q1", questions=several)
    assert asked == [Asked("q1", "question", "Which?", ("red",))]
    told = json.loads(talk.it.answer("q1", True, "red"))
    assert (told["path"], told["body"]) == ("/question/q1/reply", {"answers": [["red"], []]})


def test_alone_it_is_answered_at_once():
    talk = begun("autonomous")
    steps, (allowed,) = talk.both("permission.asked", id="q1", permission="doom_loop")
    _, (refused,) = talk.both("question.asked", id="q2", questions=[{}])
    assert (steps, allowed["body"], refused["path"]) == (
        [],
        {"reply": "once"},
        "/question/q2/reject",
    )


def test_a_tool_is_shown_as_it_goes():
    talk = begun()
    tool = {"id": "t", "type": "tool", "tool": "bash"}
    given = {"command": "cat /w/a"}
    assert talk.part(**tool, state={"status": "pending", "input": {}}) == []
    running = {"status": "running", "input": given}
    assert talk.part(**tool, state=running) == [ToolCalled("t", "bash", "cat a")]
    assert talk.part(**tool, state={**running, "metadata": {"output": "a\nb"}}) == [
        ToolPrinted("t", "a\n")
    ]
    done = {"status": "completed", "input": given, "output": "a\nb\n", "metadata": {"exit": 3}}
    assert talk.part(**tool, state=done) == [ToolAnswered("t", "b\n", True)]
    assert talk.part(**tool, state=done) == []


def test_an_edit_is_shown_as_a_diff():
    diff = "Index: /w/f\n===\n--- /w/f\n+++ /w/f\n@@ -1 +1 @@\n-a\n+b\n"
    state = {"status": "completed", "input": {"filePath": "/w/f"}, "metadata": {"diff": diff}}
    steps = begun().part(type="tool", tool="edit", state=state)
    assert steps[1] == Edited("f", ("@@ -1 +1 @@", "-a", "+b"))


@pytest.mark.parametrize(
    ("attempt", "wait", "steps", "state"),
    [
        (1, 2, [Retrying("busy", 2.0)], "working"),
        (6, 2, [Failed("busy: given up after 6 tries")], "done"),
        (1, 9000, [Limited("busy", 10_000.0),
                   Failed("busy: given up, it would wait too long")], "done"),
    ],
)  # fmt: skip
def test_what_it_would_try_for_ever_is_given_up(attempt, wait, steps, state):
    talk = begun()
    at = (1000 + wait) * 1000
    status = {"type": "retry", "attempt": attempt, "message": "busy", "next": at}
    assert talk.hears("session.status", status=status) == steps
    assert talk.it.state == state


def test_a_subagents_words_are_not_its_own_but_its_tokens_count():
    talk = begun()
    other = {"sessionID": "s2", "messageID": "z"}
    words = talk.part(type="text", text="x", time={"end": 1}, **other)
    used = talk.part(id="f", type="step-finish", reason="stop", tokens={"input": 7}, **other)
    assert (words, used) == ([], [TokensUsed(7, 0)])
    idle = {"type": "session.idle", "properties": {"sessionID": "s2"}}
    assert talk.it.feed(json.dumps(idle).encode()) == ([], b"")
    assert talk.it.state == "working"


@pytest.mark.parametrize(
    "name", ["serve-longbash-steer", "serve-bash-perm", "serve-longbash-abort"]
)
def test_the_recorded_sessions_hold_nothing_unknown(name):
    lines = (RECORDED / f"{name}.out").read_bytes().splitlines()
    created = next(json.loads(line) for line in lines if b'"session.created"' in line)
    talk = Talk()
    session = created["properties"]["sessionID"]
    talk.both("orch.answered", call="open", status=200, body={"id": session})
    steps = [step for line in lines for step in talk.it.feed(line)[0]]
    assert [step for step in steps if isinstance(step, Unknown)] == []
    assert [step for step in steps if isinstance(step, Heard)] == [Heard("u1")]
    assert any(isinstance(step, ToolCalled) for step in steps)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"[1]", b"x", b"\xff{", b"{" * 5000, b'{"type": []}', b'{"properties": 3}',
        b'{"type": "permission.asked", "properties": {}}',
        b'{"type": "session.status", "properties": {"status": []}}',
        b'{"type": "question.asked", "properties": {"id": 1, "questions": []}}',
        b'{"type": "message.part.updated", "properties": {"part": {"type": "tool"}}}',
        b'{"type": "orch.answered", "properties": {"call": "prompt", "status": "x"}}',
    ],
)  # fmt: skip
def test_nothing_that_it_says_is_an_error(line):
    talk = begun()
    talk.it.feed(line)
    talk.finish()
    assert talk.it.state == "done"
