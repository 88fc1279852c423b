"""The engine is killed at every inner moment of an attempt: nobody can tell afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from orch.messages import AddPlan, PlannedTask
from tests.support.job_file import detail, fire, wait_ended, write_jobs
from tests.support.world import World

MOST = 60
"""More moments than one task has; the test finds out how many there are."""


def moments(world: World) -> int:
    """How many moments there have been so far."""
    return len((world.root / "strike" / "moments").read_text().splitlines())


def one_task(world: World, ran: Path, title: str) -> dict:
    """Add a task that tells how often it ran, and see it done."""
    added = world.add(title, f"write done-{title}.txt {title}", "say hello", f"count {ran}")
    return world.wait_for(task=added, status="done", seconds=60)


@pytest.mark.timeout(900)
def test_a_task_ends_as_if_nothing_had_happened_wherever_the_engine_dies(mortal: World):
    mortal.up()
    ran = mortal.root / "ran"
    one_task(mortal, ran, "measure")
    died = []
    for step in range(1, MOST):
        (mortal.root / "strike" / "died").unlink(missing_ok=True)
        (mortal.root / "strike" / "strike").write_text(str(moments(mortal) + step))
        task = one_task(mortal, ran, f"t{step}")
        if not (mortal.root / "strike" / "died").exists():
            break
        died.append((mortal.root / "strike" / "died").read_text())
        assert len(task["attempts"]) == 1, (died[-1], task)
        log = Path(task["attempts"][0]["folder"]) / "terminal.log"
        assert log.read_bytes() == b"hello\n", died[-1]
        files = mortal.git("diff", "--name-only", f"main...{task['branch']}").split()
        assert files == [f"done-t{step}.txt"], died[-1]
    assert len(died) >= 12, died
    phases = {
        word for word in ("prepare", "running", "collect", "deliver") for d in died if word in d
    }
    assert phases == {"prepare", "running", "collect", "deliver"}, died
    assert ran.stat().st_size == len(died) + 2, "an agent ran twice"


@pytest.mark.timeout(900)
def test_a_jobs_command_runs_once_wherever_the_engine_dies(mortal: World):
    mortal.up()
    ran = mortal.root / "ran"
    write_jobs(mortal, {"id": "count", "type": "bash", "command": f"echo x >> {ran}; echo over"})
    wait_ended(mortal, "count", fire(mortal, "count").run)
    died = []
    for step in range(1, MOST):
        (mortal.root / "strike" / "died").unlink(missing_ok=True)
        (mortal.root / "strike" / "strike").write_text(str(moments(mortal) + step))
        run = wait_ended(mortal, "count", fire(mortal, "count").run)
        if not (mortal.root / "strike" / "died").exists():
            break
        died.append((mortal.root / "strike" / "died").read_text())
        assert (run.outcome, run.summary) == ("done", "over"), died[-1]
        assert ran.read_text() == "x\n" * (len(died) + 1), f"ran more than once: {died[-1]}"
    assert len(died) >= 8, died
    assert {word for word in ("starting", "running") for d in died if word in d} == {
        "starting", "running",
    }  # fmt: skip
    assert len({run.run for run in detail(mortal, "count").runs}) == len(died) + 2


@pytest.mark.timeout(300)
def test_a_plan_is_there_whole_and_once_wherever_the_engine_dies(mortal: World):
    mortal.up()
    steps = (
        PlannedTask(title="ground"),
        PlannedTask(title="walls", after=(0,)),
        PlannedTask(title="roof", after=(0, 1)),
    )
    died = []
    for step in (1, 2):
        (mortal.root / "strike" / "died").unlink(missing_ok=True)
        (mortal.root / "strike" / "strike").write_text(str(_counted(mortal) + step))
        added = mortal.ask(AddPlan("octo/demo", steps, f"House {step}"))
        died.append((mortal.root / "strike" / "died").read_text())
        first = 4 * step - 3
        keys = [f"int-{number}" for number in range(first, first + 4)]
        assert (added.parent, *added.tasks) == tuple(keys), died[-1]
        tasks = mortal.wait_all_done(4 * step)
        assert [task.key for task in tasks][-4:] == keys, died[-1]
        after = {task.title: task.after for task in tasks[-4:]}
        assert after["roof"] == (keys[1], keys[2]), died[-1]
        assert {task.parent for task in tasks[-3:]} == {keys[0]}, died[-1]
    assert [moment.split(": ")[1] for moment in died] == ["before commit", "after commit"]


def _counted(world: World) -> int:
    """How many moments there have been, should there have been any."""
    return moments(world) if (world.root / "strike" / "moments").exists() else 0
