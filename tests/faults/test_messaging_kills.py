"""Publisher and consumer killed at random: every row arrives once, and soon."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.client import Client
from orch.errors import Unavailable
from orch.messages import Ping
from orch.paths import Home
from tests.support.keeper import Keeper, wait_until
from tests.support.toy_service import AddRow, Flood

SEED = int(os.environ.get("ORCH_SEED") or random.randrange(1 << 30))
KILLS = int(os.environ.get("ORCH_KILLS") or 100)
ROWS = int(os.environ.get("ORCH_ROWS") or 10_000)
WRITERS = 8


@pytest.fixture
def home(short_home: Path) -> Home:
    made = Home(short_home)
    made.make()
    return made


@pytest.fixture
def toy(home: Home) -> Iterator[Keeper]:
    with Keeper(home, "toy") as keeper:
        yield keeper.start().ready()


@pytest.fixture
def hearer(home: Home, toy: Keeper) -> Iterator[Keeper]:
    with Keeper(home, "hearer") as keeper:
        yield keeper.start().ready()


def read(path: Path, query: str) -> list[tuple]:
    db = sqlite3.connect(path, timeout=30)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def write_rows(
    home: Home, writer: int, count: int, allowed: threading.Semaphore, failures: list[str]
) -> None:
    """Add rows `writer:0`, `writer:1`, …, as it is allowed, each until it is answered, under one
    key."""
    with Client(home) as client:
        for n in range(count):
            allowed.acquire()
            text = f"{writer}:{n}"
            for _ in range(20):
                try:
                    client.ask(AddRow(text, key=text), timeout=10)
                except Unavailable:
                    continue
                break
            else:
                failures.append(text)


@pytest.mark.timeout(1800)
def test_nothing_is_missing_or_doubled_when_both_sides_are_killed(home, toy, hearer):
    print(f"seed {SEED}: {ROWS} rows, {KILLS} kills")
    chance = random.Random(SEED)
    failures: list[str] = []
    share = ROWS // (KILLS + 1)
    allowed = threading.Semaphore(2 * share)  # so that there is work at each kill, and to the last
    writers = [
        threading.Thread(target=write_rows, args=(home, n, ROWS // WRITERS, allowed, failures))
        for n in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    kills = 0
    while kills < KILLS and any(writer.is_alive() for writer in writers):
        wait_until_rows(home, kills * share, writers)
        victims = chance.choice([[toy], [hearer], [toy, hearer]])
        for victim in victims:
            victim.kill()
        kills += 1
        for victim in victims:
            victim.start()
            if chance.random() < 0.5:
                victim.ready()
        allowed.release(share)
    allowed.release(ROWS)
    for writer in writers:
        writer.join()

    wanted = {f"{w}:{n}" for w in range(WRITERS) for n in range(ROWS // WRITERS)}
    made = read(home.root / "toy.db", "SELECT seq, text FROM rows")
    assert failures == []
    assert kills == KILLS
    assert sorted(text for _, text in made) == sorted(wanted)
    copy = home.root / "hearer.db"
    wait_until(lambda: read(copy, "SELECT count(*) FROM seen")[0][0] == len(made), 60)
    assert read(copy, "SELECT seq, text FROM seen ORDER BY seq") == sorted(made)
    for path in (home.root / "toy.db", copy):
        assert read(path, "PRAGMA integrity_check") == [("ok",)]


def wait_until_rows(home: Home, count: int, writers: list[threading.Thread]) -> None:
    """Wait for so many rows, so that the kills spread over the whole work."""

    def there() -> bool:
        rows = read(home.root / "toy.db", "SELECT count(*) FROM rows")[0][0]
        return rows >= count or not any(writer.is_alive() for writer in writers)

    wait_until(there, 300)


def test_a_consumer_stalled_for_ten_seconds_catches_up(home, toy, hearer):
    copy = home.root / "hearer.db"
    with Client(home) as client:
        client.ask(AddRow("first"))
        wait_until(lambda: read(copy, "SELECT count(*) FROM seen") == [(1,)])
        hearer.process.send_signal(19)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            client.ask(AddRow("more"))
            client.ask(Flood(500, size=1000))
        asked = client.ask(AddRow("last")).seq
        hearer.process.send_signal(18)
        resumed = time.monotonic()
        wait_until(lambda: read(copy, "SELECT max(seq) FROM seen") == [(asked,)])

    assert read(copy, "SELECT count(*) FROM seen") == [(asked,)]
    late = read(copy, f"SELECT at FROM seen WHERE seq = {asked}")[0][0] - resumed
    assert late < 5, "1.2 s on a machine that does nothing else"


def test_a_row_whose_event_was_never_published_arrives_by_the_timer(home, hearer, toy):
    copy = home.root / "hearer.db"
    with Client(home) as client:
        client.ask(AddRow("heard"))
        wait_until(lambda: read(copy, "SELECT count(*) FROM seen") == [(1,)])
    toy.kill()
    db = sqlite3.connect(home.root / "toy.db")
    with db:
        db.execute("INSERT INTO rows (text) VALUES ('committed, then killed')")
    db.close()
    toy.start().ready()

    wait_until(lambda: read(copy, "SELECT count(*) FROM seen") == [(2,)])


@pytest.mark.timeout(900)
def test_a_server_killed_a_hundred_times_under_one_client_does_each_row_once(home, toy):
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    rounds = max(1, KILLS // 4)
    ended = threading.Event()

    def keep_killing() -> None:
        for _ in range(rounds):
            ended.wait(chance.uniform(0.0, 0.3))
            toy.kill()
            toy.start(TOY_DIES=chance.choice(["", "after commit"]))
        ended.set()

    killer = threading.Thread(target=keep_killing)
    killer.start()
    keys = []
    with Client(home) as client:
        while not ended.is_set():
            keys.append(f"k{len(keys)}")
            client.ask(AddRow(f"row {len(keys)}", key=keys[-1]), timeout=60)
        killer.join()
        client.ask(Ping(), to="toy", timeout=60)

    texts = [text for (text,) in read(home.root / "toy.db", "SELECT text FROM rows ORDER BY seq")]
    assert texts == [f"row {n + 1}" for n in range(len(keys))]
