"""Rows of attempts, their memory and usage: one function, one statement."""

from __future__ import annotations

from typing import Any

from orch.core.status import check_phase
from orch.errors import NotFound
from orch.model import Attempt, ErrorClass, Phase, Usage
from orch.store.db import Store, packed, unpacked

_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "usd")


def _attempt(row: dict[str, Any]) -> Attempt:
    usage = Usage(**{name: row.pop(name) for name in _USAGE})
    row["phase"] = Phase(row["phase"])
    row["counted"] = bool(row["counted"])
    row["error_class"] = ErrorClass(row["error_class"]) if row["error_class"] else None
    return Attempt(**row, usage=usage)


def insert(store: Store, task: str, fence: int, agent: str, model: str, now: float) -> Attempt:
    """Claim a task: its next attempt, in phase `prepare`. The database refuses a second open one
    (`apsw.ConstraintError`)."""
    row = store.one(
        "INSERT INTO attempts (task, n, phase, fence, agent, model, started_at)"
        " VALUES (:task, (SELECT coalesce(max(n), 0) + 1 FROM attempts WHERE task = :task),"
        " 'prepare', :fence, :agent, :model, :now) RETURNING id",
        {"task": task, "fence": fence, "agent": agent, "model": model, "now": now},
    )
    return get(store, int(row[0]))


def get(store: Store, attempt: int) -> Attempt:
    """One attempt; raises `NotFound`."""
    rows = store.rows("SELECT * FROM attempts WHERE id = ?", (attempt,))
    if not rows:
        raise NotFound(f"there is no attempt {attempt}")
    return _attempt(rows[0])


def of_task(store: Store, task: str, limit: int = 200) -> list[Attempt]:
    """A task's attempts, oldest first (the newest `limit`)."""
    rows = store.rows(
        "SELECT * FROM attempts WHERE task = ? ORDER BY n DESC LIMIT ?", (task, limit)
    )
    return [_attempt(row) for row in reversed(rows)]


def since_fresh(store: Store, task: str) -> list[Attempt]:
    """A task's ended working attempts since it was last started over, oldest first."""
    rows = store.rows(
        "SELECT a.* FROM attempts a JOIN tasks t ON t.key = a.task WHERE a.task = ?"
        " AND a.phase = 'ended' AND a.kind = 'work' AND a.n > t.fresh_after ORDER BY a.n",
        (task,),
    )
    return [_attempt(row) for row in rows]


def before(store: Store, attempt: Attempt) -> list[Attempt]:
    """The ended attempts before this one since its task was last started over, oldest first: of
    the same kind, and in a review of the same commit."""
    rows = store.rows(
        "SELECT a.* FROM attempts a JOIN tasks t ON t.key = a.task WHERE a.task = :task"
        " AND a.phase = 'ended' AND a.n > t.fresh_after AND a.n < :n AND a.kind = :kind"
        " AND a.head = :head ORDER BY a.n",
        {"task": attempt.task, "n": attempt.n, "kind": attempt.kind, "head": attempt.head},
    )
    return [_attempt(row) for row in rows]


def open_ones(store: Store) -> list[Attempt]:
    """Every attempt that has not ended, oldest first."""
    rows = store.rows("SELECT * FROM attempts WHERE phase <> 'ended' ORDER BY id")
    return [_attempt(row) for row in rows]


def open_of(store: Store, task: str) -> Attempt | None:
    """A task's open attempt."""
    rows = store.rows("SELECT * FROM attempts WHERE task = ? AND phase <> 'ended'", (task,))
    return _attempt(rows[0]) if rows else None


def sessions(store: Store, task: str, ended_since: float | None, session: str) -> list[Attempt]:
    """Attempts with a session: open ones, those ended after `ended_since`, or one by name."""
    if session:
        sql, values = "session = :session", {"session": session}
    elif ended_since is None:
        sql, values = "phase <> 'ended'", {}
    else:
        sql, values = "(phase <> 'ended' OR ended_at >= :since)", {"since": ended_since}  # type: ignore[dict-item]
    if task:
        sql += " AND task = :task"
        values["task"] = task
    rows = store.rows(
        f"SELECT * FROM attempts WHERE {sql} AND session <> '' ORDER BY id LIMIT 2000", values
    )
    return [_attempt(row) for row in rows]


def update(store: Store, attempt: int, **columns: Any) -> None:
    """Set columns of an attempt; a new `phase` must be an allowed step."""
    if "phase" in columns:
        row = store.one("SELECT phase FROM attempts WHERE id = ?", (attempt,))
        check_phase(attempt, Phase(row[0]), columns["phase"])
    usage = columns.pop("usage", None)
    if usage is not None:
        columns.update({name: getattr(usage, name) for name in _USAGE})
    names = ", ".join(f"{name} = :{name}" for name in columns)
    values = {
        name: value.value if isinstance(value, Phase | ErrorClass) else value
        for name, value in columns.items()
    }
    store.execute(
        f"UPDATE attempts SET {names} WHERE id = :row_id AND phase <> 'ended'",
        {**values, "row_id": attempt},
    )


def load(store: Store) -> list[tuple[str, str]]:
    """Project and agent of each open attempt."""
    rows = store.rows(
        "SELECT t.project AS project, a.agent AS agent FROM attempts a"
        " JOIN tasks t ON t.key = a.task WHERE a.phase <> 'ended'"
    )
    return [(row["project"], row["agent"]) for row in rows]


def remember(store: Store, attempt: Attempt, **columns: Any) -> None:
    """Keep what an attempt taught, for the next one's prompt."""
    store.execute(
        "INSERT OR REPLACE INTO memory (attempt, task, agent, model, learnings, error, files,"
        " approach, seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt.id, attempt.task, attempt.agent, attempt.model,
            packed(columns["learnings"]), columns["error"], packed(columns["files"]),
            columns["approach"], columns["seconds"],
        ),
    )  # fmt: skip


def memory(store: Store, task: str, limit: int = 3) -> list[dict[str, Any]]:
    """What the last attempts taught, oldest first."""
    rows = store.rows(
        "SELECT m.*, a.n AS n, a.outcome AS outcome FROM memory m JOIN attempts a"
        " ON a.id = m.attempt WHERE m.task = ? ORDER BY m.attempt DESC LIMIT ?",
        (task, limit),
    )
    for row in rows:
        row["learnings"] = unpacked(row["learnings"])
        row["files"] = unpacked(row["files"])
    return list(reversed(rows))


def usage(store: Store, project: str = "") -> Usage:
    """Usage summed over all attempts of a project, or of all."""
    row = store.one(
        "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),"
        " coalesce(sum(cache_read_tokens), 0), coalesce(sum(cache_write_tokens), 0), sum(usd)"
        " FROM attempts WHERE :p = '' OR task IN (SELECT key FROM tasks WHERE project = :p)",
        {"p": project},
    )
    return Usage(**dict(zip(_USAGE, row, strict=True)))


def record(store: Store, since: float) -> dict[str, dict[str, float]]:
    """Per agent, of attempts ended after `since`: `runs`, `done`, and mean `seconds`."""
    rows = store.rows(
        "SELECT agent, count(*) AS runs, sum(outcome = 'done') AS done,"
        " avg(ended_at - started_at) AS seconds FROM attempts"
        " WHERE ended_at >= ? AND counted GROUP BY agent",
        (since,),
    )
    return {
        r["agent"]: {"runs": r["runs"], "done": r["done"], "seconds": round(r["seconds"] or 0, 3)}
        for r in rows
    }
