"""Capture and engine killed at random under load: every reader sees every byte once, in order."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator

import pytest

from orch.client import Client
from orch.follow import Chunk, Ended, Follow, Item, Logged
from orch.messages import EventLogged
from orch.model import Event
from tests.support.session_engine import Stage, stage

SECONDS = float(os.environ.get("FAULT_SECONDS", "20"))
SEED = int(os.environ.get("FAULT_SEED", str(random.randrange(1 << 30))))


class Tail(threading.Thread):
    """Follows everything; checks the order as it goes."""

    def __init__(self, at: Stage) -> None:
        super().__init__(daemon=True)
        self.at = at
        self.read: dict[tuple[str, int], bytearray] = {}
        self.ended: list[tuple[str, int]] = []
        self.seq = 0
        self.problem: Exception | None = None

    def run(self) -> None:
        try:
            with Client(self.at.home) as client:
                for item in Follow(client).everything(seq=0, from_start=True):
                    self.take(item)
        except Exception as error:
            self.problem = error

    def take(self, item: Item) -> None:
        if isinstance(item, Chunk):
            known = self.read.setdefault((item.session, item.attempt), bytearray())
            assert item.offset == len(known), f"{item.session}: {item.offset} after {len(known)}"
            known += item.data
        elif isinstance(item, Logged):
            assert item.event.seq == self.seq + 1
            self.seq = item.event.seq
        elif isinstance(item, Ended):
            key = item.session, item.attempt
            assert key not in self.ended
            assert item.size == len(self.read.get(key, b""))
            self.ended.append(key)


@pytest.fixture
def at() -> Iterator[Stage]:
    with stage("capture") as made:
        yield made


def writing(at: Stage, chance: random.Random, stop: threading.Event) -> None:
    """Sessions begin, write text and rubbish, with and without nudges, end, and are tried again."""
    attempts: dict[str, int] = {}
    while not stop.is_set():
        name = f"s{chance.randrange(8)}"
        attempt = attempts.get(name, 0)
        live = attempt and not at.world.sessions[name, attempt].ended
        if not live:
            attempts[name] = attempt = attempt + 1
            at.open(name, attempt, tell=False)
        data = chance.choice([b"line\n" * 20, "ü€🎉".encode() * 9, chance.randbytes(300)])
        size = chance.choice([1, 1, 1, 200])
        at.write(name, data * size, attempt, nudge=chance.random() < 0.9)
        if chance.random() < 0.02:
            at.end(name, attempt)
        time.sleep(chance.random() * 0.004)  # the pace of the load, nothing waits for it


@pytest.mark.timeout(300)
def test_no_kill_makes_a_gap_or_a_repeat(at: Stage) -> None:
    print(f"FAULT_SEED={SEED}")
    chance = random.Random(SEED)
    stop = threading.Event()
    tails = [Tail(at) for _ in range(3)]
    for tail in tails:
        tail.start()
    load = threading.Thread(target=writing, args=(at, random.Random(SEED + 1), stop))
    load.start()
    until = time.monotonic() + SECONDS
    kills = 0
    while time.monotonic() < until:
        time.sleep(chance.random())  # when the next fault strikes
        what = chance.choice(["capture", "capture", "engine", "both"])
        if what != "engine":
            at.kill("capture")
        if what != "capture":
            at.stop_engine()
        kills += 1
        if what != "capture":
            at.start_engine()
        if what != "engine":
            at.start("capture")
        at.world.events.append(Event(seq=len(at.world.events) + 1, at=0.0, name="task_changed"))
        at.ring(EventLogged(len(at.world.events)))
    stop.set()
    load.join()
    for key, session in list(at.world.sessions.items()):
        if not session.ended:
            at.end(*key)
    wanted = {key: at.log(*key) for key in at.world.sessions if at.log(*key)}
    for tail in tails:
        at.wait_for(
            lambda tail=tail: tail.problem or len(tail.ended) == len(at.world.sessions),
            "all sessions have been read to their end",
            seconds=60,
        )
        assert tail.problem is None, repr(tail.problem)
        assert {key: bytes(data) for key, data in tail.read.items()} == wanted
        at.wait_for(lambda tail=tail: tail.seq == len(at.world.events), "all events")
    assert kills >= SECONDS / 3
