"""How long things take to start: orchd with all services, and single commands."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from orch.client import Client
from orch.messages import AddTask, BlockTask
from tests.bench.peers import Supervisord, installed
from tests.bench.row import Row
from tests.support.world import World

ROUNDS = 21
TASKS = 100


def rows() -> list[Row]:
    """Cold start, and the commands' starts beside `python -c pass` and the peers' commands."""
    bare = median(lambda: seconds([sys.executable, "-c", "pass"]))
    found = [cold_start()]
    world = World()
    try:
        world.configure(max_parallel=1)
        world.up()
        fill(world)
        found += commands(world, bare)
    finally:
        world.close()
    return found


def cold_start() -> Row:
    """`orch up -d` until every service is ready, by its own clock around the real thing."""
    took = []
    for _ in range(5):
        world = World()
        try:
            took.append(world.orch("up", "-d", "--json").json["seconds"])
            world.orch("down")
        finally:
            world.close()
    middle = statistics.median(took)
    beside = f"fastest {min(took) * 1000:.0f} ms"
    if installed("supervisord"):
        beside += f"; supervisord with the same imports {supervisord_start() * 1000:.0f} ms"
    return Row(
        figure="`orch up` cold to all ready",
        value=f"{middle * 1000:.0f} ms",
        target="400 ms",
        ok=middle <= 0.4,
        beside=beside,
    )


def supervisord_start() -> float:
    """Seconds until supervisord has three children that are ready."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        peer = Supervisord(Path(folder), children=3)
        began = time.monotonic()
        peer.start()
        try:
            return max(peer.wait_ready(name) for name in peer.names) - began
        finally:
            peer.stop()


def commands(world: World, bare: float) -> list[Row]:
    """`version`, `ping` and `task list` as multiples of `python -c pass`."""
    orch = shutil.which("orch", path=str(Path(sys.executable).parent)) or "orch"
    peers = peer_commands()
    told = "; ".join(f"`{name}` {ratio:.2g}x" for name, ratio in ratios(peers, bare))
    found = []
    for words, limit in ((("version",), 4.0), (("task", "list"), 8.0), (("ping",), 1.15)):
        took = median(lambda words=words: seconds([orch, *words], world))
        name = f"`orch {' '.join(words)}`"
        found.append(
            Row(
                figure=f"start of {name}" + (f", {TASKS} tasks" if "list" in words else ""),
                value=f"{took / bare:.2f}x ({took * 1000:.0f} ms)",
                target=f"{limit:g}x `python -c pass`",
                ok=took / bare <= limit,
                beside=f"`python -c pass` {bare * 1000:.1f} ms; {told or 'no peer installed'}",
            )
        )
        if words == ("ping",) and "supervisorctl pid" in peers:
            peer = peers["supervisorctl pid"]
            found.append(
                Row(
                    figure="`orch ping` beside supervisorctl",
                    value=f"{took / peer:.2f}x",
                    target="0.2x",
                    ok=took / peer <= 0.2,
                    beside=f"`supervisorctl pid` {peer * 1000:.0f} ms",
                )
            )
    return found


def peer_commands() -> dict[str, float]:
    """Seconds that the peers' own commands take against their running supervisors."""
    if not installed("supervisord"):
        return {}
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        peer = Supervisord(Path(folder), children=1)
        peer.start()
        try:
            peer.wait_ready(peer.names[0])
            return {"supervisorctl pid": median(lambda: seconds(peer.command("pid")), 7)}
        finally:
            peer.stop()


def ratios(peers: dict[str, float], bare: float) -> list[tuple[str, float]]:
    """Each peer's command as a multiple of `python -c pass`."""
    return [(name, took / bare) for name, took in peers.items()]


def fill(world: World) -> None:
    """Add the tasks; none of them runs."""
    with Client(world.home) as client:
        first = client.ask(AddTask("the first", project="octo/demo", body="do: say x"))
        client.ask(BlockTask(first.id, project="octo/demo", reason="bench"))
        for n in range(TASKS - 1):
            client.ask(AddTask(f"task {n}", project="octo/demo", after=(first.id,)))


def seconds(argv: Sequence[str], world: World | None = None) -> float:
    """How long one run of a command takes."""
    env = world.env if world else None
    began = time.perf_counter()
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL, cwd=world and world.repo)
    return time.perf_counter() - began


def median(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    """The median of several runs, after one that warms the caches."""
    measure()
    return statistics.median(measure() for _ in range(rounds))
