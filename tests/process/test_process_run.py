"""Running programs: bounded, honest, leaving nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest

from orch.errors import ToolFailed, Unknown
from orch.tools.process import end, follow, marked, record, run, started
from tests.support.scratch_sessions import until


def test_output_errors_and_code_come_back_as_they_are():
    ran = run(["sh", "-c", "printf '\\377out'; printf err >&2; exit 3"], check=False)
    assert ran == (3, b"\xffout", b"err")


def test_input_larger_than_a_pipe_goes_in_while_output_comes_out():
    data = os.urandom(1 << 20)
    assert run(["cat"], input=data).out == data


def test_input_that_the_program_does_not_want_is_no_error():
    assert run(["true"], input=b"x" * (1 << 20)).code == 0


def test_a_program_without_input_reads_an_end():
    assert run(["cat"]).out == b""


@pytest.mark.parametrize(
    "argv, says",
    [
        (["sh", "-c", "echo 'fatal: no such ref' >&2; exit 1"], "sh failed: fatal: no such ref"),
        (["sh", "-c", "exit 4"], "sh failed: exit code 4"),
        (["sh", "-c", "kill -9 $$"], "sh failed: signal 9"),
        (["no-such-program-x"], "no-such-program-x is not installed"),
        (["/etc/passwd"], "cannot run /etc/passwd: Permission denied"),
        (["sh", "-c", "yes"], "wrote more than 65536 bytes"),
    ],
)
def test_a_failure_is_told_in_the_programs_own_words(argv, says):
    with pytest.raises(ToolFailed) as caught:
        run(argv, limit=65536)
    assert says in caught.value.message


def test_a_missing_program_says_what_to_install():
    with pytest.raises(ToolFailed) as caught:
        run(["tmux"], env={"PATH": "/nowhere"}, cwd="/no/such/folder")
    assert "no such folder" in caught.value.message
    with pytest.raises(ToolFailed) as caught:
        run(["gh-that-is-missing"])
    assert caught.value.hint


def test_a_program_that_takes_too_long_is_unknown_and_ended_with_its_children(tmp_path):
    note = tmp_path / "pid"
    began = time.monotonic()
    with pytest.raises(Unknown, match=r"did not answer within 0\.5 s"):
        run(["sh", "-c", f"sleep 600 & echo $! > {note}; wait"], timeout=0.5)
    assert time.monotonic() - began < 10
    child = int(note.read_text())
    until(lambda: started(child) is None, "the child to be gone")


def test_a_child_that_keeps_the_output_open_does_not_hang_us(tmp_path):
    note = tmp_path / "pid"
    with pytest.raises(Unknown):
        run(["sh", "-c", f"sleep 600 & echo $! > {note}"], timeout=0.5)
    os.kill(int(note.read_text()), 0)
    os.kill(int(note.read_text()), signal.SIGKILL)


def test_programs_may_be_run_from_many_threads():
    seen: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: seen.append(run(["echo", str(n)]).out))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(b"%d\n" % n for n in range(16))


def test_a_process_is_known_by_when_it_started():
    child = subprocess.Popen(["sleep", "100"])
    first = started(child.pid)
    assert first == started(child.pid) is not None
    assert first >= started(os.getpid())
    child.kill()
    until(lambda: started(child.pid) is None, "a zombie not to count")
    child.wait()
    assert started(2**22 + 1) is None


def test_marked_processes_are_found_and_ended_the_stubborn_too():
    def child(run: str) -> subprocess.Popen[bytes]:
        script = "trap '' TERM; echo; while :; do sleep 0.1; done"
        made = subprocess.Popen(
            ["sh", "-c", script], env=os.environ | {"ORCH_RUN": run}, stdout=subprocess.PIPE
        )
        assert made.stdout
        made.stdout.readline()
        return made

    one, other = child("x:int-4:1"), child("x:int-4:11")
    assert one.pid in marked("x:int-4:1")
    assert other.pid not in marked("x:int-4:1")
    assert end(marked("x:int-4:1"), grace=0.2) == []
    assert one.wait() == -signal.SIGKILL
    assert other.poll() is None
    end(marked("x:int-4:11"), grace=0.0)
    other.wait()


def recorded(log, *argv, **more):
    """Run a program that writes into `log`."""
    given = {"cwd": log.parent, "env": dict(os.environ), "timeout": 20.0, **more}
    return record(argv, log, **given)


def test_a_recorded_program_writes_into_its_file_and_reads_all_that_it_is_given(tmp_path):
    log = tmp_path / "log"
    given = b"x" * 300_000
    assert recorded(log, "sh", "-c", "echo out; echo err >&2; wc -c; exit 3", input=given) == 3
    assert log.read_text() == "out\nerr\n300000\n"
    assert recorded(log, "sh", "-c", "kill -9 $$") == -9
    assert recorded(log, "true", input=given) == 0, "it need not read it"


@pytest.mark.parametrize(
    "script, more, problem",
    [
        ("sleep 600", {"timeout": 0.2}, "did not end within 0.2 s"),
        ("while :; do echo more; done", {"limit": 1000}, "wrote more than 1000 bytes"),
    ],
)
def test_a_recorded_program_is_bounded_in_time_and_output(tmp_path, script, more, problem):
    with pytest.raises((ToolFailed, Unknown), match=problem):
        recorded(tmp_path / "log", "sh", "-c", script, **more)


def test_a_recorded_program_leaves_nothing_of_its_group_behind(tmp_path):
    log = tmp_path / "log"
    assert recorded(log, "sh", "-c", "sleep 600 & echo $!") == 0
    left = int(log.read_text())
    until(lambda: started(left) is None, "its child gone")


def test_a_recorded_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ToolFailed, match="no-such-program is not installed"):
        recorded(tmp_path / "log", "no-such-program")


def test_a_followed_program_is_heard_as_it_speaks_and_what_it_leaves_is_not_waited_for(tmp_path):
    heard = bytearray()

    def hear(data):
        heard.extend(data[: 1000 - len(heard)])

    script = "echo out; echo err >&2; pwd; yes & exit 3"
    assert follow(["sh", "-c", script], tmp_path, hear) == 3
    assert heard.split(b"\n")[:3] == [b"out", b"err", str(tmp_path).encode()]
    assert follow(["sh", "-c", "kill -9 $$"], tmp_path, hear) == -9


@pytest.mark.parametrize(
    ("argv", "folder", "said"),
    [(["no-such-program"], ".", "is not installed"), (["true"], "no/folder", "no such folder")],
)
def test_a_program_that_cannot_be_followed_is_told(argv, folder, said, tmp_path):
    with pytest.raises(ToolFailed, match=said):
        follow(argv, tmp_path / folder, lambda _: None)
