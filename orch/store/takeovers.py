"""Rows of who works in which session: one function, one statement."""

from __future__ import annotations

from orch.model import Takeover
from orch.store.db import Store


def take(store: Store, attempt: int, session: str, by: str, now: float) -> None:
    """Note who works in an attempt's session; a takeover that stands is kept."""
    store.execute(
        'INSERT OR IGNORE INTO takeovers (attempt, session, "by", at) VALUES (?, ?, ?, ?)',
        (attempt, session, by, now),
    )


def release(store: Store, attempt: int) -> bool:
    """Nobody works in it any more; False when nobody did."""
    store.execute("DELETE FROM takeovers WHERE attempt = ?", (attempt,))
    return store.db.changes() == 1


def of_attempt(store: Store, attempt: int) -> Takeover | None:
    """Who works in an attempt's session."""
    rows = store.rows('SELECT session, "by", at FROM takeovers WHERE attempt = ?', (attempt,))
    return Takeover(**rows[0]) if rows else None


def all_of_them(store: Store) -> dict[str, Takeover]:
    """Who works where, by session."""
    rows = store.rows('SELECT session, "by", at FROM takeovers')
    return {row["session"]: Takeover(**row) for row in rows}
