"""Rows of seen jobs, weights, counters and meta: one function, one statement."""

from __future__ import annotations

from orch.store.db import Store


def see(store: Store, project: str, job: str, schedule: str, now: float) -> None:
    """Note when a job was first seen with this schedule."""
    store.execute(
        "INSERT INTO jobs_seen (project, job, schedule, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (project, job) DO UPDATE SET schedule = excluded.schedule, at = excluded.at"
        " WHERE schedule <> excluded.schedule",
        (project, job, schedule, now),
    )


def seen(store: Store, project: str, job: str) -> tuple[float | None, int]:
    """When a job was first seen with its present schedule (epoch seconds), and how often it ran."""
    row = store.one("SELECT at, runs FROM jobs_seen WHERE project = ? AND job = ?", (project, job))
    return (float(row[0]), int(row[1])) if row else (None, 0)


def weights(store: Store) -> dict[str, tuple[float, float]]:
    """Agents whose weight was changed: the weight, and when (epoch seconds)."""
    return {r["agent"]: (r["weight"], r["at"]) for r in store.rows("SELECT * FROM weights")}


def set_weight(store: Store, agent: str, weight: float, now: float) -> None:
    """Set an agent's weight as of now."""
    store.execute(
        "INSERT INTO weights (agent, weight, at) VALUES (?, ?, ?)"
        " ON CONFLICT (agent) DO UPDATE SET weight = excluded.weight, at = excluded.at",
        (agent, weight, now),
    )


def counter(store: Store, name: str) -> int:
    """A named counter's value, 0 at first."""
    row = store.one("SELECT value FROM cursors WHERE name = ?", (name,))
    return int(row[0]) if row else 0


def set_counter(store: Store, name: str, value: int) -> None:
    """Set a named counter."""
    store.execute(
        "INSERT INTO cursors (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def meta(store: Store, task: str) -> dict[str, str]:
    """A task's key/value pairs."""
    rows = store.rows("SELECT key, value FROM meta WHERE task = ? ORDER BY key", (task,))
    return {row["key"]: row["value"] for row in rows}


def set_meta(store: Store, task: str, key: str, value: str) -> None:
    """Set a pair; an empty value removes it."""
    if value:
        store.execute(
            "INSERT INTO meta (task, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (task, key) DO UPDATE SET value = excluded.value",
            (task, key, value),
        )
    else:
        store.execute("DELETE FROM meta WHERE task = ? AND key = ?", (task, key))
