"""Marks, timers, slow work aside and the lifeline's lines."""

from __future__ import annotations

import contextlib
import math
import select
import socket
import threading
import time

import pytest

from orch.aside import Aside
from orch.errors import Refused, Unavailable
from orch.lifeline import Lifeline, handed
from orch.marks import Alarm, Timer, answers, every, marked, on
from orch.messages import EventLogged, JobsChanged, Ping
from orch.service import Service


class Marked:
    """Methods of every kind."""

    @on(JobsChanged)
    @on(EventLogged)
    @every(seconds=60)
    def reload(self, _event=None):
        """Read."""

    @answers(Ping)
    def pong(self, _request):
        """Answer."""

    def plain(self):
        """Not marked."""


def test_marks_add_up():
    found = {method.__name__: marks for method, marks in marked(Marked())}

    assert found.keys() == {"reload", "pong"}
    assert found["reload"].every == 60
    assert found["reload"].on == [EventLogged, JobsChanged]
    assert found["pong"].answers == [Ping]


def test_a_request_has_one_method(short_home):
    class Twice(Service):
        """Answers Ping beside the frame's own answer."""

        @answers(Ping)
        def other(self, request):
            """Again."""

    with pytest.raises(TypeError, match="Ping is answered twice"):
        Twice(short_home)


@pytest.mark.parametrize(
    "due, now, following", [(10, 10, 11), (10, 10.4, 11), (10, 12.5, 13), (10, 13, 14), (10, 9, 11)]
)
def test_missed_beats_come_as_one(due, now, following):
    timer = Timer(1.0, print, due)

    timer.advance(now)

    assert timer.due == following


def test_an_alarm_is_for_one_time_and_may_be_moved():
    alarm = Alarm(print)
    assert alarm.due == math.inf, "nothing is set"

    alarm.no_later_than(10)
    alarm.no_later_than(12)
    assert alarm.due == 10
    alarm.set(12)
    assert alarm.due == 12
    alarm.advance(12.5)
    assert alarm.due == math.inf, "it rang"
    alarm.set(20)
    alarm.off()
    assert alarm.due == math.inf


# ---- aside -----------------------------------------------------------------------------------


@pytest.fixture
def aside():
    made = Aside(threads=2, waiting=3)
    yield made
    made.close()


def collect(aside: Aside, count: int) -> None:
    """Play the loop until `count` calls came back."""
    deadline = time.monotonic() + 20
    while count:
        assert time.monotonic() < deadline
        select.select([aside.fileno()], [], [], 1.0)
        for call in aside.collect():
            count -= 1
            call()


def test_results_come_back_in_order_of_completion(aside):
    heard: list[str] = []
    first = threading.Event()
    aside.start(lambda: first.wait(20) and "slow", heard.append, None, 60)
    aside.start(lambda: "quick", heard.append, None, 60)
    collect(aside, 1)
    first.set()
    collect(aside, 1)

    assert heard == ["quick", "slow"]


def test_callbacks_run_where_they_are_collected(aside):
    where: list[int] = []
    aside.start(lambda: 1, lambda _: where.append(threading.get_ident()), None, 60)
    collect(aside, 1)

    assert where == [threading.get_ident()]


def test_an_error_goes_to_failed_or_is_raised_in_the_loop(aside):
    heard: list[Exception] = []
    aside.start(lambda: 1 / 0, None, heard.append, 60)
    collect(aside, 1)
    assert [type(error) for error in heard] == [ZeroDivisionError]

    aside.start(lambda: 1 / 0, None, None, 60)
    with pytest.raises(ZeroDivisionError):
        collect(aside, 1)


def test_more_than_fits_is_refused(aside):
    hold = threading.Event()
    started = threading.Semaphore(0)

    def work() -> None:
        started.release()
        hold.wait(20)

    for _ in range(2):
        aside.start(work, None, None, 60)
        assert started.acquire(timeout=20)
    for _ in range(3):
        aside.start(work, None, None, 60)
    with pytest.raises(Refused):
        aside.start(work, None, None, 60)
    hold.set()
    collect(aside, 5)


def test_work_past_its_timeout_is_given_up_and_does_not_hold_up_the_rest(aside):
    hold = threading.Event()
    started = threading.Semaphore(0)
    heard: list[object] = []

    def stuck() -> None:
        started.release()
        hold.wait(100)

    for _ in range(2):
        aside.start(stuck, heard.append, heard.append, 0.0)
        assert started.acquire(timeout=20)
    aside.start(lambda: "next", heard.append, None, 60)
    assert aside.next_timeout() is not None
    for call in aside.expire(time.monotonic()):
        call()
    collect(aside, 1)

    assert [type(one) for one in heard] == [Unavailable, Unavailable, str]
    hold.set()
    aside.start(lambda: "later", heard.append, None, 60)
    collect(aside, 1)
    assert heard[3:] == ["later"], "the late results are dropped"


def test_any_thread_may_post_a_call(aside):
    heard: list[int] = []
    threads = [threading.Thread(target=aside.post, args=(lambda n=n: heard.append(n),))
               for n in range(50)]  # fmt: skip
    for thread in threads:
        thread.start()
    collect(aside, 50)
    for thread in threads:
        thread.join()

    assert sorted(heard) == list(range(50))


# ---- lifeline --------------------------------------------------------------------------------


@pytest.fixture
def lifeline():
    """A lifeline and orchd's end of it."""
    ours, theirs = socket.socketpair()
    made = Lifeline(ours.detach())
    yield made, theirs
    made.close()
    theirs.close()


@pytest.mark.parametrize(
    "text, fds",
    [
        ("lifeline=3,req=4,pub=5,nudge=6", {"lifeline": 3, "req": 4, "pub": 5, "nudge": 6}),
        ("lifeline=3", {"lifeline": 3}),
        ("", {}),
    ],
)
def test_descriptors_come_by_name(text, fds):
    assert handed({"ORCH_FDS": text}) == fds
    assert handed({}) == {}


def test_it_says_how_it_is(lifeline):
    ours, theirs = lifeline
    ours.ready()
    ours.heartbeat(7)
    ours.extend(2.5)

    assert theirs.recv(1000) == b"READY\nHEARTBEAT 7\nEXTEND 2.5\n"


def test_lines_come_whole_however_they_are_cut(lifeline):
    ours, theirs = lifeline
    heard = []
    for part in (b"ST", b"OP\nREOPEN\nEVE", b"NT {}\n"):
        theirs.sendall(part)
        heard.append(ours.receive())

    assert heard == [[], ["STOP", "REOPEN"], ["EVENT {}"]]
    assert not ours.ended


def test_the_end_of_orchd_is_noticed_after_its_last_words(lifeline):
    ours, theirs = lifeline
    theirs.sendall(b"STOP\n")
    theirs.close()

    assert ours.receive() == ["STOP"]
    assert ours.ended
    ours.heartbeat(1)


def test_a_line_without_end_ends_it(lifeline):
    ours, theirs = lifeline
    theirs.setblocking(False)
    deadline = time.monotonic() + 20
    while not ours.ended and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            theirs.send(b"x" * 65536)
        assert ours.receive() == []

    assert ours.ended


def test_an_orchd_that_does_not_listen_blocks_nobody(lifeline):
    ours, _theirs = lifeline
    for n in range(100_000):
        ours.heartbeat(n)

    assert not ours.ended


def test_without_orchd_it_does_nothing():
    alone = Lifeline()
    alone.ready()
    alone.heartbeat(1)

    assert (alone.supervised, alone.fileno(), alone.receive(), alone.ended) == (
        False,
        -1,
        [],
        False,
    )
