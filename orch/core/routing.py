"""Which agent a task goes to: its label, round robin, then the fallback."""

from __future__ import annotations

import msgspec

from orch.core.weights import pick


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """The agents a task may go to: `available` can be used now; `unavailable` says why not."""

    available: tuple[str, ...]
    unavailable: dict[str, str] = {}
    weights: dict[str, float] = {}
    """Of the available ones, for mode `weighted`."""
    resting: frozenset[str] = frozenset()
    """Of the unavailable ones, those that come back by themselves."""

    def without(self, agent: str) -> Field:
        """The field without one agent; the same when it is ''."""
        if not agent:
            return self
        return Field(
            available=tuple(name for name in self.available if name != agent),
            unavailable={**self.unavailable, agent: "is to be replaced"},
            weights=self.weights,
        )

    def why_none(self) -> str:
        """Why nobody can be used: those without a program in one breath, the others each."""
        missing = [name for name, why in self.unavailable.items() if why.startswith(MISSING)]
        told = [f"{name} {why}" for name, why in self.unavailable.items() if name not in missing]
        if missing:
            told.append(f"not installed: {', '.join(missing)}")
        return "; ".join(told)


MISSING = "is not installed"
"""How the reason of an agent begins whose program there is not."""

RESTS_WITH_MODELS = "rests with all of its models"
"""The reason of an agent of whose models none can be used now."""


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """The choice and its reason; an empty agent: none can be used, `reason` says why."""

    agent: str
    reason: str
    turn: int = 0


def wanted(labels: tuple[str, ...], forced: str) -> str:
    """The agent that somebody asked for, by `--agent` or an `agent:X` label; '' for none."""
    if forced:
        return forced
    return next((name[6:] for name in labels if name.startswith("agent:") and name[6:]), "")


def complexity(labels: tuple[str, ...], given: str) -> str:
    """simple, medium or complex, from the request or a `complexity:X` label; '' when unsaid."""
    if given:
        return given
    known = ("simple", "medium", "complex")
    return next((n[11:] for n in labels if n.startswith("complexity:") and n[11:] in known), "")


def priority(labels: tuple[str, ...]) -> int:
    """A number that sorts: `priority:high` 2, `priority:low` -1, `priority:N` N, else 0."""
    words = {"urgent": 3, "critical": 3, "high": 2, "medium": 0, "normal": 0, "low": -1}
    for name in labels:
        if name.startswith("priority:"):
            word = name[9:].strip().lower()
            if word.lstrip("-").isdigit() and len(word) < 4:
                return int(word)
            return words.get(word, 0)
    return 0


def choose(
    *,
    forced: str,
    labels: tuple[str, ...],
    mode: str,
    field: Field,
    fallback: str,
    turn: int,
    chance: float = 0.0,
) -> Routed:
    """Choose an agent. `turn` counts round robin, `chance` (from 0 up to 1) decides between
    weights; an unusable wish is explained and passed over."""
    wish = wanted(labels, forced)
    passed = ""
    if wish:
        if wish in field.available:
            how = "asked for" if forced else "label"
            return Routed(agent=wish, reason=f"{how}: {wish}", turn=turn)
        passed = passed_over(wish, field)
    if mode == "round_robin" and field.available:
        agent = field.available[turn % len(field.available)]
        return Routed(agent=agent, reason=f"{passed}round robin", turn=turn + 1)
    if mode == "weighted" and field.available:
        weights = {name: field.weights.get(name, 1.0) for name in field.available}
        agent = pick(weights, chance)
        reason = f"{passed}weight {weights[agent]:.2f}"
        return Routed(agent=agent, reason=reason, turn=turn)
    if fallback in field.available:
        return Routed(agent=fallback, reason=f"{passed}fallback", turn=turn)
    if field.available:
        return Routed(agent=field.available[0], reason=f"{passed}first available", turn=turn)
    reasons = field.why_none()
    return Routed(agent="", reason=f"{passed}no agent can be used: {reasons or 'none configured'}")


def passed_over(wish: str, field: Field) -> str:
    """Why a wish was not followed, to stand before the reason of another choice; '' without one."""
    if not wish:
        return ""
    return f"{wish} was wanted but {field.unavailable.get(wish, 'is not configured')}; "


def next_model(models: tuple[str, ...], cooling: frozenset[str]) -> str | None:
    """The first of an agent's models that does not rest; '' when it has none to choose from, None
    when all of them rest."""
    if not models:
        return ""
    return next((model for model in models if model not in cooling), None)


def next_agent(current: str, failures: int, field: Field) -> str:
    """The agent of the next attempt: the same once more, from the second failure on the next."""
    if failures < 2 and current in field.available:
        return current
    others = [name for name in field.available if name != current]
    if not others:
        return current
    after = [name for name in field.available if name > current and name != current]
    return (after or others)[0]
