"""A long time under load with a kill every second: what orchd holds does not grow."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from orch.core.supervised import Limits
from orch.errors import OrchError
from orch.messages import AddTask
from orch.supervisor.memory import pss_bytes
from orch.supervisor.roster import BUILT_IN, ROSTER_VARIABLE
from tests.support.world import World

SEED = int(os.environ.get("ORCH_SEED") or time.time_ns() % 100_000)
SECONDS = float(os.environ.get("ORCH_SOAK_SECONDS") or 60)
WARM_UP = 10
"""Kills before the first measure: by then everything that is made once has been made."""

SERVICES = ("engine", "scheduler", "capture")


class Held(msgspec.Struct):
    """What a process holds: bytes (PSS), descriptors, threads, dead children not collected."""

    pss: int
    fds: int
    threads: int
    zombies: int


@pytest.fixture(params=["fork", "exec"])
def soaked(request: pytest.FixtureRequest, world: World) -> Iterator[World]:
    """A world whose services may crash as often as they like."""
    print(f"ORCH_SEED={SEED} ORCH_SOAK_SECONDS={SECONDS:g}")
    limits = Limits(crashes=1_000_000, first_wait=0.02, longest_wait=0.1)
    roster = world.root / "roster.json"
    roster.write_bytes(msgspec.json.encode(msgspec.structs.replace(BUILT_IN, limits=limits)))
    world.env[ROSTER_VARIABLE] = str(roster)
    world.up(f"--spawn={request.param}")
    return world


def held(pid: int) -> Held:
    """What a process holds now."""
    process = psutil.Process(pid)
    dead = [one for one in process.children() if one.status() == psutil.STATUS_ZOMBIE]
    return Held(pss_bytes(pid), process.num_fds(), process.num_threads(), len(dead))


def settled(world: World) -> dict[str, Held]:
    """What everybody holds once all are ready and have done what they do first."""
    world.until(world.all_ready, "every service ready")
    pids = {name: world.pid(name) for name in ("orchd", *SERVICES)}
    threading.Event().wait(2)  # timers of a second have run, and our questions are forgotten
    return {name: held(pid) for name, pid in pids.items()}


class Load(threading.Thread):
    """Adds small tasks, one after the other, whoever is dead just now."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.over = threading.Event()
        self.added = 0

    def run(self) -> None:
        """Add until told to stop."""
        while not self.over.wait(0.5):
            body = f"do: say hello\ndo: write f{self.added}.txt x"
            key = f"soak-{self.added}"
            try:
                self.world.ask(AddTask(key, project="octo/demo", body=body, key=key))
            except OrchError:
                continue  # again, under the same key
            self.added += 1


@pytest.mark.timeout(SECONDS * 4 + 600)
def test_kills_for_a_long_time_leave_no_trace_in_what_is_held(soaked: World):
    dice = random.Random(SEED)
    load = Load(soaked)
    load.start()
    first: dict[str, Held] = {}
    most_zombies = 0
    began = time.monotonic()
    for kill in itertools.count(1):
        victim = dice.choice(SERVICES)
        soaked.until(soaked.all_ready, "every service ready")
        soaked.kill(victim)
        threading.Event().wait(1)  # the pace of killing
        most_zombies = max(most_zombies, held(soaked.pid("orchd")).zombies)
        if kill == WARM_UP:
            first = settled(soaked)
        if kill > WARM_UP and time.monotonic() - began > SECONDS:
            break
    load.over.set()
    load.join()
    soaked.wait_all_done(load.added, seconds=200)
    last = settled(soaked)
    print(f"{kill} kills, {load.added} tasks\nfirst {first}\nlast  {last}")
    for name, now in last.items():
        assert now.pss <= first[name].pss * 1.25 + (2 << 20), name
        assert now.fds <= first[name].fds + 4, name
        assert now.threads <= first[name].threads + 1, name
        assert now.zombies == 0, name
    assert last["orchd"].fds <= first["orchd"].fds
    assert most_zombies <= 1
