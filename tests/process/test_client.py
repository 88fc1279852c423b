"""A client through deaths and replacements of the service it asks."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from orch.client import AT_ONCE, Client
from orch.errors import Malformed, NotRunning, Unavailable
from orch.messages import GetRoster, ListTasks, Ping
from orch.paths import Home
from orch.sockets import listen
from tests.support.keeper import ROOT, Keeper, wait_until
from tests.support.toy_service import AddRow, Flood, Misbehave, ReadRows, RowAdded


@pytest.fixture
def home(short_home: Path) -> Home:
    made = Home(short_home)
    made.make()
    return made


@pytest.fixture
def keeper(home: Home) -> Iterator[Keeper]:
    with Keeper(home, "toy") as made:
        yield made


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    with Client(home) as made:
        yield made


def test_without_orchd_it_says_so_at_once_and_how_to_start_it(home, client):
    began = time.monotonic()
    with pytest.raises(NotRunning) as caught:
        client.ask(ListTasks(), timeout=30)

    assert caught.value.hint == "start it with `orch up -d`"
    assert time.monotonic() - began < 5


def test_a_socket_that_a_dead_orchd_left_is_no_service(home, client):
    listen(home.socket("engine", "req"), "req").close()

    with pytest.raises(NotRunning):
        client.ask(ListTasks(), timeout=30)


def test_an_orchd_that_is_starting_is_waited_for(home, client):
    with home.lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unavailable) as caught:
            client.ask(ListTasks(), timeout=0.6)

    assert not isinstance(caught.value, NotRunning)
    assert "engine could not be reached" in caught.value.message


def test_a_service_that_does_not_answer_is_named_at_the_deadline(home, keeper, client):
    began = time.monotonic()
    with pytest.raises(Unavailable, match="toy"):
        client.ask(Ping(), timeout=0.7, to="toy")

    assert 0.6 < time.monotonic() - began < 5


def test_a_request_waits_in_the_backlog_for_the_first_start(keeper, client):
    threading.Timer(0.3, keeper.start).start()

    assert client.ask(AddRow("early"), timeout=20).seq == 1


def test_the_same_client_is_served_again_after_each_kill(keeper, client):
    pids = set()
    for n in range(1, 6):
        keeper.start()
        added = client.ask(AddRow(f"row {n}"), timeout=20)
        assert added.seq == n
        pids.add(added.pid)
        keeper.kill()

    assert len(pids) == 5


def test_killed_before_receiving_the_request_is_answered_by_the_next(keeper, client):
    keeper.start().ready()
    client.ask(Ping(), to="toy")
    keeper.process.send_signal(19)  # SIGSTOP: the request is sent, and not received

    def replace() -> None:
        keeper.kill()
        keeper.start()

    threading.Timer(0.4, replace).start()
    assert client.ask(AddRow("once"), timeout=20).seq == 1
    assert client.ask(ReadRows()).rows == ((1, "once"),)


def test_a_request_lost_with_its_connection_is_sent_again_as_soon_as_there_is_another(keeper, home):
    keeper.start().ready()
    with Client(home, first_try=60) as client:
        client.ask(Ping(), to="toy")
        keeper.process.send_signal(19)  # SIGSTOP: the request is sent, and not received

        def replace() -> None:
            keeper.kill()
            keeper.start()

        threading.Timer(0.3, replace).start()
        began = time.monotonic()
        assert client.ask(AddRow("once"), timeout=60).seq == 1
        assert time.monotonic() - began < 30, "it was not left to the next try"
        assert client.ask(ReadRows()).rows == ((1, "once"),)


def test_the_connection_lost_after_the_commit_brings_the_stored_reply_at_once(keeper, home):
    keeper.start(TOY_DIES="after commit").ready()
    died = keeper.process

    def replace() -> None:
        died.wait(20)
        keeper.start()

    replacing = threading.Thread(target=replace)
    replacing.start()
    with Client(home, first_try=60) as client:
        began = time.monotonic()
        assert client.ask(AddRow("die"), timeout=60).pid == died.pid
        assert time.monotonic() - began < 30, "it was not left to the next try"
        replacing.join()
        assert client.ask(ReadRows()).rows == ((1, "die"),)


def test_a_request_that_kills_whoever_takes_it_is_soon_left_to_the_slower_tries(home, keeper):
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    taken, ended = [], threading.Event()

    def die_of_each() -> None:
        while not ended.is_set():
            router = context.socket(zmq.ROUTER)
            router.setsockopt(zmq.PROBE_ROUTER, 1)
            router.setsockopt(zmq.USE_FD, os.dup(keeper.sockets["req"].fileno()))
            router.bind(f"ipc://{home.socket('toy', 'req')}")
            while not router.poll(10) and not ended.is_set():
                continue
            if not ended.is_set():
                taken.append(router.recv_multipart()[1])
            router.close(linger=0)

    dying = threading.Thread(target=die_of_each)
    dying.start()
    try:
        with Client(home, first_try=60) as client, pytest.raises(Unavailable):
            client.ask(Ping(), timeout=2.0, to="toy")
    finally:
        ended.set()
        dying.join()
        context.destroy(linger=0)

    assert len(taken) == 1 + AT_ONCE
    assert len(set(taken)) == 1, "the same id and key each time"


def test_killed_after_the_commit_before_the_reply_the_effect_happened_once(keeper, client):
    keeper.start(TOY_DIES="after commit").ready()
    died = keeper.process

    def replace() -> None:
        died.wait(20)
        keeper.start()

    replacing = threading.Thread(target=replace)
    replacing.start()
    added = client.ask(AddRow("die"), timeout=20)
    replacing.join()

    assert died.returncode == -9
    assert added.pid == died.pid, "the stored reply of the one that died"
    assert client.ask(ReadRows()).rows == ((1, "die"),)


def test_a_reply_past_the_deadline_is_an_error_and_does_not_answer_the_next(keeper, client):
    keeper.start().ready()
    with pytest.raises(Unavailable, match="toy did not answer in time"):
        client.ask(Misbehave("hang", seconds=1.0), timeout=0.3)

    assert client.ask(AddRow("after"), timeout=20).seq == 1


def test_a_given_key_makes_two_requests_one(keeper, client):
    keeper.start()

    first = client.ask(AddRow("a", key="k"), timeout=20)
    again = client.ask(AddRow("a", key="k"))
    other = client.ask(AddRow("a"))

    assert (first.seq, again.seq, other.seq) == (1, 1, 2)


@pytest.mark.parametrize("request_", [Ping(), GetRoster()])
def test_what_goes_to_nobody_here_is_refused(request_, client):
    with pytest.raises(Malformed):
        client.ask(request_)


def test_a_subscription_lives_through_a_restart(keeper, client):
    with client.subscribe(RowAdded) as rows:
        for _ in range(3):
            keeper.start()
            wait_until(lambda: client.ask(Flood(1), timeout=20) and rows.poll(0.1))
            keeper.kill()


def test_fifty_clients_at_once_are_all_served(keeper, home):
    keeper.start().ready()
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            with Client(home) as mine:
                for i in range(5):
                    mine.ask(AddRow(f"{n} {i}"), timeout=60)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    with Client(home) as client:
        rows = client.ask(ReadRows()).rows
    assert sorted(text for _, text in rows) == sorted(
        f"{n} {i}" for n in range(50) for i in range(5)
    )


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_closing_gives_everything_back(keeper, home):
    keeper.start().ready()
    with Client(home) as client:
        client.ask(Ping(), to="toy")
    before = open_descriptors()
    for _ in range(20):
        with Client(home) as client, client.subscribe(RowAdded):
            client.ask(Ping(), to="toy")

    wait_until(lambda: open_descriptors() <= before + 2)


@pytest.mark.parametrize("module", ["orch.client", "orch.service", "orch.lifeline", "orch.log"])
def test_importing_starts_nothing_and_pulls_nothing_heavy(module):
    code = f"""
import os, sys, threading
before = set(os.listdir("/proc/self/fd"))
import {module}
assert threading.active_count() == 1, threading.enumerate()
assert set(os.listdir("/proc/self/fd")) == before
heavy = {{"asyncio", "apsw", "click", "yaml", "subprocess"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
