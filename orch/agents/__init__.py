"""One file per agent protocol, pure: how to start an agent and how to read what it said.

What is named here comes from `orch.agents.registry` when it is first used: a session process, of
which there are many, needs only `orch.agents.stream` and its kind, without msgspec.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orch.agents.registry import (
        BY_PROTOCOL,
        Agent,
        AgentSpec,
        Ended,
        Permissions,
        Plan,
        Recorded,
        Work,
        environment,
        last_line,
        plan,
        strip_ansi,
        verdict,
    )

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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import orch.agents.registry as registry  # noqa: PLC0415, PLR0402 - `from` would ask us again

    return getattr(registry, name)
