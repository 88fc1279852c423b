"""What broke in systems like this one, each test named after its line (Scheduler); those that need
an engine."""

from __future__ import annotations

from orch.messages import CloseTask, EventsSince, GetJob
from tests.support.job_file import detail, fire, wait_ended, write_jobs


def test_job_blocked_for_ever_by_a_stale_active_task(world):
    world.up()
    gate = world.root / "gate"
    body = f"do: wait {gate}"
    write_jobs(
        world,
        {"id": "skip", "task": {"title": "Skip", "body": body}},
        {"id": "queue", "task": {"title": "Queue", "body": body}, "overlap": "queue"},
    )
    first = fire(world, "skip").task
    world.wait_for(task=first, status="in_progress")
    for _ in range(3):  # a skipped run must not count as the last one
        assert fire(world, "skip").outcome == "skipped"
    world.ask(CloseTask(first))
    world.wait_for(task=first, status="done")
    again = fire(world, "skip")
    assert again.outcome == "started"
    assert detail(world, "skip").job.active == again.task

    one, last = fire(world, "queue").task, fire(world, "queue")
    two = last.task
    assert one in world.task(two)["waiting_for"]
    gate.touch()
    world.wait_for(task=two, status="done")
    assert wait_ended(world, "queue", last.run).outcome == "done"
    assert fire(world, "skip").outcome == "started"
    closed = wait_ended(world, "skip", 1)
    assert (closed.task, closed.outcome) == (first, "done")
    told = world.ask(EventsSince(names=("job_ended",))).events
    assert {event.task for event in told} >= {first, one, two}
    assert {event.data["outcome"] for event in told} == {"done"}


def test_a_restart_job_killing_its_own_parent(world):
    world.up()
    before = {name: world.pid(name) for name in ("engine", "scheduler", "capture")}
    orch = f"{world.env['PYTHONPATH']}/.venv/bin/orch"
    command = f"echo begin; PYTHONPATH={world.env['PYTHONPATH']} {orch} service restart; echo end"
    write_jobs(world, {"id": "restart", "type": "bash", "command": command})

    ended = wait_ended(world, "restart", fire(world, "restart").run)

    assert (ended.outcome, ended.summary) == ("done", "end"), world.orch(
        "job", "log", "restart"
    ).out
    after = {name: world.pid(name) for name in before}
    assert all(after[name] != before[name] for name in before)
    assert len(world.ask(GetJob("restart")).runs) == 1


def test_a_run_that_made_a_task_goes_on_as_long_as_its_task(world):
    world.up()
    gate = world.root / "gate"
    write_jobs(
        world,
        {"id": "task", "task": {"title": "Work", "body": f"do: wait {gate}"}},
        {"id": "bash", "type": "bash", "command": "sleep 3"},
    )
    run = fire(world, "task")
    wait_ended(world, "bash", fire(world, "bash").run)  # meanwhile all sessions are looked at
    assert detail(world, "task").runs[0].state == "running"
    gate.touch()
    assert wait_ended(world, "task", run.run).outcome == "done"
    told = world.ask(EventsSince(names=("job_ended",), task=run.task)).events
    assert len(told) == 1
