"""Jobs of a world's first project: written, waited for, fired, seen to end."""

from __future__ import annotations

import json
from typing import Any

from orch.messages import GetJob, JobDetail, JobFired, ListJobs, RunJob
from orch.model import JobRun
from tests.support.world import World


def write_jobs(world: World, *jobs: dict[str, Any]) -> None:
    """Write the jobs into the project's file and wait until the engine knows them."""
    usual = {"schedule": "0 0 1 1 *", "timezone": "UTC"}
    lines = [f"  - {json.dumps(usual | job)}" for job in jobs]
    text = f"gh:\n  repo: {world.slug(world.repo)}\njobs:\n" + "\n".join(lines) + "\n"
    fresh = world.repo / ".orch.yml.new"
    fresh.write_text(text)
    fresh.replace(world.repo / ".orch.yml")
    names = [job["id"] for job in jobs]
    world.until(
        lambda: [one.id for one in world.ask(ListJobs()).jobs] == names, "the engine has the jobs"
    )


def detail(world: World, name: str) -> JobDetail:
    """A job with its runs, newest first."""
    return world.ask(GetJob(name, limit=200))


def fire(world: World, name: str) -> JobFired:
    """Run a job by hand."""
    return world.ask(RunJob(name))


def wait_ended(world: World, name: str, run: int, seconds: float = 60) -> JobRun:
    """Wait until a run has ended."""
    last: list[JobRun] = []

    def there() -> bool:
        last[:] = [one for one in detail(world, name).runs if one.run == run]
        return bool(last) and last[0].state == "ended"

    world.until(there, f"run {run} of {name} ended", seconds=seconds, show=lambda: str(last))
    return last[0]
