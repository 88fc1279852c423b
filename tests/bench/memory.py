"""Memory and idle CPU of everything that runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from tests.bench.peers import CHILD, ROOT
from tests.bench.row import Row
from tests.support.world import World

IDLE_SECONDS = 60.0
MIB = 1 << 20
SERVICES = ("orchd", "engine", "scheduler", "capture")

REMAINS = "5 MiB of each are pages copied by counting references"
"""What is left of the memory of forked services, by /proc/PID/smaps: about 17 MiB of imported
objects exist once, but CPython 3.11 counts references inside the objects, so each child copies the
pages of what it uses (1.0 MiB by the fork itself, 1.3 by building the service, 1.3 by opening its
sockets, then nothing more). The engine's other 4 are SQLite, the config, and the process table.
Neither the garbage collector, nor malloc's arenas, nor filling the holes before the fork, nor
trimming afterwards changes that by more than 0.3 MiB (all measured)."""


def rows() -> list[Row]:
    """PSS of orchd and its services, of a session; CPU while nothing happens."""
    world = World()
    try:
        world.up()
        found = [*idle(world), session(world)]
    finally:
        world.close()
    return found


def idle(world: World) -> list[Row]:
    """What orch takes while it has nothing to do."""
    pids = {name: world.pid(name) for name in SERVICES}
    before = {name: cpu(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    spent = time.monotonic() - began
    used = {name: (cpu(pid) - before[name]) / spent for name, pid in pids.items()}
    total = pss(pids.values())
    parts = ", ".join(f"{name} {pss([pid]) / MIB:.1f}" for name, pid in pids.items())
    shares = ", ".join(f"{name} {share:.2%}" for name, share in used.items())
    return [
        Row(
            figure="orchd, engine, scheduler, capture idle (PSS)",
            value=total / MIB,
            unit="MiB",
            peer="the same, executed one by one",
            peer_value=executed() / MIB,
            target=28,
            ok=total <= 28 * MIB,
            note=f"{parts}; 4 bare children {separate(4) / MIB:.0f}; {REMAINS}",
        ),
        idle_cpu("everything", sum(used.values()), 0.5, shares),
        idle_cpu("orchd", used["orchd"], 0.1, ""),
    ]


def idle_cpu(what: str, share: float, limit: float, note: str) -> Row:
    """A row of CPU use, as a share of one core."""
    return Row(
        figure=f"idle CPU of {what} over {IDLE_SECONDS:.0f} s",
        value=share * 100,
        unit="%",
        peer="comparable orchestrators, published",
        peer_value=0.65,
        target=limit,
        ok=share * 100 <= limit,
        note=note,
    )


def session(world: World) -> Row:
    """What one running session takes beside its agent."""
    task = world.add("sit", "say here", f"wait {world.root}/gate")
    world.wait_for(task=task, status="in_progress")
    world.until(lambda: world.log_of(task).exists(), "the log")
    folder = str(world.log_of(task).parent)
    found = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if folder in (process.info["cmdline"] or []) and "orch.session" in process.info["cmdline"]
    ]
    taken = pss(found)
    (world.root / "gate").touch()
    return Row(
        figure="a running session (session process, PSS)",
        value=taken / MIB,
        unit="MiB",
        peer="bare interpreter",
        peer_value=bare() / MIB,
        target=12,
        ok=0 < taken <= 12 * MIB,
    )


def executed() -> int:
    """PSS of orchd and its services where each is an interpreter of its own."""
    world = World()
    try:
        world.up("--spawn=exec")
        time.sleep(5)  # what services do first is done
        return pss(world.pid(name) for name in SERVICES)
    finally:
        world.close()


def separate(count: int) -> int:
    """PSS of so many interpreters with the same imports, each started on its own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        ready = Path(folder) / "ready"
        argv = [sys.executable, str(CHILD), str(ready)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        children = [subprocess.Popen(argv, env=env) for _ in range(count)]
        try:
            while not ready.exists() or len(ready.read_text().splitlines()) < count:
                time.sleep(0.01)
            return pss(child.pid for child in children)
        finally:
            for child in children:
                child.kill()
                child.wait()


def bare() -> int:
    """PSS of an interpreter that has imported nothing."""
    code = "import signal, sys; print(1, flush=True); signal.pause()"
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        return pss([child.pid])
    finally:
        child.kill()
        child.wait()


def pss(pids: Iterable[int]) -> int:
    """Proportional set size in bytes, summed."""
    return sum(psutil.Process(pid).memory_full_info().pss for pid in pids)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)
