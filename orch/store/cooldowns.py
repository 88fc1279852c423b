"""Rows of what rests, an account or an agent by itself: one function, one statement."""

from __future__ import annotations

from orch.model import Rest
from orch.store.db import Store


def cool(store: Store, rest: Rest) -> None:
    """Let an account, or one model of it, rest."""
    store.execute(
        "INSERT INTO cooldowns (account, agent, model, until, reason, broken)"
        " VALUES (?, ?, ?, ?, ?, 0)"
        " ON CONFLICT (account, agent, model) DO UPDATE SET until = excluded.until,"
        " reason = excluded.reason",
        (rest.account, rest.agent, rest.model, rest.until, rest.reason),
    )


def mark_broken(store: Store, rest: Rest) -> bool:
    """Take an account, or an agent by itself, out of use until a check passes; False when it
    already was."""
    store.execute(
        "INSERT INTO cooldowns (account, agent, model, until, reason, broken)"
        " VALUES (?, ?, '', ?, ?, 1)"
        " ON CONFLICT (account, agent, model) DO UPDATE SET broken = 1, reason = excluded.reason"
        " WHERE NOT broken",
        (rest.account, rest.agent, rest.until, rest.reason),
    )
    return store.db.changes() == 1


def lasting(store: Store, now: float) -> tuple[Rest, ...]:
    """Everything that still rests, or is out of use until a check passes."""
    rows = store.rows(
        "SELECT * FROM cooldowns WHERE until > ? OR broken ORDER BY account, agent, model", (now,)
    )
    return tuple(
        Rest(
            account=row["account"], agent=row["agent"], model=row["model"], until=row["until"],
            reason=row["reason"], broken=bool(row["broken"]),
        )
        for row in rows
    )  # fmt: skip


def mend(store: Store, account: str, agent: str) -> list[str]:
    """Let a broken account, and an agent that was broken by itself, be used again; which of the
    accounts were ('' for the agent)."""
    rows = store.rows(
        "DELETE FROM cooldowns WHERE broken AND ((account = ? AND agent = '')"
        " OR (account = '' AND agent = ?)) RETURNING account",
        (account, agent),
    )
    return [row["account"] for row in rows]


def clear(store: Store, accounts: tuple[str, ...], agent: str) -> None:
    """End what rests of these accounts, and of an agent by itself."""
    for account in accounts:
        store.execute("DELETE FROM cooldowns WHERE account = ? AND agent = ''", (account,))
    store.execute("DELETE FROM cooldowns WHERE account = '' AND agent = ?", (agent,))


def clear_all(store: Store) -> None:
    """End every rest."""
    store.execute("DELETE FROM cooldowns")


def next_end(store: Store, now: float) -> float | None:
    """When the next rest ends (epoch seconds); None when nothing rests."""
    row = store.one("SELECT min(until) FROM cooldowns WHERE until > ?", (now,))
    return float(row[0]) if row and row[0] is not None else None
