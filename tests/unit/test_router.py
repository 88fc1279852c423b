"""How a router's answer is read, and what is odd about a choice."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.agents.answer import objects
from orch.config.schema import AgentConfig, Router
from orch.core.router import MOST_ITEMS, Decision, model_of, read, strengths, values, warnings
from orch.errors import Malformed
from orch.model import Profile, Skill, Task

AGENTS = ("claude", "codex")
SKILLS = ("review", "sql")
TOOLS = ("git", "jq")


def decided(text) -> Decision:
    said = text if isinstance(text, str) else json.dumps(text)
    return read(said, objects(said), AGENTS, SKILLS, TOOLS)


WHOLE = {
    "executor": "codex", "complexity": "simple", "reason": "a small\nthing",
    "profile": {"role": "a careful writer", "skills": ["sql"], "tools": ["git", "rm", "git"],
                "constraints": ["no new dependencies", 5, ""]},
    "selected_skills": ["review", "sql"],
}  # fmt: skip


def test_everything_that_is_said_is_taken():
    assert decided(WHOLE) == Decision(
        agent="codex", complexity="simple", reason="a small thing",
        profile=Profile(role="a careful writer", skills=("review", "sql"), tools=("git",),
                        constraints=("no new dependencies",)),
    )  # fmt: skip


@pytest.mark.parametrize("text", [
    '{"executor": "codex"}',
    'Sure!\n```json\n{"executor": "codex"}\n```\nGood luck.',
    '```\n{"executor": "codex"}```',
    'The task has {braces} and {"a": 1}. {"executor": " Codex "} {"b": 2}',
    '{"executor": "claude"} no, rather {"executor": "codex", "profile": null}',
    '{"executor": "codex", "complexity": null, "profile": "x", "selected_skills": 5}',
    '{"executor": "codex", "reason": {"a": 1}, "profile": {"skills": {}, "constraints": 7}}',
    "\ufeff{\"executor\": \"codex\"}",
    '{"executor": 5} {"executor": "codex"} {"executor": ["claude"]}',
])  # fmt: skip
def test_only_the_executor_is_needed_whatever_stands_around_it(text):
    assert (decided(text).agent, decided(text).complexity) == ("codex", "")


@pytest.mark.parametrize("text, words", [
    ("", "it said nothing"),
    ("I think codex.", "I think codex."),
    ('{"executor": "codex"', "no decision"),
    ('{"agent": "codex"}', "no decision"),
    ('["codex"]', "no decision"),
    ('{"executor": null}', "no decision"),
    ('{"executor": ""}', "none of claude, codex"),
    ('{"executor": "gemini"}', "'gemini', which is none of claude, codex"),
    ('{"executor": "shell; rm -rf /"}', "none of claude, codex"),
    ("{" * 100_000, "no decision"),
    ('{"a":' * 50_000, "no decision"),
])  # fmt: skip
def test_anything_else_is_a_failed_routing(text, words):
    with pytest.raises(Malformed) as error:
        decided(text)
    assert words in error.value.message
    assert len(error.value.message) < 400


def test_what_cannot_be_used_is_left_out_with_a_warning():
    found = decided({**WHOLE, "complexity": "huge", "selected_skills": "sql, magic"})
    assert found.complexity == ""
    assert found.profile.skills == ("sql",)
    assert found.warnings == (
        "the router's complexity 'huge' is unknown",
        "the router named unknown skills: magic",
    )


def test_a_profile_holds_nothing_that_cannot_be_seen_and_nothing_endless():
    found = decided({
        "executor": "codex", "reason": "r\x1b[31m\0\u202e" + "x" * 9999,
        "profile": {"role": "a\nb\ud800", "constraints": ["c" * 999] * 30, "tools": ["git\n- x"]},
    }).profile  # fmt: skip
    assert found.role == "a b?"
    assert len(found.constraints) == MOST_ITEMS
    assert max(map(len, found.constraints)) == 300
    assert found.tools == ()


@given(st.text() | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["executor", "profile", "complexity", "skills", "x"]), inner),
    max_leaves=8,
).map(json.dumps))  # fmt: skip
def test_no_answer_whatever_breaks_the_reader(text):
    with contextlib.suppress(Malformed):
        assert decided(text).agent in AGENTS


@pytest.mark.parametrize("labels, agent, skills, found", [
    ((), "codex", ("sql",), ()),
    (("backend", "bug"), "codex", ("sql",), ("labelled backend, and not on claude",)),
    (("area:api", "Database"), "codex", ("sql",), ("labelled api, database, and not on claude",)),
    (("backend",), "claude", ("sql",), ()),
    (("docs",), "claude", ("sql",), ("labelled docs, and not on codex",)),
    (("documentation",), "codex", ("sql",), ()),
    ((), "claude", (), ("no skills were selected",)),
])  # fmt: skip
def test_odd_choices_are_told(labels, agent, skills, found):
    assert warnings(labels, agent, skills, True) == found


def test_where_there_are_no_skills_none_are_missed():
    assert warnings((), "claude", (), False) == ()


@pytest.mark.parametrize("name, spec, words", [
    ("claude", AgentConfig(), "large or unclear"),
    ("claude", AgentConfig(strengths="ours\nalone"), "ours alone"),
    ("mine", AgentConfig(command=("/opt/bin/mine", "--x")), "an agent that runs mine"),
    ("mine", AgentConfig(protocol="terminal"), "an agent that runs terminal"),
])  # fmt: skip
def test_each_agent_has_its_strengths(name, spec, words):
    assert words in strengths(name, spec)


def test_the_built_in_model_is_claudes_alone():
    assert model_of(Router()) == "haiku"
    assert model_of(Router(agent="codex")) == ""
    assert model_of(Router(agent="codex", model="o9")) == "o9"


def test_the_router_is_told_of_agents_skills_and_the_task():
    told = values(
        Task(key="int-1", project="o/r", title="t", labels=("x",)),
        {"codex": AgentConfig(), "shell": AgentConfig()}, ("codex",),
        (Skill(name="sql", description="queries", text="long"),), TOOLS,
    )  # fmt: skip
    assert [agent["name"] for agent in told["agents"]] == ["codex"]
    assert told["skills"] == [{"name": "sql", "description": "queries"}]
    assert (told["task"]["labels"], told["tools"]) == (["x"], ["git", "jq"])
