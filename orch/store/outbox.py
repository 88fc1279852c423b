"""Rows of effects (outbox), deliveries (inbox), and replies kept under their keys."""

from __future__ import annotations

from typing import Any

from orch.model import Effect
from orch.store.db import Store, packed, unpacked


def queue(
    store: Store, now: float, target: str, kind: str, key: str, task: str, payload: dict[str, Any]
) -> None:
    """Queue an effect; the same key twice is one effect."""
    store.execute(
        "INSERT OR IGNORE INTO effects (target, kind, key, task, payload, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (target, kind, key, task, packed(payload), now),
    )


def free(store: Store, target: str, held: tuple[int, ...]) -> None:
    """End the leases of `target` but those of the effects that it holds."""
    store.execute(
        "UPDATE effects SET not_before = 0 WHERE target = ? AND state = 'leased'"
        " AND not_before > 0 AND id NOT IN (SELECT value FROM json_each(?))",
        (target, packed(held)),
    )


def take(store: Store, target: str, now: float, lease_seconds: float, limit: int) -> list[Effect]:
    """Lease what is due for `target`: its fence grows, and it stays hidden for the lease. Texts for
    a session that somebody has taken wait."""
    rows = store.rows(
        "UPDATE effects SET state = 'leased', fence = fence + 1, tries = tries + 1,"
        " not_before = :until WHERE id IN (SELECT id FROM effects WHERE target = :target"
        " AND state IN ('waiting', 'leased') AND not_before <= :now"
        " AND NOT (kind = 'send' AND EXISTS (SELECT 1 FROM takeovers"
        " WHERE session = json_extract(payload, '$.session'))) ORDER BY id LIMIT :limit)"
        " RETURNING id, target, kind, key, payload, fence, tries, state, result, error",
        {"until": now + lease_seconds, "target": target, "now": now, "limit": limit},
    )
    for row in rows:
        row["payload"] = unpacked(row["payload"])
        row["result"] = unpacked(row["result"])
    return [Effect(**row) for row in sorted(rows, key=lambda row: int(row["id"]))]


def named(store: Store, effect: int) -> tuple[str, str, str]:
    """An effect's key, kind and task; empty when there is none."""
    row = store.one("SELECT key, kind, task FROM effects WHERE id = ?", (effect,))
    return (str(row[0]), str(row[1]), str(row[2])) if row else ("", "", "")


def finish(store: Store, effect: int, fence: int, result: dict[str, Any]) -> bool:
    """Record success; False when the lease is no longer the asker's."""
    store.execute(
        "UPDATE effects SET state = 'done', result = ?, error = '' WHERE id = ? AND fence = ?"
        " AND state <> 'done'",
        (packed(result), effect, fence),
    )
    return store.db.changes() == 1


def fail(store: Store, effect: int, fence: int, message: str, retry_at: float | None) -> bool:
    """Record failure: waiting until `retry_at`, or failed for good when None."""
    store.execute(
        "UPDATE effects SET state = ?, error = ?, not_before = ? WHERE id = ? AND fence = ?"
        " AND state <> 'done'",
        ("failed" if retry_at is None else "waiting", message, retry_at or 0.0, effect, fence),
    )
    return store.db.changes() == 1


def receive(store: Store, now: float, source: str, delivery: str, payload: dict[str, Any]) -> bool:
    """Keep a delivery; False when it was here before."""
    store.execute(
        "INSERT OR IGNORE INTO inbox (source, id, payload, at) VALUES (?, ?, ?, ?)",
        (source, delivery, packed(payload), now),
    )
    return store.db.changes() == 1


def reply(store: Store, key: str) -> bytes | None:
    """The stored reply of a keyed request."""
    row = store.one("SELECT reply FROM replies WHERE key = ?", (key,))
    return bytes(row[0]) if row else None


def keep_reply(store: Store, key: str, data: bytes, now: float) -> None:
    """Store the reply of a keyed request, in the transaction of what it did."""
    store.execute("INSERT INTO replies (key, reply, at) VALUES (?, ?, ?)", (key, data, now))


def prune(store: Store, before: float) -> None:
    """Forget replies, deliveries and finished effects older than `before`."""
    store.execute("DELETE FROM replies WHERE at < ?", (before,))
    store.execute("DELETE FROM inbox WHERE at < ?", (before,))
    store.execute(
        "DELETE FROM effects WHERE created_at < ? AND state IN ('done', 'failed')", (before,)
    )
