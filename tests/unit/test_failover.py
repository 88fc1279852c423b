"""Who goes on after a failure, over the chain of models, agents and free models."""

import pytest

from orch.core.failover import Chain, account, free_model, is_pattern, matching, onward
from orch.core.routing import Field
from orch.model import Attempt, ErrorClass, Phase

E = ErrorClass


def attempt(agent, error, model="", n=1):
    return Attempt(
        id=n, task="int-1", n=n, phase=Phase.ENDED, fence=1, agent=agent, model=model,
        error_class=error,
    )  # fmt: skip


def chain(available=("a", "b", "c"), unavailable=None, **more):
    return Chain(field=Field(available=available, unavailable=unavailable or {}), **more)


def goes(past, given):
    found = onward(past[-1], past[-1].error_class, past, given)
    return found and (found.agent, found.model, found.waits)


@pytest.mark.parametrize(
    "past, given, expected",
    [
        # a limit: the next model of the same agent, else the next agent
        ([attempt("a", E.RATE_LIMIT, "big")], {"models": {"a": "small"}}, ("a", "small", False)),
        ([attempt("a", E.USAGE_LIMIT)], {"available": ("b", "c")}, ("b", "", False)),
        (
            [attempt("a", E.OVERLOADED, "big")],
            {"available": ("b",), "models": {"a": None, "b": "x"}},
            ("b", "x", False),
        ),
        # where the whole account rests, its other models do too
        (
            [attempt("a", E.USAGE_LIMIT, "big")],
            {"available": ("b",), "unavailable": {"a": "rests"}, "models": {"a": "small"}},
            ("b", "", False),
        ),
        # a model that there is not: the next one, else the agent is passed over
        (
            [attempt("a", E.MODEL_UNAVAILABLE, "old")],
            {"models": {"a": "new"}},
            ("a", "new", False),
        ),
        ([attempt("a", E.MODEL_UNAVAILABLE)], {}, ("b", "", False)),
        # an agent that failed in its own way is not tried again
        ([attempt("a", E.REFUSAL)], {}, ("b", "", False)),
        ([attempt("a", E.REFUSAL), attempt("b", E.TURN_LIMIT, n=2)], {}, ("c", "", False)),
        ([attempt("b", E.REFUSAL), attempt("c", E.TIMEOUT, n=2)], {}, ("a", "", False)),
        # what may succeed the next time may come back to the only agent
        ([attempt("a", E.AGENT_CRASHED)], {"available": ("a",)}, ("a", "", False)),
        # all tried: the free models, each once; then waiting for who only rests; then nobody
        (
            [attempt("a", E.REFUSAL)],
            {"available": ("a",), "free": (("opencode", "p/free"),)},
            ("opencode", "p/free", False),
        ),
        (
            [attempt("a", E.REFUSAL), attempt("opencode", E.REFUSAL, "p/free", n=2)],
            {"available": ("a",), "free": (("opencode", "p/free"), ("opencode", "p/two"))},
            ("opencode", "p/two", False),
        ),
        # a pattern, where an agent is to be asked for its free models, in its turn
        (
            [attempt("a", E.REFUSAL), attempt("opencode", E.REFUSAL, "p/free", n=2)],
            {"available": ("a",), "free": (("opencode", "p/free"), ("opencode", "*"))},
            ("opencode", "*", False),
        ),
        (
            [attempt("a", E.REFUSAL)],
            {"available": ("a", "b"), "free": (("opencode", "*"),)},
            ("b", "", False),
        ),
        ([attempt("a", E.REFUSAL)], {"wanted": "a", "free": (("opencode", "*"),)}, None),
        (
            [attempt("a", E.USAGE_LIMIT)],
            {"available": (), "resting": frozenset({"a"})},
            ("a", "", True),
        ),
        (
            [attempt("b", E.AUTH)],
            {"available": (), "resting": frozenset({"a"})},
            ("b", "", True),
        ),
        ([attempt("a", E.AUTH)], {"available": ()}, None),
        ([attempt("a", E.REFUSAL)], {"available": ("a",)}, None),
        # an agent that a person named is kept, and may wait, but not be tried in vain
        ([attempt("a", E.TIMEOUT)], {"wanted": "a"}, ("a", "", False)),
        (
            [attempt("a", E.USAGE_LIMIT)],
            {"available": ("b",), "wanted": "a", "resting": frozenset({"a"})},
            ("a", "", True),
        ),
        ([attempt("a", E.REFUSAL)], {"wanted": "a"}, None),
        ([attempt("a", E.BILLING)], {"wanted": "a"}, None),
    ],
)
def test_the_chain_leads_on(past, given, expected):
    assert goes(past, chain(**given)) == expected


def test_what_was_tried_is_told():
    past = [
        attempt("a", E.RATE_LIMIT, "big"),
        attempt("a", E.REFUSAL, "big", n=2),
        attempt("b", E.AUTH, n=3),
    ]
    assert account(past) == "a (big): refusal; b: auth"


@pytest.mark.parametrize(
    "entry, agent, model",
    [
        ("opencode/big-pickle", "opencode", "opencode/big-pickle"),
        ("openrouter/x:free", "opencode", "openrouter/x:free"),
        ("claude:haiku", "claude", "haiku"),
        ("mine:a/b:free", "mine", "a/b:free"),
        ("opencode:*", "opencode", "*"),
        ("opencode/*", "opencode", "opencode/*"),
        ("mine:groq/*", "mine", "groq/*"),
    ],
)
def test_a_free_model_is_opencodes_unless_it_names_its_agent(entry, agent, model):
    assert free_model(entry) == (agent, model)


def test_a_pattern_stands_for_models_of_an_agent_by_their_names():
    models = ("opencode/a-free", "groq/b", "openrouter/x/y:free")
    assert [is_pattern(one) for one in ("*", "opencode/*", *models)] == [True, True, *[False] * 3]
    assert matching("*", models) == models
    assert matching("opencode/*", models) == models[:1]
    assert matching("*:free", models) == models[2:]
    assert matching("nobody/*", models) == ()
