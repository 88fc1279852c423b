"""Which agents and models can be used now, and why the others cannot."""

from __future__ import annotations

import shutil

from orch.config.schema import BUILT_IN, AgentConfig, Config
from orch.core import cooldowns
from orch.core.failover import FREE_PROTOCOL, free_model, is_pattern, matching
from orch.core.routing import MISSING, RESTS_WITH_MODELS, Field, next_model
from orch.core.weights import recovered
from orch.store import jobs
from services.engine.cooldowns import Cooldowns

Models = tuple[str, ...]


class Usable(Cooldowns):
    """Says whom work can be given to: who is installed, enabled, and does not rest."""

    def field(self, config: Config) -> Field:
        """The agents that a project's tasks may go to, and why the others may not. The built-in
        `shell` runs what a task's body says, so it is chosen only when named, or when there is no
        other agent at all; a vendor's CLI that is built in, but not installed, is none."""
        rests = self.rests()
        wanted = config.router.agents or tuple(
            name for name, spec in config.agents.items()
            if spec.protocol != "shell" and not (name in VENDORS and _not_installed(spec))
        )  # fmt: skip
        unavailable: dict[str, str] = {}
        resting: set[str] = set()
        for name, spec in config.agents.items():
            if name in config.router.disabled_agents:
                unavailable[name] = "is disabled"
            elif rest := rests.of(name, config.account_of(name)):
                unavailable[name] = cooldowns.why(rest, name, self.now())
                resting.update(() if rest.broken else (name,))
            elif problem := _not_installed(spec):
                unavailable[name] = problem
            elif self.model_for(name, "", config) is None:
                unavailable[name] = RESTS_WITH_MODELS
                resting.add(name)
        usable = tuple(n for n in wanted if n in config.agents and n not in unavailable)
        others = tuple(n for n in config.agents if n not in wanted and n not in unavailable)
        return Field(
            available=usable or (others if not wanted else ()),
            unavailable=unavailable,
            weights=self.weights(),
            resting=frozenset(resting.intersection(wanted)),
        )

    def weights(self) -> dict[str, float]:
        """Each agent's weight now; one that is not in it has the full one."""
        now = self.now()
        told = jobs.weights(self.store)
        return {agent: recovered(weight, now - at) for agent, (weight, at) in told.items()}

    def model_for(self, agent: str, complexity: str, config: Config) -> str | None:
        """The model an agent uses for a task of this complexity: the mapped one, else the first
        of its own that does not rest; '' for its own default, None when all of them rest."""
        mapped = config.model_map.of(complexity, agent)
        spec = config.agents.get(agent)
        free = (model for name, model in map(free_model, config.model_map.free) if name == agent)
        named = (model for model in free if not is_pattern(model))
        known = (mapped, *(spec.models if spec else ()), *named)
        models = tuple(dict.fromkeys(model for model in known if model))
        return next_model(models, self.resting_models(agent, config))

    def free_models(self, config: Config, *, late: bool = False) -> tuple[tuple[str, str], ...]:
        """The free models that can be used now, each with its agent: also of an agent whose other
        models rest. What nobody has told yet (or, unless `late`, not of late) is a pattern."""
        rests = self.rests()
        return tuple(
            (agent, model)
            for agent, named in (free_model(entry) for entry in config.model_map.free)
            if agent in config.agents
            and agent not in config.router.disabled_agents
            and not rests.broken(agent, config.account_of(agent))
            and not _not_installed(config.agents[agent])
            for model in self._free_of(agent, named, config, late)
            if model not in rests.models(config.account_of(agent))
        )

    def _free_of(self, agent: str, named: str, config: Config, late: bool) -> Models:
        """The models that an entry of `model_map.free` stands for."""
        if not is_pattern(named):
            return (named,)
        if config.agents[agent].protocol != FREE_PROTOCOL:
            return ()
        told = self.told_free(agent, config, late=late)
        return (named,) if told is None else matching(named, told)

    def told_free(self, _agent: str, _config: Config, *, late: bool = False) -> Models | None:  # noqa: ARG002
        """The models that an agent said are free; see `FreeModels`."""
        return ()


VENDORS = frozenset(BUILT_IN["agents"]) - {"shell"}
"""The vendors' CLIs that every configuration knows."""


def _not_installed(spec: AgentConfig) -> str:
    if spec.protocol == "shell" or not spec.command or "{" in spec.command[0]:
        return ""
    program = spec.command[0]
    return "" if shutil.which(program) else f"{MISSING} ({program} is not on PATH)"
