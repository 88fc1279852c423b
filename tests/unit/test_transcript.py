"""A run told in short: from recordings of the real CLIs, and from what others printed."""

import json

import pytest

from orch.agents import transcript

CLAUDE = [
    {"orch_sent": {"type": "user", "message": {"content": [{"type": "text", "text": "the work"}]}}},
    {"type": "assistant", "message": {"id": "m1", "content": [{"type": "text", "text": "I look"}]}},
    {"orch_sent": {"type": "user", "message": {"content": [{"type": "text", "text": "not so"}]}}},
    {
        "type": "assistant",
        "message": {
            "id": "m2",
            "content": [
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make"}}
            ],
        },
    },
    {
        "type": "user",
        "message": {
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "broke", "is_error": True}
            ]
        },
    },
]


def lines(messages):
    return [json.dumps(one).encode() for one in messages]


def test_a_structured_run_is_told_step_by_step():
    told = transcript.of_events("claude", lines(CLAUDE))
    assert told == ("it said: I look\nit was told: not so\n- Bash make\n  that failed: broke")


def test_only_the_end_of_a_long_run_is_told():
    many = [
        {"type": "assistant", "message": {"id": f"m{n}", "content": [
            {"type": "text", "text": f"step {n} " + "x" * 90}]}}
        for n in range(500)
    ]  # fmt: skip
    told = transcript.of_events("claude", lines(many), most=2000)
    assert len(told.encode()) <= 2100
    assert told.startswith("… (what came before is left out)")
    assert "step 499 " in told
    assert "step 3 " not in told


@pytest.mark.parametrize("dialect", ["claude", "codex", "opencode"])
def test_rubbish_breaks_nothing(dialect):
    rubbish = [b"", b"\xff\xfe", b"{", b"[]", b'{"orch_sent": 5}', b'{"orch_sent": ', b'"x"' * 999]
    assert transcript.of_events(dialect, rubbish) == ""


def test_an_unknown_dialect_tells_nothing():
    assert transcript.of_events("klingon", lines(CLAUDE)) == ""


def test_what_others_printed_is_told_plainly():
    told = transcript.of_output("\x1b[31mred\x1b[0m\n\n   \nold\rnew\n")
    assert told == "red\nnew"
