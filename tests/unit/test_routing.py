"""Which agent a task goes to."""

import pytest

from orch.core.routing import Field, choose, complexity, next_agent, priority

FIELD = Field(available=("a", "b", "c"), unavailable={"d": "is not installed"})


def route(**more):
    given = {"forced": "", "labels": (), "mode": "round_robin", "field": FIELD, "fallback": "",
             "turn": 0}  # fmt: skip
    return choose(**{**given, **more})


def test_round_robin_takes_turns():
    turns = [route(turn=turn) for turn in range(4)]
    assert [t.agent for t in turns] == ["a", "b", "c", "a"]
    assert [t.turn for t in turns] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "more, agent, reason",
    [
        ({"forced": "b"}, "b", "asked for: b"),
        ({"labels": ("agent:c",)}, "c", "label: c"),
        ({"labels": ("agent:c",), "forced": "a"}, "a", "asked for: a"),
        ({"labels": ("agent:d",)}, "a", "d was wanted but is not installed"),
        ({"mode": "label_only", "fallback": "b"}, "b", "fallback"),
        ({"mode": "label_only"}, "a", "first available"),
        ({"field": Field(available=())}, "", "no agent can be used"),
    ],
)
def test_a_wish_comes_first_and_an_unusable_one_is_explained(more, agent, reason):
    chosen = route(**more)
    assert chosen.agent == agent
    assert reason in chosen.reason


def test_the_next_agent_is_another_from_the_second_failure_on():
    assert next_agent("a", 1, FIELD) == "a"
    assert next_agent("a", 2, FIELD) == "b"
    assert next_agent("c", 2, FIELD) == "a"
    assert next_agent("x", 1, FIELD) in FIELD.available
    assert next_agent("a", 2, Field(available=("a",))) == "a"


def test_labels_set_priority_and_complexity():
    assert [priority((f"priority:{w}",)) for w in ("high", "low", "7", "odd")] == [2, -1, 7, 0]
    assert complexity(("complexity:simple",), "") == "simple"
    assert complexity(("complexity:simple",), "complex") == "complex"
    assert complexity(("complexity:huge",), "") == ""


def test_agents_without_a_program_are_told_in_one_breath():
    missing = "is not installed (x is not on PATH)"
    field = Field(available=(), unavailable={"a": missing, "b": "is disabled", "c": missing})
    assert field.why_none() == "b is disabled; not installed: a, c"
