"""Prices: which row fits a model, and what a run cost when several could say so."""

from __future__ import annotations

import pytest

from orch.agents import prices
from orch.agents.prices import Price, cost, find, own_rows, trusted, usd
from orch.agents.stream import TokensUsed

SONNET = Price(3, 15, 0.3, 3.75)


@pytest.mark.parametrize(
    "model, given, out",
    [
        ("claude-sonnet-4-5-20250929", 3, 15),
        ("anthropic/claude-sonnet-4.5", 3, 15),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", 5, 25),
        ("claude-opus-4-1-20250805", 15, 75),
        ("claude-opus-4-20250514", 15, 75),
        ("Claude-Haiku-4-5", 1, 5),
        ("claude-3-5-haiku-latest", 0.8, 4),
        ("haiku", 1, 5),
        ("sonnet[1m]", 3, 15),
        ("gpt-5", 1.25, 10),
        ("openai/gpt-5-codex", 1.25, 10),
        ("gpt-5.1-codex-max", 1.25, 10),
        ("gpt-5.1-codex-mini", 0.25, 2),
        ("gpt-5-nano", 0.05, 0.4),
        ("gpt-5-pro", 15, 120),
        ("gpt-5.2", 1.75, 14),
        ("google/gemini-2.5-flash-lite", 0.1, 0.4),
        ("google/gemini-2.5-flash", 0.3, 2.5),
        ("moonshotai/kimi-k2-thinking", 0.6, 2.5),
        ("MiniMax-M2", 0.3, 1.2),
    ],
)
def test_each_model_has_its_own_row(model, given, out):
    found = find(model, prices.TABLE)
    assert found is not None
    assert (found.input, found.output) == (given, out)


@pytest.mark.parametrize("model", ["", "  ", "gpt-6", "claude-mock", "gpt-mock", "llama-4", "*"])
def test_an_unknown_model_has_no_price_which_is_not_nothing(model):
    assert find(model, prices.TABLE) is None
    assert usd(TokensUsed(1000, 10), model, "codex", ()) is None


def test_no_row_of_the_table_is_hidden_by_one_before_it():
    for n, (pattern, _) in enumerate(prices.TABLE):
        name = pattern.replace("*", "x") if pattern.count("*") > 1 else pattern.replace("*", "")
        before = [earlier for earlier, _ in prices.TABLE[:n]]
        price = find(name, prices.TABLE)
        assert price is prices.TABLE[n][1] or price == prices.TABLE[n][1], (pattern, before)


def test_reading_a_cache_is_cheaper_than_input_and_writing_one_is_not():
    for pattern, price in prices.TABLE:
        assert 0 < price.cache_read <= price.input <= price.cache_write, pattern
        assert price.output > price.input, pattern


def test_tokens_are_priced_by_kind():
    assert cost(SONNET, TokensUsed(1_000_000, 0)) == 3
    assert cost(SONNET, TokensUsed(0, 1_000_000)) == 15
    assert cost(SONNET, TokensUsed(0, 0, 1_000_000, 1_000_000)) == pytest.approx(4.05)
    assert cost(SONNET, TokensUsed(900, 100, 50_000)) == pytest.approx(0.0192)


def test_the_most_exact_of_ones_own_patterns_counts():
    rows = own_rows(
        {
            "*": Price(9, 9, 9, 9),
            "Claude-*": Price(2, 2, 2, 2),
            "claude-sonnet-*": Price(1, 1, 1, 1),
            "claude-sonnet-4-5": Price(0, 0, 0, 0),
        }
    )
    assert find("claude-sonnet-4-5", rows) == Price(0, 0, 0, 0)
    assert find("claude-sonnet-4-6", rows) == Price(1, 1, 1, 1)
    assert find("claude-opus-4-5", rows) == Price(2, 2, 2, 2)
    assert find("anything", rows) == Price(9, 9, 9, 9)


OWN = (("claude-sonnet-*", Price(1, 1, 1, 1)),)
USED = TokensUsed(1_000_000, 0, usd=2.5)


@pytest.mark.parametrize(
    "model, dialect, own, known",
    [
        ("claude-sonnet-4-5", "claude", (), 2.5),  # the agent's own figure
        ("claude-sonnet-4-5", "claude", OWN, 1.0),  # a person's price goes before it
        ("kimi-k2", "claude", (), 0.6),  # claude's figure for another's model is a guess
        ("claude-mock", "claude", (), None),
        ("gpt-mock", "opencode", (), 2.5),  # opencode prices what its providers list
        ("gpt-5", "codex", (), 2.5),
    ],
)
def test_who_knows_best_what_a_run_cost(model, dialect, own, known):
    assert usd(USED, model, dialect, own) == known


def test_what_was_used_after_an_agents_figure_is_added_by_the_table():
    now = TokensUsed(3_000_000, 0, usd=2.5)
    assert usd(now, "claude-sonnet-4-5", "claude", (), USED) == 2.5 + 6
    assert usd(now._replace(usd=None), "claude-sonnet-4-5", "claude", ()) == 9


def test_only_claudes_figures_for_its_own_models_are_trusted():
    assert trusted("claude", "claude-haiku-4-5")
    assert not trusted("claude", "")
    assert not trusted("claude", "claude-mock")
    assert not trusted("claude", "MiniMax-M2")
