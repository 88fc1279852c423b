"""Rows of hooks: how far each has come in the events log. One function, one statement."""

from __future__ import annotations

from orch.store.db import Store, packed


def keep(store: Store, names: tuple[str, ...], seq: int) -> None:
    """Note which hooks there are: a new one begins after `seq`; what is no more is forgotten."""
    store.execute(
        "DELETE FROM hooks WHERE name NOT IN (SELECT value FROM json_each(?))", (packed(names),)
    )
    store.execute(
        "INSERT OR IGNORE INTO hooks (name, seq) SELECT value, ? FROM json_each(?)",
        (seq, packed(names)),
    )


def places(store: Store) -> dict[str, int]:
    """Each hook's place: the last event that it has done with."""
    return {row["name"]: row["seq"] for row in store.rows("SELECT name, seq FROM hooks")}


def move(store: Store, name: str, seq: int) -> None:
    """A hook has done with the events up to `seq`."""
    store.execute("UPDATE hooks SET seq = max(seq, ?) WHERE name = ?", (seq, name))
