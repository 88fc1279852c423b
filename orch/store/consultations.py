"""Rows of consultations, and sums over them as over attempts: one function, one statement."""

from __future__ import annotations

from typing import Any

from orch.model import Consultation, Usage
from orch.store.costs import BUCKET_SECONDS, grouped
from orch.store.db import Store

_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "usd")
_SUMS = (
    "0 AS attempts, count(*) AS consultations,"
    " sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,"
    " sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens,"
    " sum(usd) AS usd, sum(usd IS NULL AND input_tokens + output_tokens > 0) AS unpriced"
)
_KEYS = {
    "agent": "agent",
    "model": "model",
    "day": f"CAST(at / {BUCKET_SECONDS} AS INTEGER) * {BUCKET_SECONDS}",
    "task": "task",
}


def insert(store: Store, one: Consultation) -> bool:
    """Keep a consultation; False when one of its key is there already."""
    used = one.usage
    store.execute(
        "INSERT INTO consultations (key, kind, project, task, agent, model, input_tokens,"
        " output_tokens, cache_read_tokens, cache_write_tokens, usd, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (
            *(one.key, one.kind, one.project, one.task, one.agent, one.model),
            *(getattr(used, name) for name in _USAGE),
            one.at,
        ),
    )
    return store.db.changes() == 1


def adopt(store: Store, keys: tuple[str, ...], task: str) -> None:
    """Let consultations that were about no task be about this one."""
    for key in keys:
        store.execute("UPDATE consultations SET task = ? WHERE key = ? AND task = ''", (task, key))


def start_over(store: Store, task: str) -> None:
    """Charge what was asked about a task so far no longer to its budget."""
    store.execute("UPDATE consultations SET charged = 0 WHERE task = ?", (task,))


def of_task(store: Store, task: str) -> list[Consultation]:
    """What was asked about a task, oldest first."""
    rows = store.rows("SELECT * FROM consultations WHERE task = ? AND task <> '' ORDER BY id",
                      (task,))  # fmt: skip
    return [
        Consultation(
            key=row["key"], kind=row["kind"], project=row["project"], task=row["task"],
            agent=row["agent"], model=row["model"], at=row["at"],
            usage=Usage(**{name: row[name] for name in _USAGE}),
        )
        for row in rows
    ]  # fmt: skip


def sums(
    store: Store,
    since: float,
    until: float,
    by: tuple[str, ...],
    project: str = "",
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """Consultations of a span summed as `costs.sums` sums attempts, with the same columns."""
    chosen = [f"{_KEYS[name]} AS {name}" for name in by]
    return store.rows(
        f"SELECT {', '.join([*chosen, _SUMS])} FROM consultations"
        " WHERE at >= :since AND at < :until AND (:project = '' OR project = :project)"
        f"{grouped(by, limit)}",
        {"since": since, "until": until, "project": project},
    )


def spent_since(store: Store, since: float) -> float:
    """USD of all consultations since then, as far as they are known."""
    row = store.one("SELECT coalesce(sum(usd), 0) FROM consultations WHERE at >= ?", (since,))
    return float(row[0])


def spent_on(store: Store, task: str) -> tuple[int, float]:
    """Tokens that count against a budget and USD of what was asked about a task since it was last
    started over."""
    row = store.one(
        "SELECT coalesce(sum(input_tokens + output_tokens + cache_write_tokens), 0),"
        " coalesce(sum(usd), 0) FROM consultations WHERE task = ? AND task <> '' AND charged",
        (task,),
    )
    return int(row[0]), float(row[1])
