"""Replacing a killed and a hung service, beside other supervisors in the same run."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orch.client import Client
from orch.messages import Ping
from tests.bench.peers import Circus, Peer, Supervisord, installed
from tests.bench.row import Row
from tests.bench.start import beside
from tests.support.world import World

ROUNDS = 9


def rows() -> list[Row]:
    """All figures of the supervisor."""
    popen = peer_restart(Peer)
    ready, served = orch_restart()
    exec_ready, _ = orch_restart("--spawn=exec")
    figure = "service killed (-9) until ready again"
    found = [beside(figure, ready, "Popen supervisor, same imports", popen, 0.1)]
    if installed("supervisord"):
        found.append(beside(figure, ready, "supervisord", peer_restart(Supervisord), 0.02))
    if installed("circusd"):
        found.append(beside(figure, ready, "circus, tuned", peer_restart(Circus), 1.0))
    found += [
        Row(
            figure="... until the same client is served",
            value=served * 1000,
            unit="ms",
            peer="ready again",
            peer_value=ready * 1000,
            target=15,
            ok=served - ready <= 0.015,
            note=f"{(served - ready) * 1000:+.1f} ms",
        ),
        beside(f"{figure}, exec mode", exec_ready, "Popen supervisor", popen, 1.15),
        hang(),
    ]
    return found


def peer_restart(kind: Callable[[Path], Peer]) -> float:
    """The median of a peer's restarts, in seconds."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        peer = kind(Path(folder))
        peer.start()
        try:
            return statistics.median(peer.restart_seconds(ROUNDS))
        finally:
            peer.stop()


def orch_restart(*options: str) -> tuple[float, float]:
    """Medians in seconds: from `kill -9` to ready as orchd sees it, and to a client's answer.

    Each service of a world dies once only: a service that dies again and again is made to wait.
    """
    ready, served = [], []
    for _ in range(ROUNDS):
        world = World()
        try:
            world.up(*options)
            with Client(world.home) as client:
                client.ask(Ping(), to="capture")
                ready.append(restart(world, "scheduler", until_ready))
                served.append(
                    restart(world, "capture", lambda _w, name, pid: until_served(client, name, pid))
                )
        finally:
            world.close()
    return statistics.median(ready), statistics.median(served)


def restart(world: World, name: str, wait: Callable[[World, str, int], None]) -> float:
    """Kill a service once; seconds until `wait` is content."""
    pid = world.pid(name)
    time.sleep(0.5)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait(world, name, pid)
    return time.monotonic() - began


def until_ready(world: World, name: str, killed: int) -> None:
    """Wait until orchd's log says that another process of the service is ready.

    Reading the end of a file disturbs orchd less than asking it again and again.
    """
    log = world.home.log("orchd")
    at = log.stat().st_size
    found = f'"message":"ready","of":"{name}"'.encode()
    with log.open("rb") as file:
        file.seek(at)
        seen = b""
        while found not in seen:
            seen += file.read()
            time.sleep(0.0003)
    assert killed


def until_served(client: Client, name: str, killed: int) -> None:
    """Wait until the same client is answered by another process.

    It asks at once: what goes into the dying connection is lost, and has to be sent again.
    """
    while client.ask(Ping(), timeout=5.0, to=name).pid == killed:
        time.sleep(0.0002)


def hang() -> Row:
    """A stopped service (SIGSTOP) is replaced; most peers never notice."""
    world = World()
    try:
        world.up()
        pid = world.pid("scheduler")
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        until_ready(world, "scheduler", pid)
        took = time.monotonic() - began
    finally:
        world.close()
    return Row(
        figure="hung service (SIGSTOP) replaced",
        value=took,
        unit="s",
        peer="supervisord, circus: never",
        peer_value=0.0,
        target=7.5,
        ok=took <= 7.5,
    )
