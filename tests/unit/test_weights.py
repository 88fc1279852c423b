"""Weights: lowered by limits, restored by success and by time."""

from collections import Counter

import pytest

from orch.core.routing import Field, choose, next_model
from orch.core.weights import FLOOR, limited, pick, recovered, succeeded


def test_a_limit_takes_most_of_a_weight_but_never_all():
    weight = 1.0
    seen = []
    for _ in range(5):
        weight = limited(weight)
        seen.append(round(weight, 3))
    assert seen == [0.3, 0.09, FLOOR, FLOOR, FLOOR]


@pytest.mark.parametrize("weight, seconds, now", [(0.3, 60, 0.4), (0.3, 600, 1.0), (0.5, -9, 0.5)])
def test_time_restores_a_tenth_a_minute(weight, seconds, now):
    assert recovered(weight, seconds) == pytest.approx(now)


def test_a_success_restores_a_tenth():
    assert succeeded(0.3) == pytest.approx(0.4)
    assert succeeded(0.95) == 1.0


def test_agents_are_picked_in_proportion_to_their_weights():
    picked = Counter(pick({"a": 1.0, "b": 0.5, "c": 0.5}, n / 1000) for n in range(1000))
    assert picked == {"a": 500, "b": 250, "c": 250}
    assert pick({}, 0.5) == ""
    assert pick({"a": 1.0}, 1.0) == "a"


def test_the_router_goes_by_weight_and_says_so():
    field = Field(available=("a", "b"), weights={"a": 0.05})
    chosen = [
        choose(forced="", labels=(), mode="weighted", field=field, fallback="", turn=0, chance=c)
        for c in (0.0, 0.04, 0.06, 0.99)
    ]
    assert [one.agent for one in chosen] == ["a", "a", "b", "b"]
    assert chosen[0].reason == "weight 0.05"


@pytest.mark.parametrize(
    "models, cooling, model",
    [
        ((), frozenset(), ""),
        (("m1", "m2"), frozenset(), "m1"),
        (("m1", "m2"), frozenset({"m1"}), "m2"),
        (("m1", "m2"), frozenset({"m1", "m2"}), None),
    ],
)
def test_the_next_model_is_the_first_that_does_not_rest(models, cooling, model):
    assert next_model(models, cooling) == model
