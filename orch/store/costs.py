"""Sums over attempts: what they cost and how they went, read off one index."""

from __future__ import annotations

from typing import Any

from orch.store.db import Store, packed

BUCKET_SECONDS = 900
"""Attempts are summed by quarters of an hour: in every time zone a day begins with one."""

_MODEL = "CASE used_model WHEN '' THEN model ELSE used_model END"
_SUMS = (
    "count(*) AS attempts, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,"
    " sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens,"
    " sum(usd) AS usd, sum(usd IS NULL AND input_tokens + output_tokens > 0) AS unpriced"
)
_KEYS = {
    "agent": "agent",
    "model": _MODEL,
    "day": f"CAST(ended_at / {BUCKET_SECONDS} AS INTEGER) * {BUCKET_SECONDS}",
    "task": "task",
}


def sums(
    store: Store,
    since: float,
    until: float,
    by: tuple[str, ...],
    project: str = "",
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Attempts that ended in a span, summed by any of agent, model, task and day (the latter by
    quarters of an hour, as epoch seconds). Without days: the `limit` dearest sums."""
    chosen = [f"{_KEYS[name]} AS {name}" for name in by]
    where = "ended_at >= :since AND ended_at < :until"
    if project:
        where += " AND task IN (SELECT key FROM tasks WHERE project = :project)"
    return store.rows(
        f"SELECT {', '.join([*chosen, _SUMS])} FROM attempts INDEXED BY attempts_ended"
        f" WHERE {where}{grouped(by, limit)}",
        {"since": since, "until": until, **({"project": project} if project else {})},
    )


def grouped(by: tuple[str, ...], limit: int) -> str:
    """How sums by the first columns end: grouped and, without days, the `limit` dearest."""
    groups = f" GROUP BY {', '.join(str(n + 1) for n in range(len(by)))}" if by else ""
    if "day" not in by:
        groups += f" ORDER BY usd DESC, input_tokens + output_tokens DESC LIMIT {int(limit)}"
    return groups


def spent_since(store: Store, since: float) -> float:
    """USD of all attempts that ended since then, as far as they are known."""
    row = store.one("SELECT coalesce(sum(usd), 0) FROM attempts WHERE ended_at >= ?", (since,))
    return float(row[0])


def spent_on(store: Store, task: str, but: int = 0) -> tuple[int, float]:
    """Tokens that count against a budget and USD of a task since it was last started over, over
    all of its attempts `but` one (by its id)."""
    row = store.one(
        "SELECT coalesce(sum(a.input_tokens + a.output_tokens + a.cache_write_tokens), 0),"
        " coalesce(sum(a.usd), 0) FROM attempts a JOIN tasks t ON t.key = a.task"
        " WHERE a.task = ? AND a.n > t.fresh_after AND a.id <> ?",
        (task, but),
    )
    return int(row[0]), float(row[1])


def outcomes(store: Store, since: float) -> list[dict[str, Any]]:
    """How many attempts of each agent ended since then in each outcome and error class."""
    return store.rows(
        "SELECT agent, outcome, coalesce(error_class, '') AS error_class, count(*) AS n,"
        " sum(usd) AS usd FROM attempts INDEXED BY attempts_ended WHERE ended_at >= ?"
        " GROUP BY agent, outcome, coalesce(error_class, '')",
        (since,),
    )


def durations(
    store: Store, since: float, but_outcomes: tuple[str, ...], but_errors: tuple[str, ...]
) -> dict[str, dict[str, float]]:
    """Per agent: `p50` and `p95` (nearest rank) of the seconds that its attempts took, those of
    some outcomes and error classes left out."""
    rows = store.rows(
        "WITH took AS (SELECT agent, ended_at - started_at AS seconds,"
        " row_number() OVER (PARTITION BY agent ORDER BY ended_at - started_at) AS rank,"
        " count(*) OVER (PARTITION BY agent) AS n FROM attempts INDEXED BY attempts_ended"
        " WHERE ended_at >= :since"
        " AND outcome NOT IN (SELECT value FROM json_each(:outcomes))"
        " AND coalesce(error_class, '') NOT IN (SELECT value FROM json_each(:errors)))"
        " SELECT agent, max(seconds) FILTER (WHERE rank = (n * 50 + 99) / 100) AS p50,"
        " max(seconds) FILTER (WHERE rank = (n * 95 + 99) / 100) AS p95 FROM took GROUP BY agent",
        {"since": since, "outcomes": packed(but_outcomes), "errors": packed(but_errors)},
    )
    return {row["agent"]: {"p50": row["p50"], "p95": row["p95"]} for row in rows}
