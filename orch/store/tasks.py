"""Rows of tasks: one function, one statement."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from orch.core.status import check_move
from orch.errors import NotFound
from orch.model import Profile, Status, Task
from orch.store.db import Store, packed, unpacked

_COLUMNS = (
    "key, project, title, body, labels, author, source, status, agent, wanted_agent, model,"
    " complexity, route_reason, route_warnings, route_failures, profile, parent, after,"
    " attempts, route_attempts, branch, worktree, pull_request, summary, blocked_reason,"
    " last_error, not_before, created_at, updated_at"
)
_LIGHT = _COLUMNS.replace("body,", "'' AS body,")

_READY = (
    " not_before <= :now"
    " AND NOT EXISTS (SELECT 1 FROM dependencies d JOIN tasks a ON a.key = d.after"
    " WHERE d.task = t.key AND a.status <> 'done')"
    " AND NOT EXISTS (SELECT 1 FROM tasks c WHERE c.parent = t.key AND c.parent <> ''"
    " AND c.status <> 'done')"
)


def _task(row: dict[str, Any]) -> Task:
    row.pop("id", None)
    row["labels"] = tuple(unpacked(row["labels"]))
    row["after"] = tuple(unpacked(row["after"]))
    row["status"] = Status(row["status"])
    row["route_warnings"] = tuple(unpacked(row["route_warnings"]))
    row["profile"] = Profile(**{k: _tuple(v) for k, v in unpacked(row["profile"]).items()})
    return Task(**row)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def insert_internal(store: Store, task: Task, priority: int) -> str:
    """Store a new internal task under the next free `int-N`; returns the key."""
    row = store.one(
        "INSERT INTO cursors (name, value) VALUES ('internal', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    )
    key = f"int-{int(row[0])}"
    store.execute(
        "INSERT INTO tasks (key, project, title, body, labels, author, source, status,"
        " wanted_agent, complexity, parent, after, priority, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key, task.project, task.title, task.body, packed(task.labels), task.author,
            task.source, task.status.value, task.wanted_agent, task.complexity, task.parent,
            packed(task.after), priority, task.created_at, task.created_at,
        ),
    )  # fmt: skip
    return key


def add_dependency(store: Store, key: str, after: str) -> None:
    """Hold `key` back until `after` is done."""
    store.execute("INSERT OR IGNORE INTO dependencies (task, after) VALUES (?, ?)", (key, after))


def find(store: Store, key: str) -> Task | None:
    """One task, or None."""
    rows = store.rows(f"SELECT {_COLUMNS} FROM tasks WHERE key = ?", (key,))
    return _task(rows[0]) if rows else None


def get(store: Store, key: str) -> Task:
    """One task; raises `NotFound`."""
    task = find(store, key)
    if task is None:
        raise NotFound(f"there is no task {key}", "`orch task list --all` shows all tasks")
    return task


def projects_of(store: Store, keys: list[str]) -> dict[str, str]:
    """Which of `keys` exist, with their projects."""
    rows = store.rows(
        "SELECT key, project FROM tasks WHERE key IN (SELECT value FROM json_each(?))",
        (packed(keys),),
    )
    return {row["key"]: row["project"] for row in rows}


COUNTED = 1000
"""How far matches are counted where no total is kept (by source, author or parent)."""


def page(
    store: Store,
    *,
    project: str = "",
    statuses: tuple[str, ...] = (),
    source: str = "",
    author: str = "",
    parent: str = "",
    limit: int = 200,
    before: str = "",
) -> tuple[list[Task], int]:
    """The newest `limit` tasks that match, oldest first and without bodies, and how many match
    (by source, author or parent: at most `COUNTED` are counted). Empty `statuses` means any;
    `before` (a key): only older ones. Each status is read off an index of its own, however many
    tasks there are."""
    wanted = statuses or tuple(status.value for status in Status)
    fixed = {"project": project, "source": source, "author": author, "parent": parent}
    given = {name: value for name, value in fixed.items() if value}
    where = "".join(f" AND t.{name} = :{name}" for name in given)
    older = " AND id < (SELECT id FROM tasks WHERE key = :before)" if before else ""
    rows: list[dict[str, Any]] = []
    for status in wanted:
        rows += store.rows(
            f"SELECT id, {_LIGHT} FROM tasks t WHERE status = :status{where}{older}"
            " ORDER BY id DESC LIMIT :limit",
            {**given, "status": status, "limit": limit, "before": before},
        )
    rows.sort(key=lambda row: int(row["id"]))
    total = _total(store, wanted, project, where if given.keys() - {"project"} else "", given)
    return [_task(row) for row in rows[-limit:]], total


def _total(
    store: Store, statuses: tuple[str, ...], project: str, where: str, given: dict[str, Any]
) -> int:
    if not where:
        held = counts(store, project)
        return sum(held.get(status, 0) for status in statuses)
    values = {**given, "statuses": packed(statuses), "most": COUNTED}
    row = store.one(
        "SELECT count(*) FROM (SELECT 1 FROM tasks t WHERE t.status IN"
        f" (SELECT value FROM json_each(:statuses)){where} LIMIT :most)",
        values,
    )
    return int(row[0])


def counts(store: Store, project: str = "") -> dict[str, int]:
    """How many tasks have each status."""
    rows = store.rows(
        "SELECT status, sum(n) AS n FROM totals WHERE :p = '' OR project = :p GROUP BY status",
        {"p": project},
    )
    return {row["status"]: row["n"] for row in rows if row["n"]}


Place = tuple[int, int]
"""Where a task stands in its queue: (-priority, id); smaller comes first."""

FRONT: Place = (-(1 << 60), 0)


def ready(
    store: Store,
    status: Status,
    now: float,
    projects: tuple[str, ...],
    after: Place,
    limit: int,
    agents: tuple[str, ...] | None = None,
) -> list[tuple[Place, Task]]:
    """Tasks of these projects (and of these agents alone, where they are named) that nothing of
    their own holds back, from behind a place in the queue on: priority first, then age."""
    rows = store.rows(
        f"SELECT id, priority, {_LIGHT} FROM tasks t WHERE status = :status"
        " AND (:agents IS NULL OR agent IN (SELECT value FROM json_each(:agents)))"
        f" AND {_READY} AND (priority < :p OR priority = :p AND id > :i)"
        " AND project IN (SELECT value FROM json_each(:projects))"
        " ORDER BY priority DESC, id LIMIT :limit",
        {
            "status": status.value,
            "now": now,
            "projects": packed(projects),
            "p": -after[0],
            "i": after[1],
            "limit": limit,
            "agents": None if agents is None else packed(agents),
        },
    )
    return [((-row.pop("priority"), row["id"]), _task(row)) for row in rows]


def next_due(store: Store, now: float) -> float | None:
    """When the next waiting task may be tried again (epoch seconds), None for never."""
    row = store.one(
        "SELECT min(not_before) FROM tasks WHERE status IN ('new', 'routed', 'in_review')"
        " AND not_before > ?",
        (now,),
    )
    return float(row[0]) if row and row[0] is not None else None


def unfinished_before(store: Store, key: str) -> list[str]:
    """The dependencies of a task that are not done."""
    rows = store.rows(
        "SELECT a.key FROM dependencies d JOIN tasks a ON a.key = d.after"
        " WHERE d.task = ? AND a.status <> 'done' ORDER BY a.id",
        (key,),
    )
    return [row["key"] for row in rows]


def children(store: Store, key: str, *, unfinished: bool = False) -> list[str]:
    """A task's children, oldest first."""
    rows = store.rows(
        "SELECT key FROM tasks WHERE parent = ? AND parent <> ''"
        + (" AND status <> 'done'" if unfinished else "")
        + " ORDER BY id",
        (key,),
    )
    return [row["key"] for row in rows]


def delegated(store: Store, key: str) -> bool:
    """Whether a task is blocked only until its children are done."""
    row = store.one("SELECT delegated FROM tasks WHERE key = ? AND status = 'blocked'", (key,))
    return bool(row and row[0])


def generations(store: Store, key: str) -> int:
    """How many tasks stand above this one, parent by parent."""
    row = store.one(
        "WITH RECURSIVE up (key, n) AS (VALUES (?, 0) UNION ALL"
        " SELECT t.parent, up.n + 1 FROM tasks t JOIN up ON t.key = up.key"
        " WHERE t.parent <> '' AND up.n < 1000)"
        " SELECT max(n) FROM up",
        (key,),
    )
    return int(row[0])


def update(store: Store, key: str, now: float, **columns: Any) -> None:
    """Set columns of a task; a new `status` must be an allowed move."""
    if "status" in columns:
        old = Status(store.one("SELECT status FROM tasks WHERE key = ?", (key,))[0])
        if old is not columns["status"]:
            check_move(key, old, columns["status"])
    names = ", ".join(f"{name} = :{name}" for name in columns)
    values = {name: _plain(value) for name, value in columns.items()}
    store.execute(
        f"UPDATE tasks SET {names}, updated_at = :at WHERE key = :row_key",
        {**values, "at": now, "row_key": key},
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Status):
        return value.value
    if isinstance(value, Profile):
        return packed(asdict(value))
    return packed(value) if isinstance(value, tuple | list) else value
