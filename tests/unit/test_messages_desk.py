"""The desk: each request to one handler, once; what it may not answer, it drops."""

from __future__ import annotations

import logging
import math
import time

import msgspec
import pytest

from orch import desk
from orch.desk import Desk, Later
from orch.errors import NotFound
from orch.log import Seldom
from orch.messages import CountTasks, Done, Envelope, Failed, Message, Ping, Pong, decode, encode

PONG = Pong("toy", "1", 1)


class Counter:
    """A desk that answers Ping by what `does` says, and remembers what was asked and sent."""

    def __init__(self, does=lambda: PONG) -> None:
        self.does = does
        self.asked: list[Ping] = []
        self.sent: list[tuple[bytes, bytes, Message]] = []
        seldom = Seldom(logging.getLogger("test"))
        self.desk = Desk("toy", {Ping: self.ping}, self.handle, self.send, seldom)

    def ping(self, request: Ping) -> Message | Later:
        self.asked.append(request)
        return self.does()

    def handle(self, request, handler):
        return handler(request)

    def send(self, frames: list[bytes]) -> None:
        peer, frame = frames
        envelope = msgspec.msgpack.decode(frame, type=Envelope)
        self.sent.append((peer, envelope.id, decode(envelope.body, Message)))

    def take(self, ident: bytes = b"i" * 16, peer: bytes = b"peer", request=None, left=10.0):
        body = encode(request or Ping())
        envelope = Envelope(ident, "1", time.monotonic() + left, body)
        self.desk.take([peer, msgspec.msgpack.encode(envelope)])


def test_a_request_is_answered_under_its_id():
    counter = Counter()

    counter.take(b"x" * 16)

    assert counter.sent == [(b"peer", b"x" * 16, PONG)]


def test_one_that_comes_again_gets_the_same_reply_and_is_not_done_again():
    counter = Counter()

    counter.take()
    counter.take(peer=b"reconnected")

    assert len(counter.asked) == 1
    assert [peer for peer, _, _ in counter.sent] == [b"peer", b"reconnected"]


def test_only_the_last_replies_are_remembered():
    counter = Counter()
    for n in range(desk.REMEMBERED + 1):
        counter.take(n.to_bytes(16, "big"))

    counter.take((0).to_bytes(16, "big"))
    counter.take((5).to_bytes(16, "big"))

    assert len(counter.asked) == desk.REMEMBERED + 2


@pytest.mark.parametrize("left", [-1.0, -math.inf, math.nan])
def test_past_its_deadline_it_is_dropped_and_counted(left):
    counter = Counter()

    counter.take(left=left)

    assert (counter.asked, counter.sent) == ([], [])
    assert counter.desk.dropped == {"past its deadline": 1}


def test_an_expected_error_is_answered_and_any_other_is_raised():
    def missing():
        raise NotFound("no such thing", "look elsewhere")

    counter = Counter(missing)
    counter.take()
    assert counter.sent[0][2] == Failed("NotFound", "no such thing", "look elsewhere")

    with pytest.raises(ZeroDivisionError):
        Counter(lambda: 1 / 0).take()


def test_a_request_that_nobody_here_answers_is_malformed():
    counter = Counter()

    counter.take(request=CountTasks())

    assert counter.sent[0][2] == Failed("Malformed", "toy does not answer CountTasks")


def test_the_wrong_reply_is_a_bug():
    with pytest.raises(TypeError, match="Ping promises"):
        Counter(Done).take()


def test_a_reply_over_the_limit_is_told_instead():
    counter = Counter(lambda: Pong("x" * (1 << 20), "1", 1))

    counter.take()

    assert counter.sent[0][2].error == "Malformed"


@pytest.mark.parametrize("outcome, error", [(PONG, ""), (NotFound("gone"), "NotFound")])
def test_a_later_reply_goes_to_where_the_last_try_came_from(outcome, error):
    later = Later()
    counter = Counter(lambda: later)
    counter.take()
    counter.take(peer=b"reconnected")
    assert counter.sent == []

    later(outcome)
    later(PONG)

    [(peer, _, reply)] = counter.sent
    assert (peer, len(counter.asked)) == (b"reconnected", 1)
    assert getattr(reply, "error", "") == error


def test_a_later_reply_may_be_there_before_the_handler_returns():
    def at_once() -> Later:
        later = Later()
        later(PONG)
        return later

    counter = Counter(at_once)
    counter.take()

    assert counter.sent[0][2] == PONG


def test_a_bug_behind_a_later_reply_is_raised_in_the_loop():
    later = Later()
    Counter(lambda: later).take()

    with pytest.raises(ZeroDivisionError):
        later(ZeroDivisionError())


def test_replies_outstanding_are_bounded():
    counter = Counter(Later)
    for n in range(desk.MAX_PENDING + 1):
        counter.take(n.to_bytes(16, "big"))

    assert [reply.error for _, _, reply in counter.sent] == ["Refused"]
