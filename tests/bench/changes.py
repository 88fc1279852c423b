"""A change on its way to others, a session on its way to its agent, and services without orchd."""

from __future__ import annotations

import os
import signal
import statistics
import time
from pathlib import Path

import psutil

from orch.client import Client
from orch.messages import ClearCooldowns, EventLogged
from tests.bench.row import Row
from tests.support.scratch_sessions import sessions, until
from tests.support.world import World

CHANGES = 300
STARTS = 15
DEATHS = 5
PAGE = b"x" * 4096


def rows() -> list[Row]:
    """Each against the raw limit of what it cannot do without."""
    return [change_heard(), agent_started(), orphans_gone()]


def change_heard() -> Row:
    """From a request that changes the database until another process has heard of the change and
    been answered: the commit is on the disk by then."""
    world = World()
    took = []
    try:
        world.up()
        raw = synced(world.home.root / "raw")
        with Client(world.home) as client, client.subscribe(EventLogged) as bell:
            for _ in range(CHANGES):
                began = time.monotonic()
                client.ask(ClearCooldowns(agent="nobody"))
                while not bell.poll(5.0):
                    pass
                took.append(time.monotonic() - began)
    finally:
        world.close()
    value = statistics.median(took) * 1000
    return Row(
        "change asked for, committed and heard elsewhere, p50", value, "ms", "one fdatasync", raw,
        3.5, value <= 3.5 * raw, f"ratio {value / raw:.2f}; the request and its answer are in it",
    )  # fmt: skip


def synced(path: Path) -> float:
    """The median of writing a page and having it on the disk, in milliseconds."""
    took = []
    with path.open("wb") as file:
        for _ in range(CHANGES):
            began = time.monotonic()
            file.write(PAGE)
            file.flush()
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - began)
    return statistics.median(took) * 1000


def agent_started() -> Row:
    """From asking for a session until its agent runs: tmux, the session process, the agent."""
    took = []
    with sessions() as world:
        for n in range(STARTS + 1):
            mark = world.root / f"mark-{n}"
            began = time.time_ns()
            world.start("sh", "-c", f"date +%s%N >{mark}.new && mv {mark}.new {mark}")
            until(mark.exists, "the agent's mark")
            took.append((int(mark.read_text()) - began) / 1e6)
    value = statistics.median(took[1:])  # the first one started the tmux server too
    return Row("session asked for until its agent runs", value, "ms", "", 0, 60, value <= 60)


def orphans_gone() -> Row:
    """From the death of an idle orchd until its services are gone."""
    took = []
    for _ in range(DEATHS):
        world = World()
        try:
            world.up()
            pids = [world.pid(name) for name in ("engine", "scheduler", "capture")]
            orchd = world.pid("orchd")
            time.sleep(1.0)
            began = time.monotonic()
            os.kill(orchd, signal.SIGKILL)
            while any(lives(pid) for pid in pids):
                time.sleep(0.0005)
            took.append((time.monotonic() - began) * 1000)
        finally:
            world.close()
    value = statistics.median(took)
    return Row("orchd killed (-9) until its services are gone", value, "ms", "", 0, 50, value <= 50)


def lives(pid: int) -> bool:
    """Whether a process has not ended yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
