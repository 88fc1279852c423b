"""The events log: one row per change, in the transaction of the change."""

from __future__ import annotations

from typing import Any

from orch.model import Event
from orch.store.db import Store, packed, unpacked


def append(store: Store, at: float, name: str, task: str = "", /, **data: Any) -> None:
    """Append an event. Called inside the transaction that makes the change."""
    store.execute(
        "INSERT INTO events (at, name, task, data) VALUES (?, ?, ?, ?)",
        (at, name, task, packed(data)),
    )


def last(store: Store) -> int:
    """The newest seq, 0 for none."""
    row = store.one("SELECT max(seq) FROM events")
    return int(row[0] or 0)


def since(
    store: Store, seq: int, since_at: float, task: str, names: tuple[str, ...], limit: int
) -> list[Event]:
    """Events after `seq` and not before `since_at`, oldest first, at most `limit`."""
    sql = "SELECT seq, at, name, task, data FROM events WHERE seq > :seq"
    values: dict[str, Any] = {"seq": seq, "limit": limit}
    if since_at:
        sql += " AND seq >= coalesce((SELECT min(seq) FROM events WHERE at >= :at), 1 << 60)"
        values["at"] = since_at
    if task:
        sql += " AND task = :task"
        values["task"] = task
    if names:
        sql += " AND name IN (SELECT value FROM json_each(:names))"
        values["names"] = packed(names)
    found = store.rows(sql + " ORDER BY seq LIMIT :limit", values)
    return [
        Event(seq=r["seq"], at=r["at"], name=r["name"], task=r["task"], data=unpacked(r["data"]))
        for r in found
    ]
