"""Garbage on the sockets of a service: answered or dropped, and never its end."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator

import msgspec
import pytest
import zmq

from orch import __version__
from orch.client import GREETING, Client
from orch.errors import Malformed
from orch.messages import AddTask, Done, Envelope, Failed, Message, Ping, decode, encode
from orch.paths import Home, scratch
from tests.support.keeper import Keeper, wait_until
from tests.support.toy_service import AddRow, ReadRows


@pytest.fixture(scope="module")
def toy() -> Iterator[Keeper]:
    """One service for all of this: it has to live through everything."""
    home = Home(scratch("og-"))
    home.make()
    with Keeper(home, "toy") as keeper:
        yield keeper.start().ready()
    shutil.rmtree(home.root)


@pytest.fixture
def client(toy: Keeper) -> Iterator[Client]:
    with Client(toy.home) as made:
        yield made


@pytest.fixture
def raw(toy: Keeper) -> Iterator[zmq.Socket[bytes]]:
    """A socket that can say anything to the toy."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(f"ipc://{toy.home.socket('toy', 'req')}")
    assert dealer.recv() == GREETING
    yield dealer
    context.destroy(linger=0)


def envelope(body: bytes, *, ident: bytes | None = None, version: str = __version__) -> bytes:
    return msgspec.msgpack.encode(Envelope(ident or os.urandom(16), version, 1e18, body))


def answer(dealer: zmq.Socket[bytes]) -> Message:
    assert dealer.poll(10_000), "no answer"
    frames = dealer.recv_multipart()
    assert len(frames) == 1
    return decode(msgspec.msgpack.decode(frames[0], type=Envelope).body, Message)


NEWER = "99.0.0"
UNREADABLE = [
    pytest.param([b""], id="empty"),
    pytest.param([b"\xff" * 100], id="rubbish"),
    pytest.param([msgspec.msgpack.encode([b"id", "v", 1e18])], id="truncated envelope"),
    pytest.param([envelope(b"", ident=b"short")], id="short id"),
    pytest.param([envelope(b"", ident=b"x" * 65)], id="endless id"),
    pytest.param([b"\x91" * 100_000], id="deeply nested"),
    pytest.param([b"a"] * 50, id="fifty frames"),
]
MALFORMED = [
    pytest.param([envelope(b"")], "truncated", id="empty body"),
    pytest.param([envelope(b"\xc1\xc1")], "cannot read", id="rubbish body"),
    pytest.param([envelope(b"\x82\xa4type\xa6AddRow")], "truncated", id="truncated body"),
    pytest.param([envelope(b"\x81\xa4type\xa5DoWar")], "unknown message 'DoWar'", id="unknown"),
    pytest.param([envelope(encode(Done()))], "unknown message 'Done'", id="not a request"),
    pytest.param([envelope(encode(AddTask("t", "p")))], "toy does not answer", id="wrong owner"),
    pytest.param([envelope(encode(Ping())), b"more"], "one frame", id="two frames"),
    pytest.param(
        [envelope(b"\x82\xa4type\xa4Ping\xa3new\x01", version=NEWER)], NEWER, id="newer version"
    ),
]


@pytest.mark.parametrize("frames", UNREADABLE)
def test_what_has_no_readable_envelope_is_dropped_and_logged(frames, raw, toy, client):
    raw.send_multipart(frames)
    raw.send(envelope(encode(Ping())))

    assert type(answer(raw)).__name__ == "Pong"
    assert client.ask(Ping(), to="toy").pid == toy.process.pid
    wait_until(lambda: any(line.get("kind") == "unreadable" for line in toy.logged()))


@pytest.mark.parametrize("frames, said", MALFORMED)
def test_what_cannot_be_read_but_has_an_id_is_answered(frames, said, raw):
    raw.send_multipart(frames)

    reply = answer(raw)
    assert isinstance(reply, Failed)
    assert reply.error == "Malformed"
    assert said in reply.message


def test_a_newer_client_is_told_both_versions_and_what_to_do(raw):
    raw.send(envelope(b"\x82\xa4type\xa4Ping\xa3new\x01", version=NEWER))

    reply = answer(raw)
    assert isinstance(reply, Failed)
    assert NEWER in reply.message
    assert __version__ in reply.message
    assert "orch service restart" in reply.hint


def test_a_request_past_its_deadline_is_dropped(raw, toy, client):
    late = Envelope(b"late" * 4, __version__, time.monotonic() - 1, encode(AddRow("late")))
    never = Envelope(b"nan!" * 4, __version__, float("nan"), encode(AddRow("nan")))
    raw.send(msgspec.msgpack.encode(late))
    raw.send(msgspec.msgpack.encode(never))
    raw.send(envelope(encode(Ping())))

    assert type(answer(raw)).__name__ == "Pong"
    assert not {"late", "nan"} & {text for _, text in client.ask(ReadRows()).rows}


def test_bytes_that_are_not_zeromq_at_all_do_no_harm(toy, client):
    home = toy.home
    talkers = []
    for kind in ("req", "pub"):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 4096, os.urandom(4096), b""):
            talker = socket.socket(socket.AF_UNIX)
            talker.connect(str(home.socket("toy", kind)))
            talker.sendall(data)
            talkers.append(talker)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nudger:
        nudger.sendto(b"nudged", str(home.socket("toy", "nudge")))

    wait_until(lambda: "nudged" in {text for _, text in client.ask(ReadRows()).rows})
    for talker in talkers:
        talker.close()


def test_a_message_over_the_limit_is_refused_before_it_is_sent(toy, client):
    with pytest.raises(Malformed, match="over the limit"):
        client.ask(AddRow("x" * (1 << 20)))
