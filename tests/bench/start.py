"""How long things take to start: orchd with all services, and single commands."""

from __future__ import annotations

import compileall
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orch
from orch.messages import AddTask
from tests.bench.peers import Supervisord, installed
from tests.bench.row import Row
from tests.support.world import World

ROUNDS = 21
TASKS = 100


def rows() -> list[Row]:
    """Cold start, and the commands' starts beside `python -c pass` and the peers' commands."""
    compiled()
    found = [cold_start()]
    world = World()
    try:
        world.configure(max_parallel=1)
        world.up()
        fill(world)
        found += commands(world)
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
    middle = statistics.median(took) * 1000
    peer = supervisord_start() * 1000 if installed("supervisord") else 0.0
    return Row(
        figure="`orch up` cold to all ready",
        value=middle,
        unit="ms",
        peer="supervisord, same imports",
        peer_value=peer,
        target=400,
        ok=middle <= 400,
        note=f"fastest {min(took) * 1000:.0f} ms",
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


def compiled() -> None:
    """Have orch's modules compiled, as an installation has them."""
    for package in ("orch", "services"):
        compileall.compile_dir(Path(orch.__file__).parents[1] / package, quiet=1)


def commands(world: World) -> list[Row]:
    """`version`, `ping` and `task list` as multiples of `python -c pass`, in turns with it."""
    command = shutil.which("orch", path=str(Path(sys.executable).parent)) or "orch"
    found = []
    for words, limit in ((("version",), 4.0), (("task", "list"), 8.0), (("ping",), 1.15)):
        took, bare = in_turns([command, *words], [sys.executable, "-c", "pass"], world)
        name = f"`orch {' '.join(words)}`" + (f", {TASKS} tasks" if "list" in words else "")
        found.append(beside(f"start of {name}", took, "`python -c pass`", bare, limit))
    if installed("supervisord"):
        peer = supervisorctl()
        found.append(beside("start of `orch ping`", took, "`supervisorctl pid`", peer, 0.2))
    return found


def beside(figure: str, took: float, peer: str, peer_took: float, limit: float) -> Row:
    """A row that compares two times, in seconds."""
    times = took / peer_took
    return Row(
        figure=figure,
        value=took * 1000,
        unit="ms",
        peer=peer,
        peer_value=peer_took * 1000,
        target=limit,
        ok=times <= limit,
        note=f"ratio {times:.2f}",
    )


def supervisorctl() -> float:
    """Seconds that the peer's own command takes against its running supervisor."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        peer = Supervisord(Path(folder), children=1)
        peer.start()
        try:
            peer.wait_ready(peer.names[0])
            return median(lambda: seconds(peer.command("pid")), 7)
        finally:
            peer.stop()


def fill(world: World) -> None:
    """Add the tasks: one runs for ever, the others wait for it."""
    gate = f"do: wait {world.root}/never"
    first = world.ask(AddTask("the first", project="octo/demo", body=gate))
    for n in range(TASKS - 1):
        world.ask(AddTask(f"task {n}", project="octo/demo", after=(first.id,)))


def seconds(argv: Sequence[str], world: World | None = None) -> float:
    """How long one run of a command takes."""
    env = world.env if world else None
    began = time.perf_counter()
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL, cwd=world and world.repo)
    return time.perf_counter() - began


def in_turns(argv: Sequence[str], other: Sequence[str], world: World) -> tuple[float, float]:
    """The medians of two commands that are run in turns, so that both meet the same machine."""
    pairs = [(seconds(argv, world), seconds(other, world)) for _ in range(ROUNDS + 1)][1:]
    return statistics.median(one for one, _ in pairs), statistics.median(two for _, two in pairs)


def median(measure: Callable[[], float], rounds: int = ROUNDS) -> float:
    """The median of several runs, after one that warms the caches."""
    measure()
    return statistics.median(measure() for _ in range(rounds))
