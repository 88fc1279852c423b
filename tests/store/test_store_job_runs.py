"""Runs of jobs in a real database: the older schema taken over, what goes on, what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from orch.model import JobRun, Status, Task
from orch.store import job_runs, jobs, tasks
from orch.store.db import Store

MIGRATIONS = Path(job_runs.__file__).parent / "migrations"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "orch.db")
    opened.take_over()
    yield opened
    opened.close()


def fire(store: Store, due: float, **more: object) -> int:
    """A run of job `j` with these columns; returns its number."""
    folder = {name: more.pop(name) for name in ("session", "folder") if name in more}
    run = JobRun(project="o/r", job="j", due=due, **more)  # type: ignore[arg-type]
    with store.transaction():
        number = job_runs.fire(store, run)
        if folder:
            job_runs.update(store, run, **folder)
    return number


def task(store: Store, *statuses: Status) -> str:
    with store.transaction():
        key = tasks.insert_internal(store, Task(key="", project="o/r", title="t"), 0)
        for status in statuses:
            tasks.update(store, key, 2.0, status=status)
    return key


def going_on(store: Store) -> tuple[str, int]:
    return job_runs.going_on(store, "o/r", "j")


def test_runs_of_the_first_schema_are_numbered_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    old = apsw.Connection(str(path))
    old.execute((MIGRATIONS / "0001_first.sql").read_text())
    old.execute("INSERT INTO schema_history (version, name, at) VALUES (1, '0001_first.sql', 1.0)")
    old.execute("INSERT INTO jobs_seen VALUES ('o/r', 'j', '* * * * *', 1.0)")
    for due, made in ((120.0, ""), (60.0, "int-1")):
        old.execute("INSERT INTO job_runs VALUES ('o/r', 'j', ?, ?, '', ?)", (due, made, due + 1))
    old.execute("PRAGMA user_version = 1")
    old.close()

    store = Store(path)
    store.take_over()
    newest, oldest = job_runs.of_job(store, "o/r", "j", 10)
    assert [(newest.run, newest.outcome), (oldest.run, oldest.task)] == [
        (2, "skipped"),
        (1, "int-1"),
    ]
    assert jobs.seen(store, "o/r", "j") == (1.0, 2)
    assert job_runs.last_due(store, "o/r", "j") == 120.0
    assert fire(store, 180.0) == 3
    store.close()


@pytest.mark.parametrize(
    ("statuses", "busy"),
    [
        ((), True),
        ((Status.ROUTED, Status.IN_PROGRESS), True),
        ((Status.ROUTED, Status.IN_PROGRESS, Status.IN_REVIEW), True),
        ((Status.DONE,), False),
        ((Status.BLOCKED,), False),
        ((Status.NEEDS_REVIEW,), False),
    ],
)
def test_a_job_is_busy_while_its_task_may_still_run(store: Store, statuses, busy) -> None:
    key = task(store, *statuses)
    fire(store, 60.0, task=key, state="running")
    fire(store, 120.0, outcome="skipped")
    assert going_on(store) == ((key, int(not statuses)) if busy else ("", 0))


def test_a_task_that_waits_for_its_subtasks_goes_on_and_a_deleted_one_does_not(
    store: Store,
) -> None:
    key = task(store, Status.BLOCKED)
    fire(store, 60.0, task=key, state="running")
    with store.transaction():
        tasks.update(store, key, 3.0, delegated=1)
    assert going_on(store)[0] == key
    assert job_runs.over(store) == []
    with store.transaction():
        store.execute("DELETE FROM tasks WHERE key = ?", (key,))
    assert going_on(store) == ("", 0)
    assert [status for _, status, _ in job_runs.over(store)] == ["gone"]


def test_commands_wait_for_each_other_in_their_order(store: Store) -> None:
    numbers = [
        fire(store, at, type="bash", state=state)
        for at, state in ((60.0, "running"), (120.0, "queued"), (180.0, "queued"))
    ]
    assert going_on(store) == (f"run {numbers[2]}", 2)
    assert job_runs.next_queued(store, "o/r", "j") is None
    first = job_runs.get(store, numbers[0])
    assert first is not None
    with store.transaction():
        job_runs.update(store, first, state="ended", outcome="done")
    queued = job_runs.next_queued(store, "o/r", "j")
    assert queued is not None
    assert queued.run == numbers[1]


def test_a_run_by_hand_is_no_time_of_the_clock(store: Store) -> None:
    fire(store, 60.0)
    fire(store, 90.5, manual=True)
    assert job_runs.last_due(store, "o/r", "j") == 60.0


def test_old_runs_are_forgotten_but_for_the_newest_and_those_with_output(store: Store) -> None:
    for at in (60.0, 120.0, 180.0, 240.0):
        fire(store, at, type="bash", state="running", session=f"s{at}", folder=f"/f/{at:.0f}")
    with store.transaction():
        for run in job_runs.open_ones(store):
            job_runs.update(store, run, state="ended")
    assert [run.folder for run in job_runs.surplus(store, 3, 10)] == ["/f/60"]
    with store.transaction():
        for at in (60, 240):
            job_runs.forget_folder(store, f"/f/{at}")
        job_runs.prune(store, 1000.0)
    assert [run.due for run in job_runs.of_job(store, "o/r", "j", 10)] == [240.0, 180.0, 120.0]
    assert job_runs.sessions(store) == {"s120.0": ("/f/120", True), "s180.0": ("/f/180", True)}
