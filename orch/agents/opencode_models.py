"""Which of its models an opencode has for nothing, as `opencode models --verbose` tells it."""

from __future__ import annotations

import json
import re
from typing import Any

from orch.agents import opencode
from orch.agents.command import fill
from orch.agents.contract import AgentSpec, Work
from orch.agents.lines import mapping
from orch.errors import Malformed
from orch.model import Value

NAME = re.compile(r"^([^\s{}\[\]\"]+/[^\s{}\"]+)[ \t]*\n(?=\{)", re.MULTILINE)
"""The line before each model's JSON: its name, as `-m` takes it."""


class Listing(Value, frozen=True, kw_only=True):
    """How an opencode is asked for its models: `argv`, what is added to its environment, and what
    it may inherit."""

    argv: tuple[str, ...]
    env: dict[str, str]
    passes: tuple[str, ...]


def listing(spec: AgentSpec, run: str) -> Listing:
    """How to ask this opencode, with the settings that its work has; `run` marks its processes."""
    work = Work(task="", attempt=0, folder="", worktree="", run=run)
    env = {**opencode.QUIET, **spec.env, "ORCH_RUN": run}
    if "npm_config_registry" not in env:
        env[opencode.PLUGIN] = opencode.NOWHERE
    argv = (*fill(spec.command or (opencode.PROGRAM,), work), "models", "--verbose")
    return Listing(argv=argv, env=env, passes=opencode.PASSES)


def free(said: str) -> tuple[str, ...]:
    """The models that cost nothing and use tools, in the order in which it told them.

    Each is its name on a line, then a JSON object with `cost` (USD per million tokens: input,
    output, cache.read, cache.write) and `capabilities.toolcall` (measured with opencode 1.18.33).
    A model of a provider of the person's own, whose price is not configured, is told with zeros
    too. Raises `Malformed` when it said something in which there is no model.
    """
    found: list[str] = []
    models = 0
    for name in NAME.finditer(said):
        try:
            told, _ = json.JSONDecoder().raw_decode(said, name.end())
        except ValueError:
            continue
        models += 1
        if _costs_nothing(mapping(told)) and _works(mapping(told)):
            found.append(name[1])
    if said.strip() and not models:
        raise Malformed("`opencode models --verbose` told no model", "see what it prints")
    return tuple(dict.fromkeys(found))


def _costs_nothing(model: dict[str, Any]) -> bool:
    """Whether both prices are told, and no price in it, of whatever kind, is more than nothing."""
    cost = mapping(model.get("cost"))
    return {"input", "output"} <= cost.keys() and not any(_prices(cost))


def _prices(cost: Any) -> list[object]:
    if isinstance(cost, dict):
        return [one for value in cost.values() for one in _prices(value)]
    if isinstance(cost, list):
        return [one for value in cost for one in _prices(value)]
    return [cost]


def _works(model: dict[str, Any]) -> bool:
    return mapping(model.get("capabilities")).get("toolcall") is not False
