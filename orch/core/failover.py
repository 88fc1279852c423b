"""Who goes on after a failure: the next model, the next agent, a free model, or nobody."""

from __future__ import annotations

from fnmatch import fnmatchcase

import msgspec

from orch.core.retry import USED_UP
from orch.core.routing import Field, next_agent
from orch.model import Attempt, ErrorClass

FREE_AGENT = "opencode"
"""Whose models `model_map.free` names, unless it says `agent:model`."""

FREE_PROTOCOL = "opencode"
"""Whose agents can be asked which of their models are free."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Agent and model of the next attempt. `waits`: they rest, and the task waits for them."""

    agent: str
    model: str = ""
    reason: str = ""
    waits: bool = False


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """All who may go on. `field`: the agents; `resting`: those of them that come back by
    themselves; `models`: what each agent would use now (None: all of its models rest); `free`: the
    free models that can be used, with their agents, or a pattern where the agent must be asked for
    them first; `wanted`: the agent that a person named."""

    field: Field
    resting: frozenset[str] = frozenset()
    models: dict[str, str | None] = {}
    free: tuple[tuple[str, str], ...] = ()
    wanted: str = ""


def free_model(entry: str) -> tuple[str, str]:
    """Agent and model of an entry of `model_map.free`: `provider/model`, or `agent:model`."""
    agent, colon, model = entry.partition(":")
    if colon and agent and model and "/" not in agent:
        return agent, model
    return FREE_AGENT, entry


def is_pattern(model: str) -> bool:
    """Whether this stands for the free models that an agent has, by their names: `*` for all of
    them, `opencode/*` for those of one provider."""
    return "*" in model


def matching(pattern: str, models: tuple[str, ...]) -> tuple[str, ...]:
    """The models that a pattern stands for."""
    return tuple(model for model in models if fnmatchcase(model, pattern))


def onward(
    last: Attempt, error: ErrorClass | None, tried: list[Attempt], chain: Chain
) -> Choice | None:
    """Who goes on after `last`, which ended with `error`; None when all have been tried. `tried`
    are the task's ended attempts, `last` among them."""
    model = chain.models.get(last.agent)
    usable = last.agent not in chain.field.unavailable
    if error in _MODEL_MATTERS and last.model and model and model != last.model and usable:
        return Choice(agent=last.agent, model=model, reason=f"the next model: {model}")
    spent = used_up(tried, chain)
    if chain.wanted:
        return _wanted(chain, spent)
    left = tuple(name for name in chain.field.available if name not in spent)
    if left:
        field = msgspec.structs.replace(chain.field, available=left)
        agent = next_agent(last.agent, 2, field)
        return Choice(agent=agent, model=chain.models.get(agent) or "", reason=f"next: {agent}")
    been = {(one.agent, one.model) for one in tried}
    for agent, free in chain.free:
        if (agent, free) not in been:
            what = f"the free models of {agent}" if is_pattern(free) else f"a free model: {free}"
            return Choice(agent=agent, model=free, reason=what)
    if any(name not in spent for name in chain.resting):
        return Choice(agent=last.agent, model=last.model, reason="all rest", waits=True)
    return None


def used_up(tried: list[Attempt], chain: Chain) -> frozenset[str]:
    """The agents that are not tried again on this task: those that failed in their own way, and
    those whose model is not there and that have no other."""
    return frozenset(
        one.agent
        for one in tried
        if one.error_class in USED_UP
        and not (
            one.error_class is ErrorClass.MODEL_UNAVAILABLE
            and (chain.models.get(one.agent) or one.model) != one.model
        )
    )


def account(tried: list[Attempt]) -> str:
    """What was tried and what came of it, for people: the last word on each agent and model."""
    last: dict[tuple[str, str], str] = {}
    for one in tried:
        if one.error_class is not None:
            last[(one.agent, one.model)] = one.error_class.value
    return "; ".join(
        f"{agent}{f' ({model})' if model else ''}: {error}"
        for (agent, model), error in last.items()
    )


_MODEL_MATTERS = frozenset(
    {
        ErrorClass.USAGE_LIMIT,
        ErrorClass.RATE_LIMIT,
        ErrorClass.OVERLOADED,
        ErrorClass.MODEL_UNAVAILABLE,
    }
)


def _wanted(chain: Chain, spent: frozenset[str]) -> Choice | None:
    """The agent that a person named is kept; it may wait until it can go on."""
    agent = chain.wanted
    if agent in spent:
        return None
    return Choice(
        agent=agent, model=chain.models.get(agent) or "", reason=f"asked for: {agent}",
        waits=agent in chain.resting,
    )  # fmt: skip
