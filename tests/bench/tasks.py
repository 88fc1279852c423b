"""Whole tasks: how many a second, how soon the agent writes, what they cost in processes."""

from __future__ import annotations

import os
import shutil
import statistics
import time

import psutil

from orch.client import Client
from orch.messages import AddTask, CountTasks, GetTask, ListTasks
from orch.model import Task
from orch.store import tasks
from orch.store.db import Store
from tests.bench.row import Row
from tests.support.world import World

THROUGHPUT_TASKS = 60
RATE = 5.0
"""Tasks a second at which the engine's work is measured: what it has to sustain."""

PACED_TASKS = 60
PROBES = 15
MANY, FEW = 100_000, 100


def rows() -> list[Row]:
    """Throughput, latency, subprocesses and listing."""
    return [*throughput(), first_byte(), subprocesses(), listing()]


def shell_task(client: Client, n: int) -> str:
    """Add a task that writes one file."""
    body = f"```sh\necho {n} > f{n}\n```"
    return client.ask(AddTask(title=f"t{n}", project="octo/demo", agent="shell", body=body)).id


def wait_done(client: Client, count: int) -> None:
    """Until so many tasks are done."""
    deadline = time.monotonic() + 300
    while client.ask(CountTasks()).counts.get("done", 0) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not {count} tasks done: {client.ask(CountTasks()).counts}")
        time.sleep(0.02)


def throughput() -> list[Row]:
    """Tasks a second through their whole life, and what the engine takes at `RATE` of them."""
    world = World()
    try:
        world.up()
        client = Client(world.home)
        engine = psutil.Process(world.pid("engine"))
        began, used = time.monotonic(), cpu_seconds(engine)
        for n in range(THROUGHPUT_TASKS):
            shell_task(client, n)
        wait_done(client, THROUGHPUT_TASKS)
        took = time.monotonic() - began
        at_most = (cpu_seconds(engine) - used) / took
        cores = paced(client, engine)
    finally:
        world.close()
    rate = THROUGHPUT_TASKS / took
    return [
        Row("tasks through their whole life", rate, "/s", "", 0, RATE, rate >= RATE, "at least"),
        Row(
            f"the engine at {RATE:g} tasks a second", cores, "cores", f"at {rate:.0f} a second",
            at_most, 0.5, cores <= 0.5,
        ),
    ]  # fmt: skip


def paced(client: Client, engine: psutil.Process) -> float:
    """The engine's share of a core while tasks come, and end, at `RATE`."""
    began, used = time.monotonic(), cpu_seconds(engine)
    for n in range(PACED_TASKS):
        time.sleep(max(0.0, began + n / RATE - time.monotonic()))
        shell_task(client, THROUGHPUT_TASKS + n)
    wait_done(client, THROUGHPUT_TASKS + PACED_TASKS)
    return (cpu_seconds(engine) - used) / (time.monotonic() - began)


def cpu_seconds(process: psutil.Process) -> float:
    """The CPU time that a process has taken."""
    return sum(process.cpu_times()[:2])


def first_byte() -> Row:
    """From the request until the agent's first byte is in the log, less what git takes."""
    world = World()
    try:
        world.up()
        client = Client(world.home)
        git = statistics.median(worktree_seconds(world, n) for n in range(PROBES)) * 1000
        took = []
        for n in range(PROBES):
            began = time.monotonic()
            key = shell_task(client, n)
            log = world.home.state / "internal" / "tasks" / key / "attempts" / "1" / "terminal.log"
            while not log.exists() or not log.stat().st_size:
                time.sleep(0.001)
            took.append((time.monotonic() - began) * 1000)
            wait_done(client, n + 1)
    finally:
        world.close()
    value = statistics.median(took)
    return Row(
        "task added to the agent's first byte", value, "ms", "git worktree add", git, 200 + git,
        value <= 200 + git, "200 ms and what git takes",
    )  # fmt: skip


def worktree_seconds(world: World, n: int) -> float:
    """How long git alone takes for one worktree."""
    began = time.monotonic()
    world.git("worktree", "add", "-q", "-b", f"bench-{n}", str(world.root / f"bench-{n}"))
    return time.monotonic() - began


def subprocesses() -> Row:
    """git and tmux commands per task, counted by standing in their way on PATH."""
    world = World()
    try:
        shims = world.root / "shims"
        shims.mkdir()
        for name in ("git", "tmux"):
            shim = shims / name
            shim.write_text(
                f'#!/bin/sh\necho x >> {world.root}/count\nexec {shutil.which(name)} "$@"\n'
            )
            shim.chmod(0o755)
        world.env["PATH"] = f"{shims}{os.pathsep}{world.env['PATH']}"
        world.up()
        client = Client(world.home)
        shell_task(client, 0)
        wait_done(client, 1)
        counted = world.root / "count"
        before = counted.stat().st_size
        for n in range(1, 11):
            shell_task(client, n)
        wait_done(client, 11)
        each = (counted.stat().st_size - before) / 2 / 10
        quiet = counted.stat().st_size
        time.sleep(3)
        idle = (counted.stat().st_size - quiet) / 2
    finally:
        world.close()
    return Row(
        "git and tmux commands per task", each, "", "", 0, 12, each <= 12 and idle == 0,
        f"{idle:.0f} in 3 s of quiet",
    )  # fmt: skip


def listing() -> Row:
    """`ListTasks` answered with 100,000 tasks in the database, beside 100."""
    times = {count: listing_seconds(count) * 1000 for count in (FEW, MANY)}
    ratio = times[MANY] / times[FEW]
    return Row(
        "listing 20 of 100,000 tasks", times[MANY], "ms", "of 100", times[FEW], 1.5, ratio <= 1.5,
        f"{ratio:.2f} times",
    )  # fmt: skip


def listing_seconds(count: int) -> float:
    """The median of listing and getting a task, with so many in the database."""
    world = World()
    try:
        store = Store(world.home.db)
        with store.transaction(fenced=False):
            for n in range(count):
                task = Task(key="", project="octo/demo", title=f"t{n}", created_at=1.0)
                key = tasks.insert_internal(store, task, priority=0)
                tasks.update(store, key, 2.0, not_before=4e9)
        store.close()
        world.up()
        client = Client(world.home)
        took = []
        for _ in range(31):
            began = time.perf_counter()
            client.ask(ListTasks(project="octo/demo", limit=20))
            client.ask(GetTask("int-50"))
            took.append(time.perf_counter() - began)
    finally:
        world.close()
    return statistics.median(took)
