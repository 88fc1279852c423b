"""What an attempt may spend, and when that is used up: decided while the agent speaks, pure.

Beside `prices` rather than in `orch.core`, for the same reason: the session process stops an agent
at its limit whether or not anything else is alive.
"""

from __future__ import annotations

from typing import NamedTuple

from orch.agents import prices
from orch.agents.stream import TokensUsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PER_TASK_TOKENS, PER_TASK_USD, PER_DAY_USD = (
    "budget.max_tokens_per_task", "budget.max_usd_per_task", "budget.max_usd_per_day"
)  # fmt: skip
"""The keys by which the limits are raised."""


class Limits(NamedTuple):
    """What a task, and the day, may spend (0: no limit), and had spent before this attempt.

    `day_until` is when the day ends (epoch seconds): its limit does not hold beyond. `warn_at` is
    the part of a limit at which people are told.
    """

    max_tokens: int = 0
    max_usd: float = 0.0
    spent_tokens: int = 0
    spent_usd: float = 0.0
    day_max_usd: float = 0.0
    day_spent_usd: float = 0.0
    day_until: float = 0.0
    warn_at: float = 0.8

    @property
    def none(self) -> bool:
        """Whether nothing is limited."""
        return not (self.max_tokens or self.max_usd or self.day_max_usd)


class Reached(NamedTuple):
    """A limit that is reached (`over`), or nearly: its key, and the figures in words."""

    key: str
    text: str
    over: bool = True

    @property
    def words(self) -> str:
        """The figures, and what to do."""
        return f"{self.text} (raise {self.key} to let it go on)"


def counted(used: TokensUsed) -> int:
    """The tokens that count against a limit: what went in and came out, and what was written to a
    cache. What was read from one does not: each request reads nearly all of it again."""
    return used.input + used.output + used.cache_write


def reached(
    limits: Limits, tokens: int, usd: float | None, now: float, part: float = 1.0
) -> Reached | None:
    """The first limit of which this attempt has brought `part` to be spent; None for none.

    An unknown cost (`usd` None) reaches no limit in USD: nobody could say so.
    """
    total, over = limits.spent_tokens + tokens, part >= 1
    if limits.max_tokens and total >= limits.max_tokens * part:
        text = f"the task has used {total:,} of {limits.max_tokens:,} tokens"
        return Reached(PER_TASK_TOKENS, text, over)
    if usd is None:
        return None
    money = limits.spent_usd + usd
    if limits.max_usd and money >= limits.max_usd * part:
        text = f"the task has cost {dollars(money)} of {dollars(limits.max_usd)}"
        return Reached(PER_TASK_USD, text, over)
    money = limits.day_spent_usd + usd
    if limits.day_max_usd and now < limits.day_until and money >= limits.day_max_usd * part:
        text = f"all tasks of today have cost {dollars(money)} of {dollars(limits.day_max_usd)}"
        return Reached(PER_DAY_USD, text, over)
    return None


def dollars(usd: float) -> str:
    """An amount for people: cents, and more digits where it is less than one."""
    return f"${usd:,.2f}" if usd >= 0.995 or usd == 0 else f"${usd:.4f}"


class Meter:
    """Counts one attempt against its limits, from what its agent says that it has used."""

    def __init__(self, order: Mapping[str, Any], dialect: str) -> None:
        self._dialect = dialect
        self._figure: TokensUsed | None = None
        self._warned: list[str] = []
        self.adjust(order)

    def adjust(self, order: Mapping[str, Any]) -> None:
        """Count against these limits from now on (`order`: as written by `written`)."""
        self.limits = Limits(**order["limits"])
        self.model = str(order["model"])
        self._own = tuple((name, prices.Price(*row)) for name, *row in order["prices"])

    def cost(self, used: TokensUsed, model: str) -> float | None:
        """What the attempt has cost so far; None where nobody knows."""
        if used.usd is not None and (self._figure is None or self._figure.usd != used.usd):
            self._figure = used
        return prices.usd(used, model or self.model, self._dialect, self._own, self._figure)

    def look(self, used: TokensUsed, model: str, now: float) -> Reached | None:
        """The limit that is reached, or that is nearly reached and was not told yet."""
        usd, tokens = self.cost(used, model), counted(used)
        if found := reached(self.limits, tokens, usd, now):
            return found
        found = reached(self.limits, tokens, usd, now, self.limits.warn_at)
        if found is None or found.key in self._warned:
            return None
        self._warned.append(found.key)
        return found


def written(limits: Limits, own: prices.Rows, model: str) -> dict[str, Any]:
    """A `Meter`'s order in the form of `launch.json`."""
    return {
        "limits": limits._asdict(),
        "prices": [[name, *price] for name, price in own],
        "model": model,
    }
