"""Garbage and slow readers by the thousand: no crash, bounded memory, others served."""

from __future__ import annotations

import os
import random
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
import zmq

from orch.client import Client
from orch.messages import Envelope, Ping, encode
from orch.paths import Home
from tests.support.keeper import Keeper
from tests.support.toy_service import Flood, RowAdded

SEED = int(os.environ.get("ORCH_SEED") or random.randrange(1 << 30))
SECONDS = float(os.environ.get("ORCH_SECONDS") or 15)
MIB = 1 << 20


@pytest.fixture
def toy(short_home: Path) -> Iterator[Keeper]:
    home = Home(short_home)
    home.make()
    with Keeper(home, "toy") as keeper:
        yield keeper.start().ready()


def memory(keeper: Keeper) -> int:
    return psutil.Process(keeper.process.pid).memory_info().rss


def garbage(chance: random.Random) -> list[bytes]:
    """Frames that are wrong in one of the ways there are."""
    body = chance.choice([b"", b"\xc1", encode(Ping())[:-1], chance.randbytes(300)])
    ident = chance.randbytes(16)
    return chance.choice(
        [
            [chance.randbytes(chance.randrange(2000))],
            [b"x" * (2 * MIB)],
            [b""] * chance.randrange(1, 20),
            [msgspec.msgpack.encode(Envelope(ident, "99.0.0", 1e18, body))],
            [msgspec.msgpack.encode(Envelope(ident, "0.0.1", 0.0, encode(Ping())))],
            [b"\x91" * 50_000],
        ]
    )


def talk_nonsense(keeper: Keeper, seed: int, ended: threading.Event) -> None:
    """Send garbage as a ZeroMQ client and as a bare socket, until told to end.

    A client sends much before it leaves: libzmq 4.3.5 itself, with nothing around it, loses some
    20 KiB on each peer that leaves in the middle of a flood.
    """
    chance = random.Random(seed)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        while not ended.is_set():
            dealer = context.socket(zmq.DEALER)
            dealer.setsockopt(zmq.SNDTIMEO, 100)
            dealer.connect(f"ipc://{keeper.home.socket('toy', 'req')}")
            for _ in range(1000):
                if ended.is_set():
                    break
                try:
                    dealer.send_multipart(garbage(chance))
                except zmq.Again:
                    break
            dealer.close(linger=100)
            for kind in ("req", "pub"):
                with socket.socket(socket.AF_UNIX) as bare:
                    bare.setblocking(False)
                    try:
                        bare.connect(str(keeper.home.socket("toy", kind)))
                        bare.send(chance.randbytes(chance.randrange(1, 3000)))
                    except OSError:
                        continue
    finally:
        context.destroy(linger=0)


@pytest.mark.timeout(600)
def test_garbage_on_every_socket_harms_nobody(toy):
    print(f"seed {SEED}")
    ended = threading.Event()
    talkers = [
        threading.Thread(target=talk_nonsense, args=(toy, SEED + n, ended)) for n in range(3)
    ]
    before, spent = memory(toy), []
    for talker in talkers:
        talker.start()
    until = time.monotonic() + SECONDS
    with Client(toy.home) as client:
        while time.monotonic() < until:
            began = time.monotonic()
            assert client.ask(Ping(), to="toy", timeout=20).pid == toy.process.pid
            spent.append(time.monotonic() - began)
    ended.set()
    for talker in talkers:
        talker.join()

    assert statistics.median(spent) < 0.05
    assert memory(toy) - before < 64 * MIB
    assert toy.home.log("toy").stat().st_size < MIB, "what happens often is logged seldom"


@pytest.mark.timeout(600)
def test_subscribers_that_never_read_cost_a_bounded_amount(toy):
    with Client(toy.home) as client:
        stalled = [client.subscribe(RowAdded) for _ in range(10)]
        client.ask(Ping(), to="toy")
        before = memory(toy)
        for _ in range(100):
            client.ask(Flood(1000, size=2000), timeout=20)
        grown = memory(toy) - before
        for one in stalled:
            one.close()

    assert grown < 100 * MIB, "10 subscribers, 1000 events of 2 kB each, twice over"


@pytest.mark.timeout(600)
def test_hundreds_of_silent_connections_do_not_keep_others_out(toy):
    silent = []
    for _ in range(400):
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect(str(toy.home.socket("toy", "req")))
        except OSError:
            one.close()
            continue
        silent.append(one)
    with Client(toy.home) as client:
        assert client.ask(Ping(), to="toy", timeout=20).pid == toy.process.pid
    for one in silent:
        one.close()
