"""Input and screens of real sessions: typed once, told truly, for requests and for effects."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from orch.client import Client
from orch.errors import Malformed, NotFound
from orch.hosts.local import Local
from orch.messages import (
    Delivered,
    EffectDone,
    EffectFailed,
    EffectQueued,
    GetScreen,
    SendInput,
    SessionChanged,
)
from orch.model import Effect, Session
from orch.session.launch import Launch, prepare
from tests.support.session_engine import Stage, stage

READER = "for line in __import__('sys').stdin: print('got', line.strip(), flush=True)"


class Live:
    """A real session on the stage, known to the stand-in engine."""

    def __init__(self, at: Stage, name: str, *argv: str, protocol: str = "command") -> None:
        self.at = at
        self.folder = at.home.state / "internal" / name / "1"
        self.host = Local(at.home)
        self.launch = Launch(
            session=name,
            task=f"int-{name}",
            attempt=1,
            run=f"test-{os.getpid()}-{name}",
            argv=argv,
            cwd=str(at.home.root),
            env={"PATH": os.environ["PATH"], "TERM": "xterm"},
            folder=str(self.folder),
            socket=str(at.home.session_socket(name)),
            nudges=(str(at.home.socket("capture", "nudge")),),
            protocol=protocol,
            columns=60,
            rows=10,
        )
        prepare(self.launch)

    def start(self) -> Live:
        self.host.start(self.launch.session, self.folder, self.at.home.root)
        self.known()
        return self

    def known(self) -> None:
        name = self.launch.session
        told = Session(
            session=name,
            task=self.launch.task,
            attempt=1,
            agent="shell",
            folder=self.launch.folder,
            started_at=time.time(),
        )
        self.at.world.sessions[name, 1] = told
        self.at.ring(SessionChanged(name))

    def log(self) -> bytes:
        return self.host.read(self.folder, 0, 1 << 20)

    def shows(self, text: bytes) -> None:
        self.at.wait_for(lambda: text in self.log(), f"{text!r} is shown")

    def send(self, text: str, key: str = "") -> Delivered:
        return self.at.client.ask(SendInput(self.launch.session, text, key=key), timeout=20)


@pytest.fixture
def at() -> Iterator[Stage]:
    with stage("capture") as made:
        try:
            yield made
        finally:
            host = Local(made.home)
            host.tmux.kill_server()
            for path in made.home.state.glob("internal/*"):
                host.sweep(f"test-{os.getpid()}-{path.name}")


def test_text_is_typed_and_its_truth_told(at: Stage) -> None:
    live = Live(at, "one", sys.executable, "-c", "print('ready', flush=True)\n" + READER).start()
    live.shows(b"ready")
    assert live.send("hello there").state == "submitted"
    live.shows(b"got hello there")
    assert live.send("grün 漢字").state == "submitted"
    live.shows("got grün 漢字".encode())


def test_the_same_key_is_typed_once_even_over_a_restart_of_capture(at: Stage) -> None:
    live = Live(at, "one", sys.executable, "-c", READER).start()
    first = live.send("only once", key="k1")
    at.kill("capture")
    at.start("capture")
    assert live.send("only once", key="k1") == first
    assert live.send("after", key="k2").state == "submitted"
    live.shows(b"got after")
    assert live.log().count(b"got only once") == 1


def test_text_for_a_session_that_is_just_beginning_waits_for_it(at: Stage) -> None:
    live = Live(at, "one", sys.executable, "-c", READER)
    live.known()
    replies: list[Delivered] = []

    def ask() -> None:
        with Client(at.home) as client:
            replies.append(client.ask(SendInput("one", "early bird"), timeout=20))

    thread = threading.Thread(target=ask)
    thread.start()
    live.start()
    thread.join(30)
    assert [reply.state for reply in replies] == ["submitted"]
    live.shows(b"got early bird")


def test_an_ended_and_an_unknown_session_take_no_text(at: Stage) -> None:
    live = Live(at, "one", "true").start()
    at.wait_for(lambda: live.host.finished(live.folder), "it ends")
    assert live.send("too late").state == "refused"
    at.end("one")
    reply = live.send("too late")
    assert (reply.state, reply.reason) == ("refused", "the session has ended")
    with pytest.raises(NotFound, match="nobody"):
        at.client.ask(SendInput("nobody", "text"))
    with pytest.raises(NotFound):
        at.client.ask(SendInput("../../etc/x", "text"))
    with pytest.raises(Malformed, match="over"):
        at.client.ask(SendInput("one", "x" * 300_000))


def test_a_session_process_that_hangs_delays_only_its_own_text(at: Stage) -> None:
    other = Live(at, "two", sys.executable, "-c", READER).start()
    at.open("one", data=b"busy\n")
    effect = Effect(
        id=1, target="capture", kind="send", key="e1", payload={"session": "one", "text": "x"}
    )
    with socket.socket(socket.AF_UNIX) as hung:  # it listens, but never answers
        hung.bind(str(at.home.session_socket("one")))
        hung.listen(8)
        at.world.effects.append(effect)
        at.ring(EffectQueued("capture"))
        link, _ = hung.accept()
        assert other.send("hello").state == "submitted"
        assert at.world.reports == []
        link.close()
    at.home.session_socket("one").unlink()
    at.wait_for(lambda: at.world.reports, "it is reported when it is known")
    assert isinstance(at.world.reports[0], EffectFailed)


def test_effects_are_done_and_reported_one_by_one(at: Stage) -> None:
    live = Live(at, "one", sys.executable, "-c", READER).start()
    at.open("gone")
    at.end("gone")
    payloads = [
        {"session": "one", "text": "from the outbox", "submit": True},
        {"session": "nobody", "text": "x"},
        {"session": "gone", "text": "x"},
        {"text": "no session"},
    ]
    for number, payload in enumerate(payloads, 1):
        at.world.effects.append(
            Effect(
                id=number,
                target="capture",
                kind="send",
                key=f"e{number}",
                payload=payload,
                fence=number * 10,
            )
        )
    at.ring(EffectQueued("capture"))
    at.wait_for(lambda: len(at.world.reports) == 4, "all are reported")
    live.shows(b"got from the outbox")
    told = {report.id: report for report in at.world.reports}
    assert isinstance(told[1], EffectDone)
    assert (told[1].fence, told[1].result["state"]) == (10, "submitted")
    for number, reason in ((2, "no session is called"), (3, "has ended"), (4, "cannot do")):
        report = told[number]
        assert isinstance(report, EffectFailed)
        assert reason in report.message
        assert report.retry_at is None


def test_the_screen_of_a_live_session_is_rendered_with_its_colours(at: Stage) -> None:
    script = "print('\\x1b[2J\\x1b[H\\x1b[31mred\\x1b[0m plain\\nsecond', flush=True); input()"
    live = Live(at, "one", sys.executable, "-c", script).start()
    live.shows(b"second")
    told = at.client.ask(GetScreen("one"))
    assert told.lines[:2] == ("red plain", "second")
    assert (told.row, told.column) == (2, 0)
    assert at.client.ask(GetScreen("one", ansi=True)).lines[0] == "\x1b[0;31mred\x1b[0m plain"
    with pytest.raises(NotFound):
        at.client.ask(GetScreen("nobody"))


def test_the_screen_of_an_ended_session_and_of_one_without_files_can_be_asked_for(
    at: Stage,
) -> None:
    folder = at.open("one", data=b"a\nb\n")
    at.end("one")
    assert at.client.ask(GetScreen("one")).lines[:2] == ("a", "b")
    (folder / "terminal.log").unlink()
    assert set(at.client.ask(GetScreen("one")).lines) == {""}
    (folder / "launch.json").write_text("{not json")
    at.open("two", data=b"x")
    assert at.client.ask(GetScreen("two")).lines[0] == "x"
