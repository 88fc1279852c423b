"""What models cost: a table by pattern, people's own prices over it, and the cost of a run, pure.

Here rather than in `orch.core`, because the session process counts with it while the agent
speaks: nothing but names, numbers and `fnmatch`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

from orch.agents.stream import TokensUsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MILLION = 1_000_000


class Price(NamedTuple):
    """USD per million tokens. `input` is what did not come from a cache."""

    input: float
    output: float
    cache_read: float
    cache_write: float


Rows = tuple[tuple[str, Price], ...]
"""Patterns of model names with their prices; the first that fits counts."""


def _anthropic(given: float, out: float) -> Price:
    """Anthropic's ratios: reading a cache costs a tenth, writing one (for 5 minutes) 1.25."""
    return Price(given, out, round(given / 10, 4), round(given * 1.25, 4))


def _openai(given: float, out: float, read: float) -> Price:
    """Where writing to the cache is plain input."""
    return Price(given, out, read, given)


TABLE: Rows = (
    ("*claude-opus-4-1*", _anthropic(15, 75)),
    ("*claude-opus-4-0*", _anthropic(15, 75)),
    ("*claude-opus-4-2025*", _anthropic(15, 75)),
    ("*claude-opus-4@*", _anthropic(15, 75)),
    ("*claude-opus-4", _anthropic(15, 75)),
    ("*claude-opus-4.1*", _anthropic(15, 75)),
    ("*claude-3-opus*", _anthropic(15, 75)),
    ("*claude-*opus*", _anthropic(5, 25)),
    ("*claude-3-haiku*", _anthropic(0.25, 1.25)),
    ("*claude-3-5-haiku*", _anthropic(0.8, 4)),
    ("*claude-3.5-haiku*", _anthropic(0.8, 4)),
    ("*claude-*haiku*", _anthropic(1, 5)),
    ("*claude-*sonnet*", _anthropic(3, 15)),
    ("opus*", _anthropic(5, 25)),
    ("sonnet*", _anthropic(3, 15)),
    ("haiku*", _anthropic(1, 5)),
    ("*gpt-5*-nano*", _openai(0.05, 0.4, 0.005)),
    ("*gpt-5*-mini*", _openai(0.25, 2, 0.025)),
    ("*gpt-5-pro*", _openai(15, 120, 15)),
    ("*gpt-5.2-pro*", _openai(21, 168, 21)),
    ("*gpt-5.2*", _openai(1.75, 14, 0.175)),
    ("*gpt-5", _openai(1.25, 10, 0.125)),
    ("*gpt-5-*", _openai(1.25, 10, 0.125)),
    ("*gpt-5.1*", _openai(1.25, 10, 0.125)),
    ("*codex-mini*", _openai(1.5, 6, 0.375)),
    ("*gpt-4.1-nano*", _openai(0.1, 0.4, 0.025)),
    ("*gpt-4.1-mini*", _openai(0.4, 1.6, 0.1)),
    ("*gpt-4.1*", _openai(2, 8, 0.5)),
    ("*gpt-4o-mini*", _openai(0.15, 0.6, 0.075)),
    ("*gpt-4o*", _openai(2.5, 10, 1.25)),
    ("*o4-mini*", _openai(1.1, 4.4, 0.275)),
    ("*o3", _openai(2, 8, 0.5)),
    ("*gemini-3-pro*", _openai(2, 12, 0.2)),
    ("*gemini-2.5-pro*", _openai(1.25, 10, 0.125)),
    ("*gemini-2.5-flash-lite*", _openai(0.1, 0.4, 0.01)),
    ("*gemini-2.5-flash*", _openai(0.3, 2.5, 0.03)),
    ("*grok-code-fast*", _openai(0.2, 1.5, 0.02)),
    ("*grok-4-fast*", _openai(0.2, 0.5, 0.05)),
    ("*grok-4*", _openai(3, 15, 0.75)),
    ("*kimi-k2-turbo*", _openai(1.15, 8, 0.15)),
    ("*kimi-k2*", _openai(0.6, 2.5, 0.15)),
    ("*minimax-m2*", Price(0.3, 1.2, 0.03, 0.375)),
    ("*deepseek-*", _openai(0.28, 0.42, 0.028)),
    ("*glm-4.6*", _openai(0.6, 2.2, 0.11)),
)
"""The vendors' public list prices as remembered at the end of 2025, for short contexts: no batch,
priority, long-context or regional rates, no subscription. They move: what a CLI says itself goes
before them, and `prices` in the configuration before both. A Claude model younger than the table
has its family's last known price; any other unknown model has none, which is not the same as
costing nothing."""

TRUSTED_CLAUDE = "claude"
"""claude prices models that it does not know by those of another: its figure counts for its own."""


def own_rows(prices: Mapping[str, Price]) -> Rows:
    """People's own prices, the most exact pattern first: a plain name, then by length."""

    def exactness(pattern: str) -> tuple[bool, int]:
        wild = sum(char in "*?[" for char in pattern)
        return bool(wild), wild - len(pattern)

    return tuple((name.lower(), prices[name]) for name in sorted(prices, key=exactness))


def find(model: str, rows: Iterable[tuple[str, Price]]) -> Price | None:
    """The price of a model; None where no pattern fits, or no model is named."""
    name = model.strip().lower()
    if not name:
        return None
    return next((price for pattern, price in rows if fnmatchcase(name, pattern)), None)


def cost(price: Price, used: TokensUsed) -> float:
    """USD for these tokens."""
    return (
        used.input * price.input
        + used.output * price.output
        + used.cache_read * price.cache_read
        + used.cache_write * price.cache_write
    ) / MILLION


def trusted(dialect: str, model: str) -> bool:
    """Whether the USD that an agent of this protocol states itself can be believed."""
    if dialect != "claude":
        return True
    return TRUSTED_CLAUDE in model.lower() and find(model, TABLE) is not None


def usd(
    used: TokensUsed, model: str, dialect: str, own: Rows, at_figure: TokensUsed | None = None
) -> float | None:
    """What a run cost; None where nobody knows.

    By a price of the person's own; else by the agent's figure, with what it used since it gave it
    (`at_figure`: all that was used then) by the table; else by the table alone.
    """
    price = find(model, own)
    if price is not None:
        return cost(price, used)
    price = find(model, TABLE)
    if used.usd is not None and trusted(dialect, model):
        since = _since(used, at_figure or used)
        more = cost(price, since) if price is not None else 0.0
        return used.usd + more
    return cost(price, used) if price is not None else None


def _since(used: TokensUsed, before: TokensUsed) -> TokensUsed:
    return TokensUsed(
        max(used.input - before.input, 0),
        max(used.output - before.output, 0),
        max(used.cache_read - before.cache_read, 0),
        max(used.cache_write - before.cache_write, 0),
    )
