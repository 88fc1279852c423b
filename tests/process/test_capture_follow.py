"""Readers see every byte and every event once, in order, whatever is restarted meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from orch.client import Client
from orch.errors import NotFound, NotRunning
from orch.follow import Chunk, Ended, Follow, Item, Logged
from orch.messages import EventLogged
from orch.model import Event
from orch.paths import Home, scratch
from tests.support.session_engine import Stage, stage


@pytest.fixture
def at() -> Iterator[Stage]:
    with stage("capture") as made:
        yield made


class Watcher:
    """Follows in a thread of its own, like `orch tail` does in a process of its own."""

    def __init__(self, at: Stage, how: Callable[[Follow], Iterator[Item]]) -> None:
        self.read: dict[tuple[str, int], bytes] = {}
        self.began: dict[tuple[str, int], int] = {}
        self.ended: list[tuple[str, int, int]] = []
        self.events: list[int] = []
        self.problem: Exception | None = None
        self.over = False
        self._thread = threading.Thread(target=self._watch, args=(at.home, how), daemon=True)
        self._thread.start()

    def _watch(self, home: Home, how: Callable[[Follow], Iterator[Item]]) -> None:
        try:
            with Client(home) as client:
                for item in how(Follow(client)):
                    self._take(item)
        except Exception as error:
            self.problem = error
        self.over = True

    def _take(self, item: Item) -> None:
        if isinstance(item, Logged):
            self.events.append(item.event.seq)
        elif isinstance(item, Ended):
            self.ended.append((item.session, item.attempt, item.size))
        elif isinstance(item, Chunk):
            key = item.session, item.attempt
            begin = self.began.setdefault(key, item.offset)
            known = self.read.setdefault(key, b"")
            assert item.offset == begin + len(known), f"{item.offset} after {len(known)}"
            assert item.task == f"int-{item.session}"
            self.read[key] += item.data

    def has(self, name: str, data: bytes, attempt: int = 1) -> bool:
        assert self.problem is None, self.problem
        return self.read.get((name, attempt), b"") == data


def log_event(at: Stage, name: str = "task_changed") -> None:
    at.world.events.append(Event(seq=len(at.world.events) + 1, at=time.time(), name=name))
    at.ring(EventLogged(len(at.world.events)))


def test_one_session_is_read_from_an_offset_to_its_end(at: Stage) -> None:
    at.open("one", data=b"0123456789")
    seen = Watcher(at, lambda follow: follow.session("one", offset=4))
    at.wait_for(lambda: seen.has("one", b"456789"), "what was there is read")
    at.write("one", b"more\n")
    at.wait_for(lambda: seen.has("one", b"456789more\n"), "what comes is read")
    at.write("one", b"last", nudge=False)
    at.end("one")
    at.wait_for(lambda: seen.over, "the end is told")
    assert seen.has("one", b"456789more\nlast")
    assert seen.ended == [("one", 1, 19)]


def test_an_ended_session_is_replayed_and_ends_at_once(at: Stage) -> None:
    at.open("one", data=b"x" * 1_000_000)
    at.end("one")
    seen = Watcher(at, lambda follow: follow.session("one"))
    at.wait_for(lambda: seen.over, "the end is told")
    assert seen.has("one", at.log("one"))
    assert seen.ended == [("one", 1, 1_000_000)]


def test_a_session_that_nobody_knows_is_not_found(at: Stage) -> None:
    with pytest.raises(NotFound):
        next(Follow(at.client).session("nobody"))


def test_without_orch_running_it_says_so_at_once() -> None:
    home = Home(scratch())
    home.make()
    with Client(home) as client, pytest.raises(NotRunning):
        next(Follow(client).everything())


def test_the_latest_attempt_is_taken_unless_another_is_named(at: Stage) -> None:
    at.open("one", data=b"first")
    at.end("one")
    at.open("one", attempt=2, data=b"second")
    at.end("one", attempt=2)
    for attempt, expected in ((0, b"second"), (1, b"first"), (2, b"second")):
        seen = Watcher(at, lambda follow, n=attempt: follow.session("one", attempt=n))
        at.wait_for(lambda seen=seen: seen.over, "the end is told")
        assert list(seen.read.values()) == [expected]


def test_everything_brings_new_sessions_from_their_first_byte_and_all_events(at: Stage) -> None:
    at.open("old", data=b"old output\n")
    log_event(at)
    seen = Watcher(at, lambda follow: follow.everything())
    log_event_until_heard(at, seen)
    at.open("new", data=b"hello\n")
    at.write("old", b"still\n")
    at.write("new", b"world\n")
    for _ in range(10):
        log_event(at)
    at.end("new")
    at.wait_for(lambda: seen.has("new", b"hello\nworld\n"), "the new session is whole")
    at.wait_for(lambda: seen.has("old", b"still\n"), "the old one goes on from now")
    at.wait_for(lambda: seen.ended == [("new", 1, 12)], "the end is told")
    at.wait_for(lambda: seen.events[-1:] == [len(at.world.events)], "all events are told")
    assert seen.events == list(range(seen.events[0], len(at.world.events) + 1))


def log_event_until_heard(at: Stage, seen: Watcher) -> None:
    at.wait_for(lambda: log_event(at) or seen.events or seen.problem, "it follows")


def test_from_the_start_and_since_bring_the_past_too(at: Stage) -> None:
    at.open("over", data=b"over\n")
    at.end("over")
    at.open("open", data=b"open\n")
    for _ in range(5):
        log_event(at)
    seen = Watcher(at, lambda follow: follow.everything(seq=2, from_start=True, since=0.0))
    at.wait_for(lambda: seen.has("over", b"over\n"), "the ended one is replayed")
    at.wait_for(lambda: seen.has("open", b"open\n"), "the open one is replayed")
    at.wait_for(lambda: seen.events == [3, 4, 5], "events go on after the seq")
    at.wait_for(lambda: seen.ended == [("over", 1, 5)], "the end is told once")


def test_one_task_alone_can_be_followed(at: Stage) -> None:
    at.open("mine", data=b"mine\n")
    at.open("other", data=b"other\n")
    seen = Watcher(at, lambda follow: follow.everything(from_start=True, task="int-mine"))
    at.wait_for(lambda: seen.has("mine", b"mine\n"), "it is followed")
    at.write("other", b"more\n")
    at.write("mine", b"more\n")
    at.wait_for(lambda: seen.has("mine", b"mine\nmore\n"), "it goes on")
    assert ("other", 1) not in seen.read


def test_kills_of_capture_and_engine_make_neither_gap_nor_repeat(at: Stage) -> None:
    at.open("one")
    at.open("two")
    alone = Watcher(at, lambda follow: follow.session("one"))
    tail = Watcher(at, lambda follow: follow.everything(seq=0, from_start=True))
    for turn in range(3):
        for number in range(50):
            at.write("one", f"{turn}.{number}\n".encode())
            at.write("two", f"{turn}.{number}\n".encode())
        log_event(at)
        at.kill("capture")
        at.write("one", b"while capture is dead\n")
        at.stop_engine()
        at.write("two", b"while both are dead\n")
        at.world.events.append(Event(seq=len(at.world.events) + 1, at=0.0, name="task_changed"))
        at.start("capture")
        at.write("one", b"while the engine is dead\n")
        at.start_engine()
    at.open(f"three-{turn}", data=b"new\n")
    at.end("one")
    at.wait_for(lambda: tail.has("one", at.log("one")), "all of one")
    at.wait_for(lambda: tail.has("two", at.log("two")), "all of two")
    at.wait_for(lambda: tail.has("three-2", b"new\n"), "all of three")
    at.wait_for(lambda: alone.over, "the end")
    assert alone.has("one", at.log("one"))
    at.wait_for(lambda: tail.events == [1, 2, 3, 4, 5, 6], "all events")


def test_a_slow_reader_costs_the_others_nothing_and_misses_nothing(at: Stage) -> None:
    at.open("one")
    gate = threading.Event()

    def slowly(follow: Follow) -> Iterator[Item]:
        for item in follow.session("one"):
            yield item
            gate.wait(30)

    slow = Watcher(at, slowly)
    quick = Watcher(at, lambda follow: follow.session("one"))
    at.write("one", b"begin\n")
    at.wait_for(lambda: slow.read and quick.read, "both follow")
    for number in range(300):
        at.write("one", f"{number} ".encode() * 2000)
    at.wait_for(lambda: quick.has("one", at.log("one")), "the quick one is done")
    assert not slow.has("one", at.log("one"))
    gate.set()
    at.end("one")
    at.wait_for(lambda: slow.over, "the slow one ends")
    assert slow.has("one", at.log("one"))
