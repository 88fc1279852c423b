"""Each real CLI, in its one-shot mode, does what the scripted model says."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.clis import NAMES, Stage
from tests.support.model_server import Edit, Read, Say, Shell, Think, Usage, Write, turn

GREETING = "grüße, ‘quoted’ $HOME `x`\nsecond line\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_written_and_the_answer_given(name, stage: Stage, ground):
    run = stage.server.play([turn(Write("hello.txt", GREETING)), turn(Say("All ✓ done."))])

    outcome = stage.oneshot(name, run, ground / "work", ground / "home", "Greet me, please.")

    assert outcome.code == 0, outcome.err
    assert outcome.last_word == "All ✓ done."
    assert (ground / "work" / "hello.txt").read_text() == GREETING
    first, second = run.requests
    assert "Greet me, please." in first.users[-1]
    assert len(second.results) == 1, "the tool's result reached the model"
    assert outcome.left == 0
    assert stage.server.strangers == []


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_tool_works_and_the_tokens_add_up(name, stage: Stage, ground):
    usage = Usage(fresh=123, cache_read=4567, output=89, reasoning=10)
    run = stage.server.play(
        [
            turn(
                Think("A file first."), Say("I begin."), Write("a.txt", "one\ntwo\n"), usage=usage
            ),
            turn(Read("a.txt"), usage=usage),
            turn(Edit("a.txt", "two", "three"), usage=usage),
            turn(Shell("cat a.txt; echo seen on stdout"), usage=usage),
            turn(Say("Done."), usage=usage),
        ]
    )

    outcome = stage.oneshot(name, run, ground / "work", ground / "home", "Edit a file.")

    assert outcome.code == 0, outcome.err
    assert (ground / "work" / "a.txt").read_text() == "one\nthree\n"
    assert "one\nthree\nseen on stdout" in run.requests[-1].results[-1]
    assert TOKENS[name](outcome.events) == (5 * 123, 5 * 4567, 5 * 89)


def _claude_tokens(events):
    usage = events[-1]["usage"]
    return usage["input_tokens"], usage["cache_read_input_tokens"], usage["output_tokens"]


def _codex_tokens(events):
    usage = events[-1]["usage"]
    cached = usage["cached_input_tokens"]
    return usage["input_tokens"] - cached, cached, usage["output_tokens"]


def _opencode_tokens(events):
    spent = [e["part"]["tokens"] for e in events if e["type"] == "step_finish"]
    output = sum(tokens["output"] + tokens["reasoning"] for tokens in spent)
    return sum(t["input"] for t in spent), sum(t["cache"]["read"] for t in spent), output


TOKENS = {"claude": _claude_tokens, "codex": _codex_tokens, "opencode": _opencode_tokens}


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_nobody_but_the_server_is_spoken_to(name, stage: Stage, ground):
    run = stage.server.play([turn(Say("Nothing to do."))])
    before = stage.astray()

    outcome = stage.oneshot(name, run, ground / "work", ground / "home", "Do nothing.")

    assert outcome.code == 0, outcome.err
    assert stage.astray() == before


REACH_OUT = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
"""192.0.2.0/24 is for documentation (RFC 5737): nobody answers there."""


def test_an_attempt_to_speak_to_others_fails_and_is_counted(stage: Stage):
    if stage.network is None:
        assert stage.astray() == 0
        return
    before = stage.astray()
    argv = stage.network.inside(sys.executable, "-c", REACH_OUT)

    ran = subprocess.run(argv, check=False, capture_output=True, text=True)

    assert "Network is unreachable" in ran.stderr
    assert stage.astray() > before
