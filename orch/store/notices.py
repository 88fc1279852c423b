"""Rows of what a person was told: one function, one statement."""

from __future__ import annotations

from orch.model import Event
from orch.store.db import Store, unpacked


def first(store: Store, about: str, now: float) -> bool:
    """Note that something is told; false when it was told before."""
    row = store.one(
        "INSERT INTO told (about, at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1",
        (about, now),
    )
    return bool(row)


def known(store: Store, about: str) -> bool:
    """Whether something was told."""
    return bool(store.one("SELECT 1 FROM told WHERE about = ?", (about,)))


def settle(store: Store, about: str) -> None:
    """Let something be told again; a `*` at the end stands for anything."""
    if about.endswith("*"):
        store.execute(
            "DELETE FROM told WHERE substr(about, 1, ?) = ?", (len(about) - 1, about[:-1])
        )
    else:
        store.execute("DELETE FROM told WHERE about = ?", (about,))


def prune(store: Store, before: float) -> None:
    """Forget what was told before then."""
    store.execute("DELETE FROM told WHERE at < ?", (before,))


def latest(store: Store, since: float, limit: int) -> list[Event]:
    """The newest notices since then, oldest first: of a task only while it still waits for
    somebody, or goes on at a warning. What agents ask is left out: sessions show it."""
    rows = store.rows(
        "SELECT e.seq, e.at, e.name, e.task, e.data FROM events e"
        " LEFT JOIN tasks t ON t.key = e.task WHERE e.name = 'notice_given' AND e.at >= ?"
        " AND json_extract(e.data, '$.approval') IS NULL"
        " AND (t.key IS NULL OR t.status IN ('blocked', 'needs_review')"
        " OR t.status <> 'done' AND json_extract(e.data, '$.level') = 'warning')"
        " ORDER BY e.seq DESC LIMIT ?",
        (since, limit),
    )
    return [
        Event(seq=r["seq"], at=r["at"], name=r["name"], task=r["task"], data=unpacked(r["data"]))
        for r in reversed(rows)
    ]
