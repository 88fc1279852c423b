"""The one-shot modes of codex and opencode as conversations, on recordings of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orch.agents import stream
from orch.agents.stream import Began, Failed, Finished, Heard, Noted, Said, ToolCalled, Unknown

RECORDINGS = Path(__file__).parents[1] / "golden" / "recordings"


def talk(cli: str) -> stream.Conversation:
    """A conversation whose prompt has been given."""
    dialect = {"codex": "codex-exec", "opencode": "opencode-run"}[cli]
    made = stream.conversation(dialect, {"worktree": "/w"})
    assert made.begin("do it", "u1") == b""
    return made


def steps(cli: str, scenario: str) -> tuple[stream.Conversation, list[stream.Step]]:
    """What a recording means."""
    made = talk(cli)
    lines = (RECORDINGS / cli / f"{scenario}.out").read_bytes().splitlines()
    found = [step for line in lines for step in made.feed(line)[0]]
    return made, found


@pytest.mark.parametrize("cli", ["codex", "opencode"])
def test_a_recorded_turn_is_understood_to_its_last_message(cli):
    made, found = steps(cli, "bash" if cli == "codex" else "ok")
    assert isinstance(found[0], Began)
    assert Heard("u1") in found
    assert any(isinstance(step, ToolCalled) for step in found)
    assert any(isinstance(step, Said) for step in found)
    assert isinstance(found[-1], Finished)
    assert not [step for step in found if isinstance(step, Unknown)]
    assert made.used is not None
    assert made.used.output > 0
    assert (made.state, made.over) == ("working", False), "only the end of its process is its end"


@pytest.mark.parametrize("cli", ["codex", "opencode"])
def test_a_turn_that_failed_says_why(cli):
    _, found = steps(cli, "e401")
    assert any(isinstance(step, Failed) for step in found)


def test_an_edit_of_exec_is_shown_by_its_path():
    made = talk("codex")
    change = {"path": "/w/a.txt", "kind": "add"}
    item = {"id": "i", "type": "file_change", "changes": [change], "status": "completed"}
    found, _ = made.feed(json.dumps({"type": "item.completed", "item": item}).encode())
    assert found[0] == ToolCalled("i", "Edit", "a.txt")


def test_a_warning_of_exec_is_noted():
    item = {"id": "i", "type": "error", "message": "no metadata"}
    made = talk("codex")
    assert made.feed(json.dumps({"type": "item.completed", "item": item}).encode())[0] == [
        Noted("no metadata")
    ]


@pytest.mark.parametrize("cli", ["codex", "opencode"])
def test_a_text_waits_for_the_next_turn(cli):
    made = talk(cli)
    assert made.state == "starting"
    assert made.steer("use tabs", "u2") == made.interrupt() == made.closing() == b""
    assert isinstance(made, stream.Oneshot)
    assert made.waiting == {"u2": "use tabs"}


@pytest.mark.parametrize("cli", ["codex", "opencode"])
@pytest.mark.parametrize(
    "line", [b"", b"no json", b"[1]", b"{}", b'{"type": "item.completed"}', b'{"type": 5}']
)
def test_odd_lines_are_survived(cli, line):
    assert talk(cli).feed(line)[1] == b""
