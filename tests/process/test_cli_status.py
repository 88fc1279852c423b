"""`orch status` and `orch ping` against an orchd that only answers, with and without an engine."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.cli.main import run
from orch.control import Frames, framed
from orch.messages import GetRoster, Message, PingOrchd, Pong, Roster, decode
from orch.model import Served
from orch.paths import Home
from orch.sockets import Listener
from tests.process.canned_engine import Canned, session

ROSTER = Roster(
    pid=41,
    version="0.1.0",
    home="/h",
    uptime_seconds=7200.5,
    services=(
        Served(name="engine", state="ready", pid=42, uptime_seconds=3.0, pss_bytes=1 << 20),
        Served(name="capture", state="failing", restarts=9, last_error="exit code 1"),
    ),
    problems=("capture fails",),
)


class CannedOrchd:
    """Answers every request on `ctl.sock` from a thread, until `close`."""

    def __init__(self, home: Home) -> None:
        home.make()
        self._listener = Listener(home.control, socket.SOCK_STREAM)
        self._listener.socket.setblocking(True)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        frames = Frames()
        while (body := frames.next()) is None:
            data = connection.recv(4096)
            if not data:
                return
            frames.take(data)
        match decode(body, Message):
            case GetRoster():
                connection.sendall(framed(ROSTER))
            case PingOrchd():
                connection.sendall(framed(Pong("orchd", "0.1.0", 4_000_000)))

    def close(self) -> None:
        """Stop answering."""
        self._listener.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def home(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("ORCH_HOME", str(short_home))
    monkeypatch.chdir(short_home)
    made = Home(short_home)
    orchd = CannedOrchd(made)
    yield made
    orchd.close()


@pytest.fixture
def canned(home: Home) -> Iterator[Canned]:
    made = Canned(home)
    made.engine.put(key="int-1", status="in_progress")
    made.engine.sessions = [session()]
    yield made
    made.close()


def test_the_json_of_status_has_the_keys_of_the_contract(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["orchd"] == {
        "pid": 41,
        "version": "0.1.0",
        "home": "/h",
        "uptime_seconds": 7200.5,
    }
    assert found["services"][1] == {
        "name": "capture",
        "state": "failing",
        "pid": 0,
        "uptime_seconds": 0.0,
        "restarts": 9,
        "pss_bytes": 0,
        "last_error": "exit code 1",
    }
    assert found["slots"] == {"used": 1, "max": 4}
    assert found["tasks"] == {
        **dict.fromkeys(("new", "routed", "in_review", "done", "blocked", "needs_review"), 0),
        "in_progress": 1,
    }
    (one,) = found["sessions"]
    contract = {"session", "task", "attempt", "agent", "started_at", "bytes"}
    assert set(one) == contract | {"asks", "taken_by"}
    assert found["problems"] == ["capture fails", "config.yml:6: engine.max_parallel: too many"]


def test_status_is_readable(canned: Canned, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status"]) == 0
    out = capsys.readouterr().out
    assert "orchd 0.1.0, pid 41, up 2h, home /h" in out
    assert "slots  1 of 4 used" in out
    assert re.search(r"^capture +failing +- +- +9 +- +exit code 1$", out, re.MULTILINE)
    assert "problem: capture fails" in out


def test_without_an_engine_status_shows_the_rest_and_claims_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["services"][0]["state"] == "ready"
    assert (found["slots"], found["tasks"]) == ({"used": None, "max": None}, None)
    assert found["sessions"] is None
    assert found["problems"][-1].startswith("slots, tasks and sessions are unknown")


def test_ping_is_answered_by_the_command_without_imports(home: Home) -> None:
    for words, said in (
        (["ping"], r"orchd 0\.1\.0 answered in [\d.]+ ms \(pid 4000000\)\n"),
        (["ping", "--json"], r'\{"pid":4000000,"version":"0\.1\.0","seconds":[\d.]+\}\n'),
        (["--home", str(home.root), "ping"], r"orchd 0\.1\.0 answered .*\n"),
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "orch", *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        assert re.fullmatch(said, ran.stdout)


@pytest.mark.parametrize("words", [["status"], ["ping"]])
def test_without_orchd_the_exit_code_is_3(
    words: list[str], capsys: pytest.CaptureFixture[str], short_home: Path
) -> None:
    nowhere = ["--home", str(short_home / "none")]
    assert run([*nowhere, *words]) == 3
    assert "hint: start it with `orch up" in capsys.readouterr().err
    assert run([*nowhere, *words, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["class"] == "NotRunning"
