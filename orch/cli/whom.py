"""Which agent a command talks with: the one that was named, else the first that can and is here."""

from __future__ import annotations

from orch.cli.agents import find
from orch.cli.app import App
from orch.config.load import Loaded, load
from orch.config.schema import AgentConfig, Config
from orch.errors import NotFound, Refused

INSTALL = (
    "install one: `npm install -g @anthropic-ai/claude-code`, `npm install -g @openai/codex` or"
    " `npm install -g opencode-ai`; or name a program of yours in config.yml (`agents`)"
)


def configured(app: App) -> tuple[Loaded, Config]:
    """The whole configuration, and that of the project here (the global one without a project)."""
    loaded = load(app.home)
    here = loaded.projects.get(app.project) if app.project else None
    return loaded, here.config if here else loaded.config


def choose(config: Config, wanted: str, protocols: tuple[str, ...], what: str) -> str:
    """The name of an installed agent of one of these protocols, those first that come first.

    Raises `NotFound` for an agent that is not known, `Refused` when none can do it.
    """
    if wanted:
        return _named(config, wanted, protocols, what)
    names = [name for name in config.agents if name not in config.router.disabled_agents]
    names.sort(key=lambda name: _place(config.agents[name], protocols))
    for name in names:
        if config.agents[name].protocol in protocols and find(config.agents[name])[1]:
            return name
    raise Refused(f"no agent is installed that can {what}", INSTALL)


def _named(config: Config, wanted: str, protocols: tuple[str, ...], what: str) -> str:
    agent = config.agents.get(wanted)
    if agent is None:
        known = ", ".join(sorted(config.agents))
        raise NotFound(f"there is no agent {wanted!r}", f"known agents: {known}")
    if agent.protocol not in protocols:
        raise Refused(
            f"{wanted} cannot {what}: it has the protocol {agent.protocol}",
            f"name an agent of the protocol {', '.join(protocols)}",
        )
    program, path = find(agent)
    if not path:
        raise Refused(f"{wanted} is not installed ({program} is not on PATH)", INSTALL)
    return wanted


def _place(agent: AgentConfig, protocols: tuple[str, ...]) -> int:
    return protocols.index(agent.protocol) if agent.protocol in protocols else len(protocols)
