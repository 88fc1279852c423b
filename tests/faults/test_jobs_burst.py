"""Many commands that are due in one moment: all run, each once, and never too many at a time."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate

import pytest

from services.engine.job_runs import MOST_AT_ONCE
from tests.support.job_file import fire, wait_ended, write_jobs
from tests.support.world import World

JOBS = 70


@pytest.mark.timeout(600)
def test_of_many_commands_so_many_run_at_a_time_and_each_once(world: World) -> None:
    ran, gate = world.root / "ran", world.root / "gate"
    wait = f"while [ ! -e {gate} ]; do sleep 0.1; done"
    command = f"echo + $ORCH_JOB >> {ran}; {wait}; echo - $ORCH_JOB >> {ran}"
    world.up()
    write_jobs(world, *({"id": f"j{n}", "type": "bash", "command": command} for n in range(JOBS)))
    runs = {f"j{n}": fire(world, f"j{n}").run for n in range(JOBS)}
    world.until(
        lambda: ran.exists() and len(lines(ran)) >= MOST_AT_ONCE, "the most run", seconds=120
    )
    world.kill("engine")
    gate.touch()
    for name, run in runs.items():
        assert wait_ended(world, name, run, seconds=180).outcome == "done"
    assert Counter(lines(ran)) == Counter(f"{sign} j{n}" for sign in "+-" for n in range(JOBS))
    at_once = list(accumulate(1 if line[0] == "+" else -1 for line in lines(ran)))
    assert max(at_once) == MOST_AT_ONCE


def lines(path) -> list[str]:
    """What the commands have written."""
    return path.read_text().splitlines()
