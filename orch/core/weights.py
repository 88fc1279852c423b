"""How much an agent is trusted with new work: weights that limits lower and success restores."""

from __future__ import annotations

FULL = 1.0
FLOOR = 0.05
LIMITED = 0.3
"""What a rate limit leaves of a weight."""

SUCCESS = 0.1
RECOVERY_PER_MINUTE = 0.1


def recovered(weight: float, seconds: float) -> float:
    """A weight after so many seconds without news."""
    return min(FULL, weight + RECOVERY_PER_MINUTE * max(0.0, seconds) / 60)


def limited(weight: float) -> float:
    """A weight after a limit."""
    return max(FLOOR, weight * LIMITED)


def succeeded(weight: float) -> float:
    """A weight after a success."""
    return min(FULL, weight + SUCCESS)


def pick(weights: dict[str, float], chance: float) -> str:
    """The agent at `chance` (from 0 up to 1) along the weights laid end to end; '' for none."""
    total = sum(weights.values())
    reach = 0.0
    for agent, weight in weights.items():
        reach += weight
        if chance * total < reach:
            return agent
    return next(reversed(weights), "")
