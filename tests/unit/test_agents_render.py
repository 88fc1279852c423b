"""The steps of an agent as people see them."""

from __future__ import annotations

import pytest

from orch.agents import render
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
