"""How fast messages are, beside a bare ZeroMQ socket that carries the same Structs."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import zmq

from orch.client import Client
from orch.errors import Unavailable
from orch.messages import Message, Occurred, Ping, Request
from orch.paths import Home, scratch
from orch.service import Service, answers, run
from tests.bench.row import Row

ROUNDS = 3
REQUESTS = 3000
EVENTS = 1500
BODY = "x" * 300


class Echoed(Message, frozen=True):
    """The same text back."""

    text: str


class SendBack(Request[Echoed], frozen=True):
    """Ask for the text back."""

    owner = "echo"
    text: str


class TextSeen(Occurred, frozen=True):
    """A text went by, at a moment of the monotonic clock."""

    owner = "echo"
    text: str
    at: float


class StartTexts(Request[Echoed], frozen=True):
    """Publish `count` events, one a millisecond."""

    owner = "echo"
    count: int


class Echo(Service):
    """Answers with what it was asked, and publishes on demand."""

    name = "echo"

    @answers(SendBack)
    def echo(self, request: SendBack) -> Echoed:
        """The text."""
        return Echoed(request.text)

    @answers(StartTexts)
    def start(self, request: StartTexts) -> Echoed:
        """Begin to publish."""
        self.left = request.count
        if not getattr(self, "ticking", False):
            self.ticking = True
            self.repeat(0.001, self.publish_one)
        return Echoed("")

    def publish_one(self) -> None:
        """One event."""
        if self.left > 0:
            self.left -= 1
            self.publish(TextSeen(BODY, self.clock()))


def rows() -> list[Row]:
    """Request and reply, and event to subscriber, each beside the bare socket in the same run."""
    home = Home(scratch("ob-"))
    home.make()
    try:
        with _process(home, "service"), _process(home, "bare"):
            asked = [_both(home, _ask, _bare_ask) for _ in range(ROUNDS)]
            heard = [_both(home, _hear, _bare_hear) for _ in range(ROUNDS)]
    finally:
        shutil.rmtree(home.root, ignore_errors=True)
    return [*_request_rows(asked), _event_row(heard)]


def _request_rows(asked: list[tuple[list[float], list[float]]]) -> list[Row]:
    p50 = statistics.median(_quantile(ours, 0.5) for ours, _ in asked)
    p99 = statistics.median(_quantile(ours, 0.99) for ours, _ in asked)
    bare = statistics.median(_quantile(theirs, 0.5) for _, theirs in asked)
    ratio = statistics.median(_quantile(a, 0.5) / _quantile(b, 0.5) for a, b in asked)
    tail = statistics.median(_quantile(a, 0.99) / _quantile(a, 0.5) for a, _ in asked)
    return [
        Row(
            "request and reply, 300 bytes, p50",
            p50,
            "µs",
            "bare zmq + msgspec",
            bare,
            1.35,
            ratio <= 1.35,
            f"ratio {ratio:.2f}",
        ),
        Row(
            "request and reply, 300 bytes, p99",
            p99,
            "µs",
            "its own p50",
            p50,
            2.5,
            tail <= 2.5,
            f"ratio {tail:.2f}",
        ),
    ]


def _event_row(heard: list[tuple[list[float], list[float]]]) -> Row:
    ours = statistics.median(_quantile(a, 0.5) for a, _ in heard)
    bare = statistics.median(_quantile(b, 0.5) for _, b in heard)
    ratio = statistics.median(_quantile(a, 0.5) / _quantile(b, 0.5) for a, b in heard)
    return Row(
        "event published to heard in another process, p50",
        ours,
        "µs",
        "bare PUB/SUB + msgspec",
        bare,
        1.5,
        ratio <= 1.5,
        f"ratio {ratio:.2f}; the loop's poll is in it",
    )


def _both(
    home: Home,
    ours: Callable[[Home], list[float]],
    theirs: Callable[[Home], list[float]],
) -> tuple[list[float], list[float]]:
    return ours(home), theirs(home)


def _ask(home: Home) -> list[float]:
    with Client(home) as client:
        return _timed(lambda: client.ask(SendBack(BODY)))


def _bare_ask(home: Home) -> list[float]:
    context: zmq.Context[Any] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(f"ipc://{home.run}/bare.req")
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Echoed)

    def once() -> None:
        dealer.send(encoder.encode(SendBack(BODY)))
        decoder.decode(dealer.recv())

    try:
        return _timed(once)
    finally:
        context.destroy(linger=0)


def _timed(once: Callable[[], object]) -> list[float]:
    for _ in range(200):
        once()
    spent = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        once()
        spent.append((time.perf_counter() - began) * 1e6)
    return sorted(spent)


def _hear(home: Home) -> list[float]:
    spent: list[float] = []
    with Client(home) as client, client.subscribe(TextSeen) as texts:
        while len(spent) < EVENTS:
            if not (heard := texts.poll(0.2)):
                client.ask(StartTexts(EVENTS))
            now = time.monotonic()
            spent += [(now - event.at) * 1e6 for event in heard if isinstance(event, TextSeen)]
    return sorted(spent)


def _bare_hear(home: Home) -> list[float]:
    context: zmq.Context[Any] = zmq.Context()
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.SUBSCRIBE, b"")
    sub.connect(f"ipc://{home.run}/bare.pub")
    decoder = msgspec.msgpack.Decoder(TextSeen)
    spent = []
    try:
        while len(spent) < EVENTS:
            event = decoder.decode(sub.recv())
            spent.append((time.monotonic() - event.at) * 1e6)
    finally:
        context.destroy(linger=0)
    return sorted(spent)


def _quantile(spent: list[float], part: float) -> float:
    return spent[min(len(spent) - 1, int(len(spent) * part))]


@contextmanager
def _process(home: Home, role: str) -> Iterator[None]:
    """This module as another process, until the block ends."""
    environment = {**os.environ, "ORCH_HOME": str(home.root), "ORCH_SERVICE": "echo"}
    command = [sys.executable, "-m", "tests.bench.messaging", role]
    root = Path(__file__).parents[2]
    child = subprocess.Popen(command, cwd=root, env=environment)
    try:
        if role == "service":
            _wait_until_served(home)
        yield
    finally:
        child.terminate()
        child.wait(timeout=10)


def _wait_until_served(home: Home) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with Client(home) as client:
            try:
                client.ask(Ping(), timeout=1.0, to="echo")
            except Unavailable:
                continue
            return
    raise TimeoutError("the service did not start")


def _bare_server(home: Home) -> None:
    """ROUTER and PUB without anything around them."""
    context: zmq.Context[Any] = zmq.Context()
    router, pub = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
    router.bind(f"ipc://{home.run}/bare.req")
    pub.bind(f"ipc://{home.run}/bare.pub")
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(SendBack)
    threading.Thread(target=_bare_publish, args=(pub,), daemon=True).start()
    while True:
        peer, body = router.recv_multipart()
        router.send_multipart([peer, encoder.encode(Echoed(decoder.decode(body).text))])


def _bare_publish(pub: zmq.Socket[bytes]) -> None:
    encoder = msgspec.msgpack.Encoder()
    while True:
        time.sleep(0.001)
        pub.send(encoder.encode(TextSeen(BODY, time.monotonic())))


if __name__ == "__main__":
    if sys.argv[1:] == ["service"]:
        raise SystemExit(run(Echo))
    if sys.argv[1:] == ["bare"]:
        _bare_server(Home())
    for row in rows():
        print(row)
