"""Two schedulers on one home, killed and started again at random around the minute, the engine too:
each due time is fired exactly once, and those are the times that another library gives."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from orch.errors import Unavailable
from orch.messages import ListJobs
from orch.supervisor.roster import BUILT_IN
from tests.support.cron_lines import theirs
from tests.support.job_file import detail, write_jobs
from tests.support.timed_scheduler import write_clock
from tests.support.world import ROOT, World

JOBS, MINUTES = 100, 10

STEPS = (-20.0, -6.0, -2.0, -0.5, 0.0, 0.3, 1.0, 4.0, 15.0)
"""Where the time stands around each full minute, in seconds."""

OFTEN = ("* * * * *", "*/2 * * * *", "*/3 * * * *", "1-59/2 * * * *", "*/7 * * * *")

PATIENCE = 90.0
"""Seconds without any progress until it is given up."""


class Two:
    """Two schedulers and the clock that they share."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.clock = world.root / "clock"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kills: Counter[str] = Counter()

    def start(self, name: str) -> None:
        """Start a scheduler, unless it runs."""
        running = self.processes.get(name)
        if running is not None and running.poll() is None:
            return
        env = {**self.world.env, "ORCH_SERVICE": name, "ORCH_CLOCK": str(self.clock)}
        with (self.world.root / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.support.timed_scheduler"],
                env=env, cwd=ROOT, stdout=out, stderr=out,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """`kill -9` a scheduler, or the engine."""
        self.kills[name] += 1
        if name == "engine":
            pid = self.world.pid("engine")
            if pid:
                os.kill(pid, 9)
            return
        self.processes[name].kill()
        self.processes[name].wait()

    def disturb(self) -> None:
        """Somebody dies, or is started again."""
        what = self.chance.choice(["one", "two", "both", "engine", "start", "start", "start"])
        for name in {"one": ("one",), "two": ("two",), "both": ("one", "two")}.get(what, ()):
            self.kill(name)
        if what == "engine":
            self.kill("engine")
        if what == "start":
            self.start("one")
            self.start("two")

    def close(self) -> None:
        """End both."""
        for process in self.processes.values():
            process.kill()
            process.wait()


def without_a_scheduler(world: World) -> None:
    """Let orchd run no scheduler, and start an engine again however often it is killed."""
    services = [
        {"name": one.name, "module": one.module, "sockets": one.sockets}
        for one in BUILT_IN.services
        if one.name != "scheduler"
    ]
    limits = {"first_wait": 0.05, "longest_wait": 0.1, "crashes": 1000}
    plan = world.root / "roster.json"
    plan.write_text(json.dumps({"services": services, "limits": limits}))
    world.env["ORCH_ROSTER"] = str(plan)


def some_jobs(chance: random.Random, ran: Path) -> list[dict[str, object]]:
    """Jobs of every type on lines that come within ten minutes, some of them never."""
    jobs: list[dict[str, object]] = []
    for number in range(JOBS):
        line = chance.choice(
            [*OFTEN, f"{chance.randrange(60)},{chance.randrange(60)} * * * *", "0 0 29 2 *"]
        )
        zone = chance.choice(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
        one: dict[str, object] = {"id": f"j{number}", "schedule": line, "timezone": zone}
        if number % 10 == 0:
            command = f'echo "$ORCH_JOB $ORCH_JOB_DUE" >> {ran}'
            one |= {"type": "bash", "command": command, "overlap": "allow"}
        elif number % 10 == 1:
            one |= {"task": {"title": f"Task {number}"}, "overlap": "allow"}
        else:
            one |= {"type": "self-review"}
        jobs.append(one)
    return jobs


@pytest.mark.timeout(900)
def test_each_due_time_is_fired_exactly_once(world: World) -> None:
    seed = int(os.environ.get("ORCH_SEED") or random.randrange(1 << 30))
    print(f"\nseed {seed} (ORCH_SEED={seed} repeats it)")
    chance = random.Random(seed)
    ran = world.root / "ran"
    ran.touch()
    world.configure("workflow:\n  required_tools: [no-such-tool-here]\n")
    without_a_scheduler(world)
    world.up()
    jobs = some_jobs(chance, ran)
    write_jobs(world, *jobs)
    begin = time.time()
    end = begin + MINUTES * 60
    expected = {
        one.id: theirs(one.schedule, one.timezone, one.seen_at or begin, end)
        for one in world.ask(ListJobs()).jobs
    }
    two = Two(world, chance)
    write_clock(two.clock, begin)
    two.start("one")
    two.start("two")
    try:
        run_the_clock(world, two, begin, end, expected)
    finally:
        two.close()

    fired = {name: sorted(run.due for run in detail(world, name).runs) for name in expected}
    assert fired == expected
    assert sum(map(len, expected.values())) > 200
    commands = Counter(ran.read_text().split("\n")[:-1])
    owed = [f"{one['id']} {at:.0f}" for one in jobs if one.get("type") == "bash"
            for at in expected[str(one["id"])]]  # fmt: skip
    assert commands == Counter(owed), "each command ran exactly once"
    print(f"{sum(map(len, fired.values()))} times fired, killed: {dict(two.kills)}")
    assert two.kills.total() >= 10


def run_the_clock(
    world: World, two: Two, begin: float, end: float, expected: dict[str, list[float]]
) -> None:
    """Let the time go on in small steps around each full minute, with deaths between them. The next
    minute begins when the times of the one before are fired: a time that is late by more than
    another one is not fired itself, by `catch_up`."""
    minute = begin // 60 * 60
    while (minute := minute + 60) <= end:
        for seconds in STEPS:
            write_clock(two.clock, minute + seconds)
            if two.chance.random() < 0.4:
                two.disturb()
            time.sleep(two.chance.uniform(0.0, 0.1))
        wait_fired(world, two, sum(at <= minute for times in expected.values() for at in times))
    world.until(
        lambda: all(
            run.state == "ended"
            for name in expected
            for run in detail(world, name).runs
            if run.type == "bash"
        ),
        "every command has ended",
        seconds=PATIENCE,
    )


def wait_fired(world: World, two: Two, due: int) -> None:
    """Until so many times were fired in all: whenever some were, somebody may die again."""
    found = disturbed_at = 0
    progress = time.monotonic()
    while found < due:
        with contextlib.suppress(Unavailable):  # the engine may have died
            seen = sum(one.runs for one in world.ask(ListJobs()).jobs)
            if seen > found:
                found, progress = seen, time.monotonic()
        if found >= disturbed_at + two.chance.randrange(5, 30) and found < due:
            disturbed_at = found
            two.disturb()
        elif time.monotonic() > progress + 1.0:
            two.start("one")
            two.start("two")
        assert time.monotonic() < progress + PATIENCE, f"{found} of {due} fired\n{world.logs()}"
        time.sleep(0.05)
