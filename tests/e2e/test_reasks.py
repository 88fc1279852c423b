"""An agent whose answer is of no use is asked once more in its conversation; then others are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import ROOT, World

TURNS = ROOT / "tests" / "support" / "fake_turns.py"
DONE = json.dumps({"status": "done", "summary": "all well"})
PROSE = "I did it, trust me"

SAYS: dict[str, Any] = {
    "claude": lambda text: [["hear"], ["result", text], ["eof"]],
    "codex": lambda text: [["hear"], ["say", text], ["done"], ["eof"]],
    "opencode": lambda text: [["hear"], ["finish", text], ["hang"]],
}
"""How each fake ends its turn with a text."""

SESSION = {
    "claude": "5e551011-0000-4000-8000-000000000001",
    "codex": "01a20000-0000-7000-8000-000000000001",
    "opencode": "ses_1",
}

TOO_LONG = json.dumps(
    {"type": "result", "subtype": "error_max_turns", "is_error": True, "session_id": "s",
     "errors": ["Reached maximum number of turns (2)"]}
)  # fmt: skip


def play(world: World, name: str, *scripts: list[Any], **more: Any) -> Path:
    """Configure the agent `cli`, a fake of this name that plays one script a run."""
    path = world.root / "scripts.json"
    path.write_text(json.dumps(scripts))
    command = [sys.executable, str(TURNS), name, str(path)]
    world.agent("cli", protocol=name, command=command, **more)
    return path


@pytest.mark.parametrize("name", SAYS)
def test_an_unreadable_answer_is_asked_for_once_more_in_the_same_conversation(
    world: World, name: str
):
    path = play(world, name, SAYS[name](PROSE), SAYS[name](DONE))
    world.up()
    task = world.add("Work", more=("--agent", "cli"))
    done = world.wait_for(task=task, status="done")
    first, second = done["attempts"]
    assert (first["error_class"], second["error_class"]) == ("invalid_response", None)
    assert done["summary"] == "all well"
    assert done["attempt_count"] == 1, "asking again is not charged"
    events = Path(second["folder"], "events.jsonl").read_text()
    argv = json.loads(path.with_name("scripts.json.2.argv").read_text())
    assert SESSION[name] in (events if name != "claude" else " ".join(argv))
    told = Path(second["folder"], "prompt-msg.md").read_text()
    assert PROSE in told
    assert "no answer that can be read" in told
    assert "Work" not in told, "its conversation holds the task"
    assert first["usage"] == second["usage"], "each run counts its own tokens"


def test_an_answer_that_stays_unreadable_is_for_a_person_with_its_text(world: World):
    play(world, "claude", SAYS["claude"](PROSE))
    world.up()
    task = world.add("Work", more=("--agent", "cli"))
    seen = world.wait_for(task=task, status="needs_review")
    assert len(seen["attempts"]) == 2
    assert PROSE in seen["blocked_reason"]


def test_a_conversation_that_is_gone_says_nothing_of_its_agent(world: World):
    gone = [["err", "No conversation found with session ID: x\n"], ["exit", 1]]
    play(world, "claude", SAYS["claude"](PROSE), gone)
    world.up()
    task = world.add("Work", more=("--agent", "cli"))
    seen = world.wait_for(task=task, status="needs_review")
    assert PROSE in seen["blocked_reason"]
    assert "could not be asked again" in seen["blocked_reason"]
    assert world.orch("status", "--json").json["problems"] == []


def test_at_its_limit_an_agent_is_asked_for_smaller_steps_and_then_another_one_goes_on(
    world: World,
):
    tool = ["tool", "Edit", {"file_path": "x.py", "old_string": "a", "new_string": "b"}, "ok"]
    play(world, "claude", [["hear"], ["say", "I begin"], tool, ["raw", TOO_LONG + "\n"], ["eof"]])
    world.up()
    task = world.add("Work", "write out.txt done", more=("-l", "agent:cli"))
    done = world.wait_for(task=task, status="done")
    assert [(a["agent"], a["error_class"]) for a in done["attempts"]] == [
        ("cli", "turn_limit"),
        ("cli", "turn_limit"),
        ("script", None),
    ]
    assert done["attempt_count"] == 2
    again, handed = (Path(a["folder"], "prompt-msg.md").read_text() for a in done["attempts"][1:])
    assert "in smaller steps" in again
    assert "it said: I begin" in handed
    assert "changed x.py (+1 -1)" in handed
    assert done["attempts"][0]["worktree"] == done["attempts"][2]["worktree"]


def test_a_program_without_a_conversation_is_run_again_with_what_it_said(world: World):
    world.up()
    garbage = 'first answer {"status": "dunno", "summary": "this is it"}'
    task = world.add("Work", "write out.txt done", garbage)
    done = world.wait_for(task=task, status="done")
    assert [a["error_class"] for a in done["attempts"]] == ["invalid_response", None]
    told = Path(done["attempts"][1]["folder"], "prompt-msg.md").read_text()
    assert "this is it" in told
    assert "do: write out.txt done" in told


def test_a_refusal_is_put_to_another_model_of_the_agent(world: World):
    refusal = json.dumps(
        {"type": "result", "subtype": "success", "is_error": True, "session_id": "s",
         "stop_reason": "refusal", "result": "API Error: Claude Code is unable to respond to this "
         "request, which appears to violate our Usage Policy (https://x)."}
    )  # fmt: skip
    first = [["hear"], ["raw", refusal + "\n"], ["eof"]]
    path = play(world, "claude", first, SAYS["claude"](DONE), models=["big", "small"])
    world.up()
    task = world.add("Work", more=("--agent", "cli"))
    done = world.wait_for(task=task, status="done")
    tries = [(a["model"], a["error_class"]) for a in done["attempts"]]
    assert tries == [("big", "refusal"), ("small", None)]
    argv = json.loads(path.with_name("scripts.json.2.argv").read_text())
    assert argv[argv.index("--model") + 1] == "small"
    assert argv[argv.index("--resume") + 1] == "s"
