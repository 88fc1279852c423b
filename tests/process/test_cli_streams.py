"""Streams and steering against canned services: what is printed, and what the exit code tells."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orch.cli.main import run
from orch.messages import Delivered
from orch.paths import Home
from tests.process.canned_engine import Canned, attempt, session

LOG = "début\r\n".encode() + b"\xff\xfe odd\r\n" + "🦊\r\nlast".encode()


@pytest.fixture
def canned(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    monkeypatch.setenv("ORCH_HOME", str(short_home))
    monkeypatch.chdir(short_home)
    made = Canned(Home(short_home))
    made.engine.put(key="int-1", status="done")
    made.capture.logs["orch-int-1", 1] = LOG
    yield made
    made.close()


def ended(canned: Canned, **fields: Any) -> None:
    """Let the one attempt of int-1 be over."""
    usual = {"phase": "ended", "outcome": "done", "launched_at": 1.0, "ended_at": 1714564802.0}
    canned.engine.attempts["int-1"] = (attempt(**{**usual, **fields}),)
    canned.engine.sessions = [session(ended=True, size=len(LOG))]


def running(canned: Canned) -> None:
    """Let the one attempt of int-1 go on."""
    canned.engine.put(key="int-1", status="in_progress")
    canned.engine.attempts["int-1"] = (attempt(launched_at=1.0),)
    canned.engine.sessions = [session(size=len(LOG))]


def orch(*words: str, **more: Any) -> subprocess.Popen[bytes]:
    """Start the real command."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    pipes["env"] = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.Popen([sys.executable, "-m", "orch", *words], **pipes)


def wait_until(ready: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline, f"waited too long for {what}"
        time.sleep(0.01)


def read_until(stream: Any, wanted: bytes) -> bytes:
    """Read a pipe until `wanted` has come; the test's own time limit ends a vain wait."""
    data = b""
    while wanted not in data:
        more = stream.read1(4096)
        assert more, f"it ended with {data!r}"
        data += more
    return data


def test_a_stream_prints_the_very_bytes_and_ends_with_the_attempt(canned: Canned) -> None:
    ended(canned)
    process = orch("task", "stream", "1", "--from-start")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, LOG)
    assert b"int-1 attempt 1: done after 2.0s" in err


def test_a_stream_as_json_gives_back_the_very_bytes(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(canned)
    assert run(["stream", "1", "--json", "--from-start"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert b"".join(exact(line) for line in lines) == LOG
    assert [line["offset"] for line in lines] == offsets(lines)
    assert {line["kind"] for line in lines} == {"output"}


def exact(line: dict[str, Any]) -> bytes:
    return base64.b64decode(line["base64"]) if "base64" in line else line["text"].encode()


def offsets(lines: list[dict[str, Any]]) -> list[int]:
    sizes = [len(exact(line)) for line in lines]
    return [sum(sizes[:n]) for n in range(len(sizes))]


@pytest.mark.parametrize(
    "outcome, code", [("done", 0), ("in_review", 0), ("failed", 1), ("lost", 1)]
)
def test_the_exit_code_of_a_stream_tells_how_it_went(
    canned: Canned, capsysbinary: pytest.CaptureFixture[bytes], outcome: str, code: int
) -> None:
    ended(canned, outcome=outcome)
    assert run(["task", "stream", "1"]) == code
    assert capsysbinary.readouterr().out == LOG


def test_a_stream_begins_with_the_last_whole_lines(canned: Canned) -> None:
    ended(canned)
    log = b"".join(b"line %d\n" % n for n in range(10_000))
    canned.capture.logs["orch-int-1", 1] = log
    process = orch("stream", "1")
    out, _ = process.communicate(timeout=60)
    assert log.endswith(out)
    assert out.startswith(b"line ")
    assert 15_000 < len(out) <= 16_384


def test_a_task_without_session_says_why(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    canned.engine.put(key="int-1", status="blocked", blocked_reason="waits for Ada")
    for words in (["task", "stream", "1"], ["task", "send", "1", "x"], ["task", "screen", "1"]):
        assert run(words) == 1
        assert "blocked (waits for Ada)" in capsys.readouterr().err


def test_tail_prints_every_session_and_event_and_leaves_by_interrupt(canned: Canned) -> None:
    running(canned)
    canned.engine.log_event("task_routed", "int-1", agent="shell")
    process = orch("tail", "--from-start")
    try:
        out = read_until(process.stdout, b"last")
    finally:
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    text = (out + rest).decode()
    assert process.returncode == 130, err
    assert "task_routed agent=shell" in text
    assert "int-1 │ début\nint-1 │ �� odd\nint-1 │ 🦊\nint-1 │ last" in text


def test_tail_takes_only_the_kinds_asked_for(canned: Canned) -> None:
    running(canned)
    canned.engine.log_event("task_routed", "int-1")
    canned.engine.log_event("attempt_started", "int-1")
    process = orch("tail", "--json", "--from-start", "--kind", "attempt_*", "--task", "1")
    try:
        line = json.loads(process.stdout.readline())  # type: ignore[union-attr]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert (line["kind"], line["name"], line["seq"], line["task"]) == (
        *("event", "attempt_started", 2, "int-1"),
    )


def test_what_is_sent_arrives_as_it_is(canned: Canned, capsys: pytest.CaptureFixture[str]) -> None:
    running(canned)
    text = "it's $(x)\nsecond 🦊"
    assert run(["task", "send", "1", text, "--no-enter", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "submitted"
    sent = canned.capture.sent[-1]
    assert (sent.session, sent.text, sent.submit) == ("orch-int-1", text, False)
    process = orch("task", "send", "1", "-", stdin=subprocess.PIPE)
    process.communicate(b"from stdin\n", timeout=60)
    assert canned.capture.sent[-1].text == "from stdin"
    canned.capture.answer = Delivered("refused", "a person types")
    assert run(["task", "send", "1", "x"]) == 1
    assert "refused it: a person types" in capsys.readouterr().err


def test_a_screen_is_printed_without_its_empty_end(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    running(canned)
    assert run(["task", "screen", "1"]) == 0
    assert capsys.readouterr().out == "$ ls\nhello.txt\n"
    assert run(["task", "screen", "1", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"session", "lines", "row", "column"}


def test_live_lists_the_sessions_that_run(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    running(canned)
    assert run(["task", "live", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one == {
        "session": "orch-int-1",
        "task": "int-1",
        "attempt": 1,
        "agent": "shell",
        "started_at": "2024-05-01T12:00:00.000Z",
        "bytes": len(LOG),
        "asks": "",
        "taken_by": "",
    }


def test_attaching_needs_a_terminal_and_names_the_session_exactly(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    running(canned)
    assert run(["task", "attach", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["command"][-1] == "=orch-int-1"
    process = orch("task", "attach", "1", stdin=subprocess.DEVNULL)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, b"attaching needs a terminal" in err) == (1, True)


def test_watching_an_added_task_waits_for_its_session(canned: Canned) -> None:
    process = orch("--project", "o/r", "task", "add", "Greet", "--watch")
    try:
        wait_until(lambda: "int-2" in canned.engine.tasks, "the task")
        canned.engine.put(key="int-2", status="in_progress")
        canned.engine.sessions = [session(session="orch-int-2", task="int-2", ended=True)]
        canned.capture.logs["orch-int-2", 1] = b"hello\n"
        done = attempt(task="int-2", session="orch-int-2", launched_at=1.0)
        canned.engine.attempts["int-2"] = (done,)
        out = read_until(process.stdout, b"hello\n")
        canned.engine.attempts["int-2"] = (
            attempt(task="int-2", phase="ended", outcome="done", launched_at=1.0),
        )
        canned.engine.put(key="int-2", status="done")
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert out.startswith(b"int-2: Greet\n")
    assert (process.returncode, b"int-2 attempt 1: done" in err) == (0, True), err


def test_a_reader_that_leaves_is_no_error(canned: Canned) -> None:
    for n in range(2, 1000):
        canned.engine.put(key=f"int-{n}", title="x" * 80)
    process = orch("task", "list", "--limit", "3000")
    assert process.stdout
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait(60) == 1
    process.stderr.close()


def test_a_reader_that_left_before_anything_was_printed_is_no_error(canned: Canned) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["task", "list", "--all"], ["version"], ["task", "get", "99", "--json"]):
        process = orch(*words, stdout=writing)
        _, err = process.communicate(timeout=60)
        assert err == b"", words
        assert process.returncode in (1, 4)
    os.close(writing)


def test_a_closed_stdout_is_no_crash(canned: Canned) -> None:
    command = f"{sys.executable} -m orch task list --all >&-"
    ran = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_the_threads_of_a_tail_end_with_it(canned: Canned) -> None:
    from orch.cli.tail import RowPrinter

    before = threading.active_count()
    with RowPrinter():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
