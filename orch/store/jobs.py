"""Rows of seen jobs, cooldowns, counters and meta: one function, one statement."""

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


def cool(store: Store, agent: str, model: str, until: float, reason: str) -> None:
    """Let an agent (or one model of it) rest until then."""
    store.execute(
        "INSERT INTO cooldowns (agent, model, until, reason) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (agent, model) DO UPDATE SET until = excluded.until,"
        " reason = excluded.reason",
        (agent, model, until, reason),
    )


def cooling(store: Store, now: float) -> dict[str, tuple[float, str]]:
    """Agents that rest: until when, and why."""
    rows = store.rows(
        "SELECT * FROM cooldowns WHERE until > ? AND model = '' AND NOT broken", (now,)
    )
    return {row["agent"]: (row["until"], row["reason"]) for row in rows}


def cooling_models(store: Store, agent: str, now: float) -> frozenset[str]:
    """The models of an agent that rest."""
    rows = store.rows(
        "SELECT model FROM cooldowns WHERE agent = ? AND until > ? AND model <> ''", (agent, now)
    )
    return frozenset(row["model"] for row in rows)


def mark_broken(store: Store, agent: str, reason: str, now: float) -> bool:
    """Take an agent out of use until a check of it passes; False when it already was."""
    store.execute(
        "INSERT INTO cooldowns (agent, model, until, reason, broken) VALUES (?, '', ?, ?, 1)"
        " ON CONFLICT (agent, model) DO UPDATE SET broken = 1, reason = excluded.reason"
        " WHERE NOT broken",
        (agent, now, reason),
    )
    return store.db.changes() == 1


def mend(store: Store, agent: str) -> bool:
    """Let a broken agent be used again; False when it was not broken."""
    store.execute("DELETE FROM cooldowns WHERE agent = ? AND broken", (agent,))
    return store.db.changes() == 1


def broken(store: Store) -> dict[str, str]:
    """Agents that are out of use until a check of them passes, and why."""
    rows = store.rows("SELECT agent, reason FROM cooldowns WHERE broken")
    return {row["agent"]: row["reason"] for row in rows}


def resting(store: Store, now: float) -> list[tuple[str, str, float, str]]:
    """Every cooldown that still lasts: agent, model ('' for all of them), until when, and why."""
    rows = store.rows(
        "SELECT * FROM cooldowns WHERE until > ? AND NOT broken ORDER BY agent, model", (now,)
    )
    return [(r["agent"], r["model"], r["until"], r["reason"]) for r in rows]


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


def warm(store: Store, agent: str) -> None:
    """End the cooldowns of an agent, or of all when ''."""
    store.execute("DELETE FROM cooldowns WHERE :a = '' OR agent = :a", {"a": agent})


def next_warm(store: Store, now: float) -> float | None:
    """When the next cooldown ends (epoch seconds); None when nothing rests."""
    row = store.one("SELECT min(until) FROM cooldowns WHERE until > ?", (now,))
    return float(row[0]) if row and row[0] is not None else None


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
