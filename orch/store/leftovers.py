"""Whose what is on disk is, and forgetting old events: one function, one statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orch.core.keeping import Owner
from orch.model import Status
from orch.store.db import Store, packed

_OWNER = (
    "SELECT t.key, t.project, t.status, t.updated_at, t.worktree, t.branch, EXISTS"
    " (SELECT 1 FROM attempts a WHERE a.task = t.key AND a.phase <> 'ended') AS busy"
    " FROM tasks t WHERE "
)
_NAMED = " IN (SELECT value FROM json_each(?))"


_BESIDE = (".review", ".merge")
"""What the worktrees in which work is reviewed and merged are called, after the task's own."""


def of_worktrees(store: Store, folders: Iterable[str]) -> dict[str, Owner]:
    """The tasks that these worktrees belong to, by folder; those beside a task's own too."""
    named = [*folders]
    rows = store.rows(f"{_OWNER} t.worktree <> '' AND t.worktree{_NAMED}", (packed(named),))
    found = {row["worktree"]: _owner(row) for row in rows}
    for folder in (one for one in named if one.endswith(_BESIDE)):
        own = folder.rpartition(".")[0]
        rows = store.rows(
            f"{_OWNER} t.key IN (SELECT task FROM attempts WHERE worktree = ?)", (own,)
        )
        found.update((folder, _owner(row)) for row in rows)
    return found


def of_branches(store: Store, branches: Iterable[str]) -> dict[tuple[str, str], Owner]:
    """The tasks that these branches belong to, by project and branch."""
    rows = store.rows(f"{_OWNER} t.branch <> '' AND t.branch{_NAMED}", (packed([*branches]),))
    return {(row["project"], row["branch"]): _owner(row) for row in rows}


def of_keys(store: Store, keys: Iterable[str]) -> dict[str, Owner]:
    """The tasks of these keys."""
    rows = store.rows(f"{_OWNER} t.key{_NAMED}", (packed([*keys]),))
    return {row["key"]: _owner(row) for row in rows}


def of_sessions(store: Store, names: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """The attempts that had these sessions, the latest of each: its folder, and whether it has
    not ended."""
    rows = store.rows(
        "SELECT session, folder, phase <> 'ended' AS busy FROM attempts"
        f" WHERE session <> '' AND session{_NAMED} ORDER BY id",
        (packed([*names]),),
    )
    return {row["session"]: (row["folder"], bool(row["busy"])) for row in rows}


def projects(store: Store) -> list[str]:
    """Every project that ever had a task."""
    return [row["project"] for row in store.rows("SELECT DISTINCT project FROM totals")]


_OLD_EVENTS = (
    " FROM events WHERE (at < :before OR seq < (SELECT max(seq) FROM events) - :most)"
    " AND seq < (SELECT max(seq) FROM events)"
    " AND task NOT IN (SELECT key FROM tasks WHERE status <> 'done')"
)


def old_events(store: Store, before: float, most: int) -> int:
    """How many events are older than `before` or beyond the newest `most`, and of no open task."""
    values = {"before": before, "most": most}
    return int(store.one(f"SELECT count(*){_OLD_EVENTS}", values)[0])


def forget_events(store: Store, before: float, most: int, limit: int) -> int:
    """Forget such events, the oldest first, at most `limit`; how many went."""
    store.execute(
        f"DELETE FROM events WHERE seq IN (SELECT seq{_OLD_EVENTS} ORDER BY seq LIMIT :limit)",
        {"before": before, "most": most, "limit": limit},
    )
    return store.db.changes()


def _owner(row: dict[str, Any]) -> Owner:
    return Owner(
        row["key"], row["project"], Status(row["status"]), row["updated_at"], bool(row["busy"])
    )
