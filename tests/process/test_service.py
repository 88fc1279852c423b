"""The frame of a service, as a real process: sockets, lifeline, crashes, stops, garbage."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
import zmq

from orch import __version__
from orch.client import GREETING, Client
from orch.errors import OrchError, Refused, Unavailable
from orch.messages import Done, Envelope, Message, Ping, Request, decode, encode
from orch.paths import Home
from orch.service import Service, answers
from orch.sockets import Listener, listen
from tests.support.keeper import ROOT, Keeper, wait_until
from tests.support.toy_service import AddRow, Flood, Misbehave, ReadRows, RowAdded


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
def client(home: Home) -> Iterator[Client]:
    with Client(home) as made:
        yield made


@pytest.fixture
def raw(home: Home, toy: Keeper) -> Iterator[zmq.Socket[bytes]]:
    """A socket that can say anything to the toy."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.connect(f"ipc://{home.socket('toy', 'req')}")
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


# ---- answering -------------------------------------------------------------------------------


def test_a_request_gets_its_typed_reply_and_every_service_answers_ping(toy, client):
    added = client.ask(AddRow("hello"))

    assert (added.seq, added.pid) == (1, toy.process.pid)
    assert client.ask(ReadRows()).rows == ((1, "hello"),)
    pong = client.ask(Ping(), to="toy")
    assert (pong.name, pong.version, pong.pid) == ("toy", __version__, toy.process.pid)


def test_an_expected_error_reaches_the_asker_with_its_class_message_and_hint(toy, client):
    with pytest.raises(Refused) as caught:
        client.ask(Misbehave("refuse"))

    assert (caught.value.message, caught.value.hint) == ("not now", "later")


def test_a_bug_crashes_the_process_and_leaves_its_traceback_in_the_log(toy, client):
    with pytest.raises(Unavailable):
        client.ask(Misbehave("crash"), timeout=1.0)

    assert toy.exit_code() == 1
    [record] = [line for line in toy.logged() if line["level"] == "critical"]
    assert "ValueError: a bug" in record["error"]


def test_a_reply_of_another_type_than_promised_is_a_bug(toy, client):
    with pytest.raises(Unavailable):
        client.ask(Misbehave("wrong"), timeout=1.0)

    assert toy.exit_code() == 1
    assert "promises" in toy.logged()[-1]["error"]


def test_a_later_reply_does_not_hold_up_the_others(toy, home, client):
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    slow = context.socket(zmq.DEALER)
    slow.connect(f"ipc://{home.socket('toy', 'req')}")
    try:
        assert slow.recv() == GREETING
        slow.send(envelope(encode(Misbehave("later", seconds=1.0))))

        client.ask(Ping(), to="toy")
        assert not slow.poll(0), "the quick one was answered after the slow one"
        assert answer(slow) == Done()
    finally:
        context.destroy(linger=0)


def test_a_slow_request_is_done_once_though_it_is_sent_many_times(toy, client):
    client.ask(Misbehave("hang", seconds=0.9))
    client.ask(AddRow("x"))
    client.ask(Misbehave("later", seconds=0.9))

    assert client.ask(ReadRows()).rows == ((1, "x"),)


def test_a_huge_frame_never_gets_in_and_harms_nobody(raw, toy, client):
    for _ in range(20):
        raw.send(b"x" * (2 << 20))
        client.ask(AddRow("still here"))

    assert not [line for line in toy.logged() if line.get("kind") == "unreadable"]


# ---- events ----------------------------------------------------------------------------------


def test_a_subscriber_that_does_not_read_loses_its_own_events_only(toy, client):
    with client.subscribe(RowAdded) as stalled, client.subscribe(RowAdded) as reading:
        for one in (stalled, reading):
            wait_until(lambda one=one: client.ask(Flood(1)) and one.poll(0.01))

        heard = 0
        for _ in range(40):
            client.ask(Flood(200, size=4000))
            while events := reading.poll(0.2 if heard % 200 else 0.5):
                heard += len(events)
                if heard % 200 == 0:
                    break
        kept = sum(len(events) for events in iter(lambda: stalled.poll(0.5), []))

    assert heard >= 8000
    assert kept < 8000


# ---- alarms and nudges -----------------------------------------------------------------------


class WakeUp(Request[Done], frozen=True):
    """Let the alarm ring."""

    owner = "dozing"


class Dozing(Service):
    """Lets nudges wait until its alarm rings, and is quit by the last word."""

    name = "dozing"

    def setup(self) -> None:
        """Sleep at the first nudge."""
        self.heard: list[list[bytes]] = []
        self.rang = 0
        self.waking = self.alarm(self.wake)

    def on_nudges(self, together: list[bytes]) -> None:
        """Remember them; the first one makes it doze off."""
        self.heard.append(together)
        if together == [b"doze"]:
            self.hear_nudges(False)

    @answers(WakeUp)
    def wake_up(self, _request: WakeUp) -> Done:
        """Set the alarm for now."""
        self.waking.set(self.clock())
        return Done()

    def wake(self) -> None:
        """Hear what came meanwhile."""
        self.rang += 1
        self.hear_nudges(True)


def test_nudges_may_wait_for_an_alarm_and_come_together(home, client):
    service = Dozing(home)
    serving = threading.Thread(target=service.run)
    serving.start()
    try:
        path = home.socket("dozing", "nudge")
        wait_until(path.exists)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"doze", str(path))
            wait_until(lambda: service.heard == [[b"doze"]])
            for word in (b"one", b"two", b"three"):
                bell.sendto(word, str(path))
            client.ask(Ping(), to="dozing")
            assert service.heard == [[b"doze"]], "it was asked, and heard no nudge"
            client.ask(WakeUp())
            wait_until(lambda: len(service.heard) > 1)
            bell.sendto(b"four", str(path))
            wait_until(lambda: len(service.heard) > 2)
    finally:
        service.stop()
        serving.join()

    assert service.heard[1:] == [[b"one", b"two", b"three"], [b"four"]]
    assert service.rang == 1, "an alarm rings once"


# ---- the lifeline ----------------------------------------------------------------------------


def test_it_beats_every_second_from_its_loop(toy):
    wait_until(lambda: toy.listen().count(b"HEARTBEAT") >= 3)

    beats = [int(line.split()[1]) for line in toy.heard.splitlines() if b"HEARTBEAT" in line]
    assert beats == sorted(set(beats)), "the progress grows"


def test_a_stuck_loop_does_not_beat(toy, client):
    wait_until(lambda: b"HEARTBEAT" in toy.listen())
    with pytest.raises(Unavailable):
        client.ask(Misbehave("hang", seconds=3.5), timeout=0.5)
    before = toy.listen().count(b"HEARTBEAT")
    with pytest.raises(Unavailable):
        client.ask(Ping(), to="toy", timeout=2.0)

    assert toy.listen().count(b"HEARTBEAT") == before


@pytest.mark.parametrize("how", ["STOP", "SIGTERM", "SIGINT", "orchd gone"])
def test_it_leaves_with_success_within_a_second(how, toy):
    began = time.monotonic()
    if how == "STOP":
        toy.say("STOP")
    elif how == "orchd gone":
        toy.lifeline.close()
        toy.lifeline = None
    else:
        toy.process.send_signal(getattr(signal, how))

    assert toy.exit_code() == 0
    assert time.monotonic() - began < 5  # a second, on a machine that does nothing else


def test_a_stop_lets_the_current_handler_finish(toy, raw):
    raw.send(envelope(encode(Misbehave("hang", seconds=1.0))))
    toy.say("STOP")

    assert toy.exit_code() == 0


def test_orchd_may_say_anything(toy, client):
    toy.say('EVENT {"name": "crashed"}')
    toy.say("EVENT not json")
    toy.say("\xff\xfe whatever")

    wait_until(lambda: client.ask(ReadRows()).rows == ((1, "orchd: crashed"),))


def test_a_rotated_log_is_opened_again(toy, client, home):
    rotated = home.log("toy").with_suffix(".old")
    toy.say("EVENT not json")
    wait_until(toy.logged)
    home.log("toy").rename(rotated)
    toy.say("REOPEN")
    wait_until(home.log("toy").exists)

    with pytest.raises(Unavailable):
        client.ask(Misbehave("crash"), timeout=1.0)
    wait_until(lambda: toy.logged()[-1]["message"] == "crashed")


def test_what_it_prints_goes_to_the_new_file_after_a_rotation(toy, home):
    raw = home.raw_log("toy")
    raw.rename(raw.with_suffix(".old"))
    toy.say("REOPEN")
    wait_until(raw.exists)
    toy.kill(signal.SIGABRT)

    assert "Fatal Python error: Aborted" in raw.read_text()
    assert stat.S_IMODE(raw.stat().st_mode) == 0o600


def test_it_is_called_by_its_name_and_home_in_ps(toy, home):
    process = psutil.Process(toy.process.pid)

    assert [word for word in process.cmdline() if word] == [f"orch-toy {home.root}"]
    assert process.environ()["ORCH_HOME"] == str(home.root), "others still see its environment"


def test_sigabrt_writes_every_threads_stack_to_the_raw_log(toy, home):
    toy.kill(signal.SIGABRT)

    said = home.raw_log("toy").read_text()
    assert "Fatal Python error: Aborted" in said
    assert "_poll" in said


# ---- sockets ---------------------------------------------------------------------------------


def toy_by_hand(home: Home) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "ORCH_HOME": str(home.root), "ORCH_SERVICE": "toy"}
    command = [sys.executable, "-m", "tests.support.toy_service"]
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def test_started_by_hand_it_makes_private_sockets_and_removes_them(home, client):
    process = toy_by_hand(home)
    try:
        wait_until(home.socket("toy", "req").exists)
        client.ask(Ping(), to="toy")
        for kind in ("req", "pub", "nudge"):
            assert stat.S_IMODE(home.socket("toy", kind).stat().st_mode) == 0o600
    finally:
        process.terminate()
        assert process.wait(20) == 0
    assert not any(home.socket("toy", kind).exists() for kind in ("req", "pub", "nudge"))


def test_a_second_binder_is_refused_and_the_first_serves_on(home, toy, client):
    second = toy_by_hand(home)

    assert second.wait(20) == 1
    assert "served by another process" in toy.logged()[-1]["message"]
    assert client.ask(Ping(), to="toy").pid == toy.process.pid


def test_the_lock_holds_even_when_nobody_listens_yet(home):
    first = Listener(home.socket("toy", "req"), "req")
    home.socket("toy", "req").unlink()

    with pytest.raises(Refused, match="served by another"):
        Listener(home.socket("toy", "req"), "req")
    first.close()


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_something_else_at_a_sockets_path_is_refused_and_stays(what, home):
    path = home.socket("toy", "req")
    if what == "file":
        path.write_text("mine")
    elif what == "link":
        path.symlink_to(home.root / "elsewhere")
    else:
        path.mkdir()

    with pytest.raises(Refused, match="not a socket"):
        listen(path, "req")
    assert path.is_symlink() or path.exists()


def test_what_a_dead_process_left_is_replaced(home):
    listen(home.socket("toy", "req"), "req").close()

    listen(home.socket("toy", "req"), "req").close()


def test_a_path_too_long_is_refused_in_words(home):
    with pytest.raises(OrchError, match="cannot listen"):
        listen(home.run / ("x" * 120), "req")
