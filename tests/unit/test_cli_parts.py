"""The parts of the command line that scripts use: templates, pairs, completion scripts."""

from __future__ import annotations

import re

import pytest

from orch.cli import agents, live
from orch.cli.completions import script
from orch.cli.pairs import key_values
from orch.cli.template import fill
from orch.config.schema import AgentConfig
from orch.errors import Malformed
from orch.hosts.local import INPUT_SECONDS
from orch.paths import data


@pytest.mark.parametrize(
    "text, values, filled",
    [
        ("Hello {{ name }}!", {"name": "Ada"}, "Hello Ada!"),
        ("{% for w in words.split() %}<{{ w }}>{% endfor %}", {"words": "a b"}, "<a><b>"),
        ("a\n", {}, "a\n"),
        ("{{ x | default('none') }}", {}, "none"),
        ("{{ html }}", {"html": "<b> & $(rm)"}, "<b> & $(rm)"),
    ],
)
def test_a_template_is_filled(text, values, filled):
    assert fill(text, values, "t.md") == filled


@pytest.mark.parametrize(
    "text, says",
    [
        ("{{ title }} {{ body }}", "t.md: no value for body, title"),
        ("{{ a.b }}", "t.md: no value for a"),
        ("line\n{% if %}", "t.md:2: Expected an expression, got 'end of statement block'"),
        ("{{ ''.__class__.__mro__ }}", "t.md: access to attribute '__class__'"),
        ("{{ 1 / 0 }}", "t.md: division by zero"),
        ("{% include 'other' %}", "t.md: no loader"),
    ],
)
def test_a_wrong_template_is_an_error_that_names_what_is_wrong(text, says):
    with pytest.raises(Malformed) as caught:
        fill(text, {}, "t.md")
    assert caught.value.message.startswith(says)


def test_the_prompts_that_orch_ships_can_be_filled():
    text = (data("prompts") / "reask.md").read_text()
    filled = fill(text, {"why": "unreadable", "problem": "no JSON"}, "reask.md")
    assert re.search(r"<<< (\w+) what went wrong\nno JSON\n>>> \1\n", filled)


def test_pairs_are_cut_at_the_first_equals_sign():
    assert key_values(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("given", ["a", "=1", "a b=1", "-x=1"])
def test_what_is_no_pair_is_refused(given):
    with pytest.raises(Malformed):
        key_values([given])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_orch_itself(shell):
    text = script(shell)
    assert f"_ORCH_COMPLETE={shell}_complete" in text
    assert text.startswith("# ")


@pytest.mark.parametrize(
    "command, program, found",
    [((), "bash", True), (("sh", "-c", "x"), "sh", True), (("no-such-agent",), "no-such-agent", 0)],
)
def test_an_agents_program_is_looked_for(command, program, found):
    name, path = agents.find(AgentConfig(command=command))
    assert (name, bool(path)) == (program, bool(found))


@pytest.mark.parametrize(
    "path, tells",
    [
        ("/usr/bin/claude", True),
        ("/usr/bin/python3.12", True),
        ("/usr/bin/bash", True),
        ("/home/ada/my-agent.sh", False),
        ("/usr/bin/claude-wrapper", False),
    ],
)
def test_only_programs_known_to_tell_their_version_are_asked(path, tells):
    assert agents.tells_version(path) is tells


def test_a_text_that_is_typed_may_take_its_time():
    assert live.SEND_SECONDS > INPUT_SECONDS
