"""`ctl.sock` under good, bad, slow and many clients."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from orch import control
from orch.control_ping import ping
from orch.errors import Malformed, NotRunning, Unavailable
from orch.messages import Failed, GetRoster, Message, PingOrchd, Pong, decode
from orch.paths import Home
from tests.support.scratch_orchd import ScratchOrchd, eventually, scratch_orchd


@pytest.fixture(scope="module")
def orchd() -> Iterator[ScratchOrchd]:
    """A running orchd with one toy."""
    with scratch_orchd("fork") as made:
        made.add("engine").start().ready()
        yield made


def connected(orchd: ScratchOrchd) -> socket.socket:
    """A raw connection to `ctl.sock`."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(10)
    client.connect(str(orchd.home.control))
    return client


def received(client: socket.socket) -> Message | None:
    """The next reply, None when orchd has closed the connection."""
    frames = control.Frames()
    while (body := frames.next()) is None:
        try:
            data = client.recv(65536)
        except ConnectionResetError:
            return None
        if not data:
            return None
        frames.take(data)
    return decode(body, Message)


def frame(body: bytes) -> bytes:
    """The body with its length before it."""
    return len(body).to_bytes(4, "big") + body


def served_at_once(orchd: ScratchOrchd) -> bool:
    """Whether one of a few pings is answered within 50 ms (the machine itself may be busy)."""

    def once() -> float:
        began = time.monotonic()
        with contextlib.suppress(TimeoutError):
            ping(str(orchd.home.control))
        return time.monotonic() - began

    return min(once() for _ in range(10)) < 0.05


def test_a_home_without_orchd_is_told_apart_from_one_that_is_silent(short_home):
    home = Home(short_home)
    with pytest.raises(NotRunning, match="orchd does not run"):
        control.ask(home, PingOrchd())
    home.make()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(home.control))
        with pytest.raises(NotRunning):
            control.ask(home, PingOrchd())
        silent.listen(1)
        with pytest.raises(Unavailable, match=r"did not answer PingOrchd within 0\.2 s"):
            control.ask(home, PingOrchd(), timeout=0.2)


def test_an_orchd_that_goes_away_before_it_answers_is_said_to_have(short_home):
    home = Home(short_home)
    home.make()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(home.control))
        listener.listen(1)

        def accept_and_leave() -> None:
            listener.accept()[0].close()

        leaving = threading.Thread(target=accept_and_leave)
        leaving.start()
        with pytest.raises(Unavailable, match="went away before it answered"):
            control.ask(home, PingOrchd())
        leaving.join()


def test_the_small_ping_says_what_the_large_one_says(orchd):
    pong = msgspec.msgpack.decode(ping(str(orchd.home.control)), type=Pong)
    assert pong == orchd.ask(PingOrchd())
    assert pong.pid == orchd.process.pid


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"garbage",
        msgspec.msgpack.encode({"type": "AddTask", "title": "x", "project": "p"}),
        msgspec.msgpack.encode({"type": "NoSuchThing"}),
        msgspec.msgpack.encode({"type": "PingOrchd", "newer_field": 1}),
        msgspec.msgpack.encode({"type": "StopService", "name": 7}),
        msgspec.msgpack.encode([1, 2]),
    ],
)
def test_what_cannot_be_read_is_answered_and_the_connection_goes_on(orchd, body):
    with connected(orchd) as client:
        client.sendall(frame(body))
        reply = received(client)
        assert isinstance(reply, Failed)
        assert reply.error == "Malformed"
        client.sendall(control.framed(PingOrchd()))
        assert isinstance(received(client), Pong)


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 8, (1 << 21).to_bytes(4, "big")]
)
def test_a_frame_that_is_too_long_is_answered_and_ends_the_connection(orchd, start):
    with connected(orchd) as client:
        client.sendall(start)
        reply = received(client)
        assert isinstance(reply, Failed)
        assert reply.error == "Malformed"
        assert received(client) is None
    assert served_at_once(orchd)


def test_random_bytes_never_harm_orchd(orchd):
    dice = random.Random(7)
    for _ in range(100):
        with connected(orchd) as client:
            data = dice.randbytes(dice.randrange(1, 300))
            if dice.random() < 0.5:
                data = frame(data)
            client.sendall(data)
    assert served_at_once(orchd)
    assert orchd.roster_now().pid == orchd.process.pid


def test_slow_and_many_clients_hold_up_nobody_and_cost_little(orchd):
    before = psutil.Process(orchd.process.pid).memory_info().rss
    half = control.framed(GetRoster())[:-3]
    clients = [connected(orchd) for _ in range(30)]
    for client in clients:
        client.sendall(half)  # and never the rest
    greedy = [connected(orchd) for _ in range(10)]
    for client in greedy:  # asks on and on, reads nothing
        client.setblocking(False)
        try:
            while True:
                client.send(control.framed(GetRoster()) * 100)
        except BlockingIOError:
            pass
    assert served_at_once(orchd)
    crowd = [connected(orchd) for _ in range(100)]
    assert served_at_once(orchd)
    for client in clients + greedy + crowd:
        client.close()
    grown = psutil.Process(orchd.process.pid).memory_info().rss - before
    assert grown < 16 << 20
    eventually(lambda: psutil.Process(orchd.process.pid).num_fds() < 30, "descriptors are back")


def test_pipelined_requests_are_answered_in_order(orchd):
    with connected(orchd) as client:
        client.sendall(control.framed(PingOrchd()) * 2000)
        frames, count = control.Frames(), 0
        while count < 2000:
            frames.take(client.recv(65536))
            while (body := frames.next()) is not None:
                assert isinstance(decode(body, Message), Pong)
                count += 1


def test_out_of_descriptors_orchd_still_answers_and_recovers(orchd):
    pid = orchd.process.pid
    old = orchd.see("engine").pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 3, limits[1]))
    crowd = [connected(orchd) for _ in range(highest + 10)]
    assert served_at_once(orchd)
    os.kill(old, signal.SIGKILL)
    eventually(lambda: "cannot be made" in orchd.see("engine").last_error, "it cannot be started")
    assert served_at_once(orchd)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))  # not even the spare one helps
    crowd.append(connected(orchd))
    cpu = psutil.Process(pid).cpu_times()
    eventually(lambda: psutil.Process(pid).num_fds() < highest, "idle clients were let go")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    orchd.wait("engine", state="ready", other_than=old)
    used = psutil.Process(pid).cpu_times()
    assert used.user + used.system - cpu.user - cpu.system < 2
    for client in crowd:
        client.close()


def test_a_frame_in_pieces_is_put_together():
    frames = control.Frames(limit=10)
    data = frame(b"one") + frame(b"") + frame(b"0123456789")
    bodies = []
    for byte in data:
        frames.take(bytes([byte]))
        if (body := frames.next()) is not None:
            bodies.append(body)
    assert bodies == [b"one", b"", b"0123456789"]
    frames.take((11).to_bytes(4, "big"))
    with pytest.raises(Malformed, match="over the limit of 10"):
        frames.next()
