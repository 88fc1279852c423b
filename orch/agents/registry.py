"""The agents by protocol: how to run one, and what a run of it came to."""

from __future__ import annotations

from msgspec import structs

from orch.agents import runs
from orch.agents.claude import Claude
from orch.agents.codex import Codex
from orch.agents.command import Command
from orch.agents.contract import Agent, AgentSpec, Ended, Permissions, Plan, Recorded, Work
from orch.agents.inherited import environment
from orch.agents.opencode import Opencode
from orch.agents.plain import last_line, strip_ansi
from orch.agents.shell import Shell
from orch.agents.terminal import Terminal
from orch.errors import ConfigError
from orch.model import Verdict

__all__ = [
    "BY_PROTOCOL",
    "Agent",
    "AgentSpec",
    "Ended",
    "Permissions",
    "Plan",
    "Recorded",
    "Work",
    "environment",
    "last_line",
    "plan",
    "strip_ansi",
    "verdict",
]

BY_PROTOCOL: dict[str, Agent] = {
    "claude": Claude(),
    "codex": Codex(),
    "command": Command(),
    "opencode": Opencode(),
    "shell": Shell(),
    "terminal": Terminal(),
}
"""The protocols that an agent may be configured with."""


def plan(agent: str, spec: AgentSpec, work: Work) -> Plan:
    """How to run `agent` on this work.

    Raises `ConfigError` when it is configured wrongly, `Refused` when it cannot do this work.
    """
    try:
        return _protocol(spec.protocol).plan(structs.replace(spec, name=agent), work)
    except ConfigError as error:
        raise ConfigError(f"agents.{agent}: {error.message}", error.hint) from None


def verdict(protocol: str, recorded: Recorded) -> Verdict:
    """What a recorded run of an agent of this protocol came to, or of a command that prints what
    one of `runs.PRINTED` does."""
    if protocol in runs.PRINTED:
        return runs.printed(protocol, recorded)
    return _protocol(protocol).verdict(recorded)


def _protocol(name: str) -> Agent:
    if name not in BY_PROTOCOL:
        raise ConfigError(f"unknown protocol {name!r}", f"known are {', '.join(BY_PROTOCOL)}")
    return BY_PROTOCOL[name]
