"""Which models of an opencode cost nothing, by what it prints of them."""

import json

import pytest

from orch.agents.contract import AgentSpec
from orch.agents.opencode_models import free, listing
from orch.errors import Malformed

NOTHING = {"input": 0, "output": 0, "cache": {"read": 0, "write": 0}}


def told(name, cost, **more):
    """A model as `opencode models --verbose` prints it (1.18.33)."""
    provider, _, model = name.partition("/")
    about = {
        "id": model, "providerID": provider, "status": "active",
        "capabilities": {"temperature": False, "toolcall": True, "input": {"text": True}},
        "cost": cost, "limit": {"context": 128000, "output": 8192}, "variants": {}, **more,
    }  # fmt: skip
    return f"{name}\n{json.dumps(about, indent=2)}\n"


@pytest.mark.parametrize(
    "cost, costs_nothing",
    [
        (NOTHING, True),
        ({"input": 0, "output": 0.0}, True),
        ({"input": 1, "output": 2, "cache": {"read": 0.1, "write": 0}}, False),
        ({"input": 0, "output": 2, "cache": {"read": 0, "write": 0}}, False),
        ({"input": 0.5, "output": 0}, False),
        ({**NOTHING, "cache": {"read": 0, "write": 3}}, False),
        ({**NOTHING, "tiers": [{"input": 0}, {"input": 2}]}, False),
        ({**NOTHING, "input": "0.1"}, False),
        ({"input": 0}, False),
        ({}, False),
        (None, False),
        ("free", False),
    ],
)
def test_free_is_what_has_no_price_of_any_kind(cost, costs_nothing):
    assert free(told("p/m", cost)) == (("p/m",) if costs_nothing else ())


def test_models_come_in_their_order_whatever_is_printed_between_them():
    said = (
        "a warning\n" + told("p/b", NOTHING) + told("p/priced", {"input": 1, "output": 1})
        + "p/broken\n{ no json\n}\n" + told("openrouter/org/a:free", NOTHING)
        + told("p/blind", NOTHING, capabilities={"toolcall": False}) + told("p/b", NOTHING)
    )  # fmt: skip
    assert free(said) == ("p/b", "openrouter/org/a:free")


def test_no_models_are_none_but_another_output_is_no_answer():
    assert free("") == ()
    assert free("\n") == ()
    for odd in ("opencode models [provider]\n\nlist all", "p/a\np/b\n", "p/b\n{ no json\n}\n"):
        with pytest.raises(Malformed):
            free(odd)


def test_it_is_asked_with_the_settings_of_its_work():
    spec = AgentSpec(protocol="opencode", command=("/x/opencode", "{model}"), env={"KEY": "k"})
    asked = listing(spec, "home:engine:models-1")
    assert asked.argv == ("/x/opencode", "models", "--verbose")
    assert asked.env["KEY"] == "k"
    assert asked.env["ORCH_RUN"] == "home:engine:models-1"
    assert asked.env["OPENCODE_DISABLE_MODELS_FETCH"] == "1"
    assert asked.env["npm_config_@opencode-ai:registry"].startswith("http://127.0.0.1")
    own = AgentSpec(env={"npm_config_registry": "http://here/"})
    assert "npm_config_@opencode-ai:registry" not in listing(own, "r").env
    assert listing(own, "r").argv[0] == "opencode"
