"""Capture as a process: what is written is published once, in order, and can be read again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.errors import Malformed, NotFound
from orch.messages import OutputSeen, ReadOutput
from tests.support.session_engine import Stage, stage


@pytest.fixture
def at() -> Iterator[Stage]:
    with stage("capture") as made:
        yield made


class Ear:
    """What a subscriber heard, put together by offset; a gap or a repeat is an error.

    It is made once it hears: what is published before a subscription takes effect is lost.
    """

    def __init__(self, at: Stage) -> None:
        self.bell = at.client.subscribe(OutputSeen)
        at.open("tuning")
        at.wait_for(lambda: at.write("tuning", b".") or self.bell.poll(0.1), "the ear hears")
        self.heard: dict[tuple[str, int], bytes] = {}
        self.events: list[OutputSeen] = []

    def listen(self, seconds: float = 0.05) -> None:
        for event in self.bell.poll(seconds):
            assert isinstance(event, OutputSeen)
            if event.session == "tuning":
                continue
            self.events.append(event)
            key = event.session, event.attempt
            known = self.heard.setdefault(key, b"")
            assert event.offset == len(known), f"{event.offset} after {len(known)} bytes"
            self.heard[key] += event.data

    def hears(self, name: str, data: bytes, attempt: int = 1) -> bool:
        self.listen()
        return self.heard.get((name, attempt)) == data


def test_what_a_session_writes_is_heard_once_in_order(at: Stage) -> None:
    ear = Ear(at)
    at.open("one")
    at.open("two")
    for number in range(200):
        at.write("one", f"line {number}\n".encode())
        at.write("two", f"other {number}\n".encode())
    at.wait_for(lambda: ear.hears("one", at.log("one")), "all of one is heard")
    at.wait_for(lambda: ear.hears("two", at.log("two")), "all of two is heard")


def test_a_lost_nudge_is_made_good_by_the_timer(at: Stage) -> None:
    ear = Ear(at)
    at.open("one")
    at.write("one", b"silent\n", nudge=False)
    at.wait_for(lambda: ear.hears("one", b"silent\n"), "the write is found")


def test_a_nudge_of_a_session_not_yet_known_makes_it_known(at: Stage) -> None:
    ear = Ear(at)
    at.open("one", tell=False)
    at.write("one", b"first\n")
    at.wait_for(lambda: ear.hears("one", b"first\n"), "the session is followed", seconds=10)


def test_nudges_that_cannot_be_read_do_no_harm(at: Stage) -> None:
    ear = Ear(at)
    at.open("one")
    for data in (b"", b"\xff" * 300, b"\x81\xa7session\x07", b"\x80", b"\x81\xa7session\xa4nobo"):
        at.nudge(data)
    at.write("one", b"still here\n")
    at.wait_for(lambda: ear.hears("one", b"still here\n"), "capture goes on")


def test_a_character_is_not_published_in_halves_unless_it_stays_one(at: Stage) -> None:
    ear = Ear(at)
    at.open("one")
    at.write("one", "grü".encode()[:-1])
    at.wait_for(lambda: b"gr" in ear.heard.get(("one", 1), b"") or ear.listen(), "a part is heard")
    at.wait_for(lambda: ear.hears("one", "grü".encode()[:-1]), "the half is let go")
    at.write("one", b"\xbc!")
    at.wait_for(lambda: ear.hears("one", "grü!".encode()), "the rest follows")


def test_binary_rubbish_is_published_byte_for_byte(at: Stage) -> None:
    ear = Ear(at)
    at.open("one")
    rubbish = bytes(range(256)) * 1000
    at.write("one", rubbish)
    at.wait_for(lambda: ear.hears("one", rubbish), "all bytes are heard")
    assert max(len(event.data) for event in ear.events) <= 64 * 1024


def test_the_end_of_a_session_is_published_to_its_last_byte(at: Stage) -> None:
    ear = Ear(at)
    at.open("one")
    at.write("one", b"last words \xc3", nudge=False)
    at.end("one")
    at.wait_for(lambda: ear.hears("one", b"last words \xc3"), "the end is heard")
    at.wait_for(lambda: ear.listen() or ear.events[-1].data == b"", "readers are told to look")
    told = at.client.ask(ReadOutput("one", 5))
    assert (told.data, told.size, told.ended) == (b"words \xc3", 12, True)


def test_a_task_tried_again_under_the_same_session_name_begins_at_its_first_byte(
    at: Stage,
) -> None:
    ear = Ear(at)
    at.open("one", data=b"first try\n")
    at.wait_for(lambda: ear.hears("one", b"first try\n"), "the first attempt is heard")
    at.end("one")
    at.open("one", attempt=2)
    at.write("one", b"again\n", attempt=2)
    at.wait_for(lambda: ear.hears("one", b"again\n", attempt=2), "the second attempt is heard")
    assert at.client.ask(ReadOutput("one", 0)).data == b"again\n"
    assert at.client.ask(ReadOutput("one", 0, attempt=1)).data == b"first try\n"
    assert at.client.ask(ReadOutput("one", 0, attempt=1)).ended


def test_ranges_are_answered_for_live_and_for_long_ended_sessions(at: Stage) -> None:
    at.open("live", data=b"0123456789")
    at.open("old", data=b"abcdef")
    at.end("old")
    assert at.client.ask(ReadOutput("live", 3, 4)).data == b"3456"
    assert not at.client.ask(ReadOutput("live", 3, 4)).ended
    assert at.client.ask(ReadOutput("live", 99)).data == b""
    assert at.client.ask(ReadOutput("old", 4)).data == b"ef"
    with pytest.raises(NotFound, match="no session is called nobody"):
        at.client.ask(ReadOutput("nobody", 0))
    with pytest.raises(Malformed):
        at.client.ask(ReadOutput("live", -1))
    with pytest.raises(Malformed):
        at.client.ask(ReadOutput("live", 0, 0))


def test_one_reply_holds_at_most_half_a_mebibyte_cut_between_characters(at: Stage) -> None:
    text = "aü€🎉".encode() * 90_000
    at.open("big", data=text)
    read = b""
    while True:
        told = at.client.ask(ReadOutput("big", len(read), 1 << 30))
        if not told.data:
            break
        assert len(told.data) <= 512 * 1024
        told.data.decode()
        read += told.data
    assert read == text


def test_after_kill_nine_it_goes_on_where_the_log_is(at: Stage) -> None:
    at.open("one", data=b"before\n")
    bell = at.client.subscribe(OutputSeen)
    at.wait_for(lambda: bell.poll(0.1), "the session is followed")
    at.kill("capture")
    at.write("one", b"meanwhile\n")
    at.start("capture")
    seen: list[OutputSeen] = []
    at.wait_for(lambda: seen.extend(bell.poll(0.1)) or seen, "the offset is published")
    assert seen[0] == OutputSeen("one", 17, b"", 1)
    at.write("one", b"after\n")
    at.wait_for(
        lambda: seen.extend(bell.poll(0.1)) or seen[-1].offset > 17 or seen[-1].data,
        "more is published",
    )
    news = [event for event in seen if event.data]
    assert news[0] == OutputSeen("one", 17, b"after\n", 1)


def test_while_the_engine_is_down_known_sessions_go_on(at: Stage) -> None:
    ear = Ear(at)
    at.open("one", data=b"a")
    at.wait_for(lambda: ear.hears("one", b"a"), "the session is followed")
    at.stop_engine()
    for number in range(20):
        at.write("one", b"%d\n" % number)
    at.wait_for(lambda: ear.hears("one", at.log("one")), "output goes on")
    assert at.client.ask(ReadOutput("one", 0)).data == at.log("one")
    at.start_engine()
    at.open("two", tell=False, data=b"new")
    at.wait_for(lambda: ear.hears("two", b"new"), "a new session is found after the pause")


def test_a_stopped_engine_delays_nobody(at: Stage) -> None:
    """Questions to the engine are asked beside the loop: output does not wait for them."""
    ear = Ear(at)
    at.open("one", data=b"a")
    at.wait_for(lambda: ear.hears("one", b"a"), "the session is followed")
    at.stop_engine()
    slowest = 0.0
    for number in range(40):
        at.write("one", b"%d\n" % number)
        began = time.monotonic()
        at.wait_for(lambda: ear.hears("one", at.log("one")), "the line is heard")
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1.5


def test_a_folder_that_is_gone_is_an_empty_log(at: Stage) -> None:
    folder = at.open("one", data=b"a")
    at.wait_for(lambda: at.client.ask(ReadOutput("one", 0)).data == b"a", "it is read")
    (folder / "terminal.log").unlink()
    Path(folder).rmdir()
    assert at.client.ask(ReadOutput("one", 0)).data == b""
    at.open("two", data=b"b")
    at.wait_for(lambda: at.client.ask(ReadOutput("two", 0)).data == b"b", "others are read")
