"""Rows of the runs of jobs: one function, one statement."""

from __future__ import annotations

from typing import Any

from orch.core.self_review import Ended
from orch.model import JobRun
from orch.store.db import Store

LOOKED_AT = 200
"""How many of a job's newest runs are looked at for one that goes on."""

_TASK_GOES_ON = (
    "(t.status IN ('new', 'routed', 'in_progress', 'in_review')"
    " OR t.status = 'blocked' AND t.delegated)"
)
"""A task that waits for a person holds up no job; one that waits for its subtasks does."""


def _run(row: dict[str, Any]) -> JobRun:
    row["manual"] = bool(row["manual"])
    return JobRun(**row)


def fire(store: Store, run: JobRun) -> int:
    """Record a firing under the next number, which is returned; the database refuses the same due
    time twice (`apsw.ConstraintError`)."""
    row = store.one(
        "INSERT INTO cursors (name, value) VALUES ('job_run', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    )
    store.execute(
        "INSERT INTO job_runs (project, job, due, run, type, manual, state, task, outcome, reason,"
        " summary, fired_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.project, run.job, run.due, int(row[0]), run.type, int(run.manual), run.state,
            run.task, run.outcome, run.reason, run.summary, run.fired_at, run.ended_at,
        ),
    )  # fmt: skip
    store.execute(
        "UPDATE jobs_seen SET runs = runs + 1 WHERE project = ? AND job = ?", (run.project, run.job)
    )
    return int(row[0])


def fired(store: Store, project: str, job: str, due: float) -> JobRun | None:
    """The firing for a due time, or None."""
    rows = store.rows(
        "SELECT * FROM job_runs WHERE project = ? AND job = ? AND due = ?", (project, job, due)
    )
    return _run(rows[0]) if rows else None


def get(store: Store, run: int) -> JobRun | None:
    """A run that has not ended, by its number; None when there is none."""
    rows = store.rows("SELECT * FROM job_runs WHERE state <> 'ended' AND run = ?", (run,))
    return _run(rows[0]) if rows else None


def open_ones(store: Store) -> list[JobRun]:
    """Every run of a command that has not ended, oldest first."""
    rows = store.rows(
        "SELECT * FROM job_runs WHERE state <> 'ended' AND type = 'bash' ORDER BY run"
    )
    return [_run(row) for row in rows]


def of_job(store: Store, project: str, job: str, limit: int) -> list[JobRun]:
    """A job's newest runs, newest first."""
    rows = store.rows(
        "SELECT * FROM job_runs WHERE project = ? AND job = ? ORDER BY run DESC LIMIT ?",
        (project, job, limit),
    )
    return [_run(row) for row in rows]


def last_due(store: Store, project: str, job: str) -> float | None:
    """The newest time for which the clock fired a job."""
    row = store.one(
        "SELECT due FROM job_runs WHERE project = ? AND job = ? AND NOT manual"
        " ORDER BY due DESC LIMIT 1",
        (project, job),
    )
    return float(row[0]) if row else None


def going_on(store: Store, project: str, job: str) -> tuple[str, int]:
    """What of a job goes on (its newest task or session, '' for nothing), and how many of its runs
    have not begun."""
    rows = store.rows(
        "SELECT r.task AS task, r.run AS run, r.state AS state, t.status AS status FROM"
        " (SELECT * FROM job_runs WHERE project = ? AND job = ? ORDER BY run DESC LIMIT ?) r"
        " LEFT JOIN tasks t ON t.key = r.task AND r.task <> ''"
        f" WHERE r.type = 'bash' AND r.state <> 'ended' OR r.type = 'task' AND {_TASK_GOES_ON}"
        " ORDER BY r.run DESC",
        (project, job, LOOKED_AT),
    )
    waiting = sum(row["state"] == "queued" or row["status"] in ("new", "routed") for row in rows)
    if not rows:
        return "", 0
    return rows[0]["task"] or f"run {rows[0]['run']}", waiting


def next_queued(store: Store, project: str, job: str) -> JobRun | None:
    """The oldest queued run of a job of which no command runs; None when there is none."""
    rows = store.rows(
        "SELECT * FROM job_runs q WHERE state = 'queued' AND project = ? AND job = ?"
        " AND NOT EXISTS (SELECT 1 FROM job_runs r WHERE r.state IN ('starting', 'running')"
        " AND r.type = 'bash' AND r.project = q.project AND r.job = q.job)"
        " ORDER BY run LIMIT 1",
        (project, job),
    )
    return _run(rows[0]) if rows else None


def over(store: Store) -> list[tuple[JobRun, str, str]]:
    """Runs that made a task which is over (or gone), with its status and what it came to."""
    rows = store.rows(
        "SELECT r.*, coalesce(t.status, 'gone') AS status,"
        " CASE t.status WHEN 'done' THEN t.summary ELSE t.blocked_reason END AS words"
        " FROM job_runs r LEFT JOIN tasks t ON t.key = r.task"
        f" WHERE r.state <> 'ended' AND r.type = 'task' AND NOT coalesce({_TASK_GOES_ON}, 0)"
    )
    return [(_run(row), row_status, words or "") for row, row_status, words in map(_parted, rows)]


def _parted(row: dict[str, Any]) -> tuple[dict[str, Any], str, str]:
    return row, row.pop("status"), row.pop("words")


def update(store: Store, run: JobRun, **columns: Any) -> None:
    """Set columns of a run that has not ended."""
    names = ", ".join(f"{name} = :{name}" for name in columns)
    store.execute(
        f"UPDATE job_runs SET {names} WHERE project = :of AND job = :the_job AND due = :at"
        " AND state <> 'ended'",
        {**columns, "of": run.project, "the_job": run.job, "at": run.due},
    )


def sessions(store: Store) -> dict[str, tuple[str, bool]]:
    """Sessions whose output is kept: each with its folder, and whether it has ended."""
    rows = store.rows(
        "SELECT session, folder, state FROM job_runs WHERE folder <> '' AND session <> ''"
    )
    return {row["session"]: (row["folder"], row["state"] == "ended") for row in rows}


def surplus(store: Store, keep: int, limit: int) -> list[JobRun]:
    """Ended runs with output beyond the newest `keep` of each job."""
    rows = store.rows(
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY project, job ORDER BY run DESC)"
        " AS place FROM job_runs WHERE folder <> '') WHERE place > ? AND state = 'ended' LIMIT ?",
        (keep, limit),
    )
    for row in rows:
        row.pop("place")
    return [_run(row) for row in rows]


def forget_folder(store: Store, folder: str) -> None:
    """The output in this folder is kept no longer."""
    store.execute("UPDATE job_runs SET folder = '' WHERE folder = ?", (folder,))


def prune(store: Store, before: float) -> None:
    """Drop ended runs without output that were due before a time, but for each job's newest."""
    store.execute(
        "DELETE FROM job_runs WHERE state = 'ended' AND folder = '' AND due < ? AND due < (SELECT"
        " max(due) FROM job_runs n WHERE n.project = job_runs.project AND n.job = job_runs.job"
        " AND NOT n.manual)",
        (before,),
    )


def ended_attempts(store: Store, project: str, since: float, limit: int = 20_000) -> list[Ended]:
    """A project's attempts that ended after `since`, newest first."""
    rows = store.rows(
        "SELECT a.task, t.title, t.complexity, a.agent, a.outcome,"
        " coalesce(a.error_class, '') AS error_class, a.error, a.ended_at,"
        " a.ended_at - coalesce(a.launched_at, a.started_at) AS seconds"
        " FROM attempts a JOIN tasks t ON t.key = a.task"
        " WHERE a.ended_at > ? AND t.project = ? ORDER BY a.ended_at DESC LIMIT ?",
        (since, project, limit),
    )
    return [Ended(**row) for row in rows]


def improvements(store: Store, project: str) -> list[tuple[str, float]]:
    """Title and time of every task that self-reviews of a project ever filed."""
    rows = store.rows(
        "SELECT title, created_at FROM tasks WHERE project = ? AND source = 'self-review'",
        (project,),
    )
    return [(row["title"], row["created_at"]) for row in rows]
