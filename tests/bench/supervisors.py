"""Replacing a killed and a hung service, beside other supervisors in the same run."""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from orch import control
from orch.client import Client
from orch.messages import GetRoster, Ping
from tests.bench.peers import Circus, Peer, Supervisord, installed
from tests.bench.row import Row
from tests.support.world import World

ROUNDS = 9
SERVICE = "scheduler"


def rows() -> list[Row]:
    """All figures of the supervisor."""
    popen = peer_restart(Peer)
    supervisord = peer_restart(Supervisord) if installed("supervisord") else None
    circus = peer_restart(Circus) if installed("circusd") else None
    ready, served = orch_restart()
    exec_ready, _ = orch_restart("--spawn=exec")
    beside = f"Popen {ms(popen)}; supervisord {ms(supervisord)}; circus {ms(circus)}"
    found = [
        ratio("killed service ready again", ready, popen, 0.1, f"Popen supervisor; {beside}"),
        Row(
            figure="... until the same client is served again",
            value=f"{ms(served)} ({ms(served - ready)} after ready)",
            target="+ 15 ms",
            ok=served - ready <= 0.015,
            beside="9 ms in all is the raw limit",
        ),
        ratio("killed service ready again, exec mode", exec_ready, popen, 1.15, "Popen supervisor"),
        hang(),
    ]
    if supervisord is not None:
        found.insert(1, ratio("... beside supervisord", ready, supervisord, 0.02, "supervisord"))
    return found


def ratio(figure: str, value: float, peer: float, limit: float, name: str) -> Row:
    """A row that compares with a peer of the same run."""
    return Row(
        figure=figure,
        value=f"{value / peer:.3f}x ({ms(value)})",
        target=f"{limit:g}x",
        ok=value / peer <= limit,
        beside=f"{name} {ms(peer)}" if "Popen " not in name else name,
    )


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
    """Medians in seconds: from `kill -9` to ready as orchd sees it, and to a client's answer."""
    world = World()
    try:
        world.up(*options)
        ready = [restart(world, until_ready) for _ in range(ROUNDS)]
        with Client(world.home) as client:
            served = [
                restart(world, lambda w, pid: until_served(client, pid)) for _ in range(ROUNDS)
            ]
    finally:
        world.close()
    return statistics.median(ready), statistics.median(served)


def restart(world: World, wait: Callable[[World, int], None]) -> float:
    """Kill the service once; seconds until `wait` is content."""
    time.sleep(0.3)
    pid = world.pid(SERVICE)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    wait(world, pid)
    return time.monotonic() - began


def until_ready(world: World, killed: int) -> None:
    """Wait until orchd calls another process of the service ready."""
    while True:
        roster = control.ask(world.home, GetRoster(), 5.0)
        for one in roster.services:
            if one.name == SERVICE and one.state == "ready" and one.pid != killed:
                return


def until_served(client: Client, killed: int) -> None:
    """Wait until the same client gets an answer from another process."""
    while client.ask(Ping(), timeout=5.0, to=SERVICE).pid == killed:
        time.sleep(0.0002)


def hang() -> Row:
    """A stopped service (SIGSTOP) is replaced; most peers never notice."""
    world = World()
    try:
        world.up()
        pid = world.pid(SERVICE)
        began = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        until_ready(world, pid)
        took = time.monotonic() - began
    finally:
        world.close()
    return Row(
        figure="hung service (SIGSTOP) replaced",
        value=f"{took:.1f} s",
        target="7.5 s",
        ok=took <= 7.5,
        beside="supervisord, circus: never",
    )


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds for the table."""
    return "not installed" if seconds is None else f"{seconds * 1000:.1f} ms"
