"""Sessions of the protocol `command`: real programs in real panes."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from orch.session.timing import began, moments
from tests.support.scratch_sessions import Run, Sessions, sessions, until


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


RUBBISH = {
    "every byte": bytes(range(256)) * 40,
    "half UTF-8 characters": "żółć€😀".encode()[:-2] + b"\xff\xfe" + "é".encode()[:1],
    "an alternate screen": b"\x1b[?1049h\x1b[2J\x1b[H\x1b[31mhello\x1b[0m\x1b[?1049l",
    "line ends of all kinds": b"a\nb\r\nc\rd\n\n\r\r",
    "one line of a megabyte": b"x" * (1 << 20),
    "titles and pictures that never end": b"\x1b]0;title" + b"\x1bPq" + b"#" * 5000,
}


@pytest.mark.parametrize("what", RUBBISH)
def test_the_log_is_byte_for_byte_what_the_agent_wrote(world, what):
    source = world.root / "rubbish"
    source.write_bytes(RUBBISH[what])

    run = world.start("cat", str(source))

    result = run.ends()
    assert run.log == RUBBISH[what]
    assert (result.ended_by, result.exit_code, result.size) == ("exit", 0, len(RUBBISH[what]))


@pytest.mark.parametrize(
    "argv, code, number",
    [(["true"], 0, None), (["sh", "-c", "exit 7"], 7, None), (["sh", "-c", "kill -9 $$"], None, 9)],
)
def test_how_the_agent_ended_is_written_down(world, argv, code, number):
    run = world.start(*argv)

    result = run.ends()

    assert (result.ended_by, result.exit_code, result.signal) == ("exit", code, number)
    assert result.started_at <= result.ended_at
    words = (run.folder / "exit.txt").read_text().split()
    assert words == [str(128 + number if number else code), "exit"]


def test_the_answer_file_is_kept_with_the_result(world):
    file = world.root / "answer.json"
    run = world.start("sh", "-c", f"echo '{{}}' > {file}", output_file=str(file))
    assert run.ends().answer_text == "{}\n"


@pytest.mark.parametrize(
    "argv, more, says",
    [
        (["no-such-program-x"], {}, "no such program"),
        (["/etc/passwd"], {}, "Permission denied"),
        (["true"], {"cwd": "/no/such/folder"}, "cannot work in /no/such/folder"),
    ],
)
def test_an_agent_that_cannot_be_started_says_why_in_result_and_log(world, argv, more, says):
    run = world.start(*argv, **more)

    result = run.ends()

    assert (result.ended_by, result.exit_code, result.signal) == ("launch_failed", None, None)
    assert says in result.message
    assert says.encode() in run.log


def test_the_agent_gets_just_its_environment_a_terminal_of_its_own_and_its_folder(world):
    script = (
        "import json, os\n"
        "tty = os.open('/dev/tty', os.O_RDWR)\n"
        "print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(),\n"
        "  'leads': os.getsid(0) == os.getpid() == os.getpgid(0) == os.tcgetpgrp(tty),\n"
        "  'size': os.get_terminal_size(0), 'fds': len(os.listdir('/dev/fd'))}))\n"
    )
    run = world.python(script, env={"GREETING": "hello"})

    run.ends()
    seen = json.loads(run.log)

    assert set(seen["env"]) - {"LC_CTYPE"} == {"PATH", "HOME", "GREETING", "ORCH_RUN", "TERM"}
    assert seen["env"]["TERM"] == "screen-256color"
    assert seen["leads"]
    assert seen["size"] == [200, 50]
    assert seen["cwd"] == str(world.root)
    assert seen["fds"] == 5  # three standard ones, /dev/tty, and that of listdir


def test_silence_ends_at_the_time_limit_by_an_interrupt_first(world):
    script = (
        "import signal, sys, time\n"
        "def bye(*_): print('cleaned up', flush=True); sys.exit(5)\n"
        "signal.signal(signal.SIGINT, bye)\n"
        "time.sleep(100)\n"
    )
    run = world.python(script, timeout_seconds=1)

    result = run.ends()

    assert (result.ended_by, result.exit_code) == ("timeout", 5)
    assert run.log == b"cleaned up\n"
    assert "1 s" in result.message


def test_an_agent_that_waits_for_input_nobody_gives_ends_at_the_time_limit(world):
    run = world.start("sh", "-c", "read line; echo got $line", timeout_seconds=1)
    assert run.ends().ended_by == "timeout"
    assert run.log == b""


def test_an_agent_that_reads_its_terminal_gets_what_people_send_once_per_key(world):
    run = world.start("sh", "-c", 'while read -r a; do echo "<$a>"; [ "$a" = end ] && exit; done')

    assert run.send("one; $(two) 'three';", key="k1") == ("submitted", "")
    assert run.send("one; $(two) 'three';", key="k1") == ("submitted", "")
    assert run.send("\x1b[201~\x03\x04four\x7f\u200b") == ("submitted", "")
    assert run.send("end")[0] == "submitted"

    run.ends()
    assert run.log.decode() == "<one; $(two) 'three';>\n<[201~four\u200b>\n<end>\n"


def test_what_is_typed_in_the_pane_reaches_the_agent(world):
    run = world.start("sh", "-c", "echo ready; read a; echo got $a; read b || echo eof")
    run.shows(b"ready")
    run.answers()

    world.host.tmux.command("send-keys", "-t", f"={run.launch.session}:", "hello", "Enter", "C-d")

    assert run.ends().exit_code == 0
    assert run.log == b"ready\ngot hello\neof\n"


def test_control_c_in_the_pane_interrupts_the_agent_not_the_session(world):
    run = world.start(
        "sh", "-c", "trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.1; done"
    )
    run.shows(b"ready")

    world.host.tmux.command("send-keys", "-t", f"={run.launch.session}:", "C-c")

    result = run.ends()
    assert (result.ended_by, result.exit_code) == ("exit", 4)
    assert run.log == b"ready\ncaught\n"


def test_a_line_that_a_terminal_would_cut_off_is_refused(world):
    run = world.start("sh", "-c", "read line; echo ${#line}")
    state, reason = run.send("x" * 4001)
    assert (state, "longer than 4000" in reason) == ("refused", True)
    assert run.send("x" * 4000) == ("submitted", "")
    run.ends()
    assert run.log == b"4000\n"


def test_text_that_the_agent_does_not_read_is_told_to_be_queued(world):
    run = world.start("sleep", "60")
    lines = "\n".join(["y" * 3000] * 60)
    assert run.send(lines)[0] == "queued"
    world.host.stop(run.launch.session, run.folder)


def test_children_that_outlive_the_agent_are_ended_daemons_too(world):
    script = (
        "import os, subprocess, sys\n"
        "quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=True, **quiet)\n"
        "subprocess.Popen(['sh', '-c', 'trap \"\" TERM INT HUP; while :; do sleep 1; done'],"
        " start_new_session=True, **quiet)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: os.execvp('sleep', ['sleep', '300'])\n"
        "    os._exit(0)\n"
        "print('done', flush=True)\n"
    )
    run = world.python(script)

    result = run.ends()

    assert (result.ended_by, result.exit_code) == ("exit", 0)
    assert run.left == []
    assert run.log == b"done\n"


def test_what_a_leftover_child_writes_while_it_is_ended_is_kept(world):
    child = "trap 'echo last words; exit' TERM HUP; echo up; while :; do sleep 0.05; done"
    run = world.start("sh", "-c", f"({child}) & sleep 0.3; exit 0")
    run.ends()
    assert run.log.startswith(b"up\n")
    assert run.log.endswith(b"last words\n")


def test_a_stop_is_a_cancellation_and_keeps_the_output(world):
    run = world.start("sh", "-c", "echo working; exec sleep 100")
    run.shows(b"working")

    run.ask(type="stop", reason="not wanted any more")

    result = run.ends()
    assert (result.ended_by, result.message) == ("cancelled", "not wanted any more")
    assert run.log == b"working\n"


def test_a_terminated_session_process_is_a_cancellation(world):
    run = world.start("sh", "-c", "echo working; exec sleep 100")
    run.shows(b"working")
    os.kill(run.pane, signal.SIGTERM)
    assert run.ends().ended_by == "cancelled"


def untimed(run: Run) -> dict[str, int]:
    """When each file was written; but the timing comes a moment after what it times."""
    files = (path for path in run.folder.iterdir() if path.name != "terminal.timing")
    return {path.name: path.stat().st_mtime_ns for path in files}


def test_a_second_session_process_on_a_folder_touches_nothing(world):
    run = world.start("sh", "-c", "echo first; read line")
    run.shows(b"first")
    before = untimed(run)

    second = subprocess.run([run.folder / "runner.sh"], capture_output=True, check=False)

    assert second.returncode == 75
    assert b"already runs" in second.stderr
    assert untimed(run) == before
    run.send("")
    run.ends()


def test_an_attempt_that_has_ended_is_never_run_again(world):
    run = world.start("sh", "-c", "echo once")
    run.ends()
    again = subprocess.run([run.folder / "runner.sh"], capture_output=True, check=False)
    assert (again.returncode, run.log) == (75, b"once\n")
    world.host.start(run.launch.session, run.folder, world.root)
    assert run.log == b"once\n"


def test_an_order_that_cannot_be_read_is_a_failed_launch(world):
    run = world.order("true")
    (run.folder / "launch.json").write_text("{not json")
    subprocess.run([run.folder / "runner.sh"], capture_output=True, check=False)
    result = run.ends()
    assert (result.ended_by, "launch.json" in result.message) == ("launch_failed", True)


def test_followers_are_nudged_with_the_size_and_at_last_of_the_end(world):
    path = world.root / "bell"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(path))
        bell.settimeout(30)
        nobody = "/no/such/socket"
        run = world.start("sh", "-c", "echo abc", nudges=(str(path), nobody), endings=(nobody,))
        notes = [msgspec.msgpack.decode(bell.recv(4096))]
        while not notes[-1]["ended"]:
            notes.append(msgspec.msgpack.decode(bell.recv(4096)))

    assert notes[0] == {"session": run.launch.session, "size": 4, "ended": False}
    assert notes[-1] == {"session": run.launch.session, "size": 4, "ended": True}
    assert (run.folder / "exit.txt").exists()


def test_who_waits_for_the_end_hears_of_nothing_else(world):
    path = world.root / "bell"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.bind(str(path))
        bell.settimeout(30)
        run = world.start("sh", "-c", "echo abc", endings=(str(path),))
        note = msgspec.msgpack.decode(bell.recv(4096))

    assert note == {"session": run.launch.session, "size": 4, "ended": True}
    assert (run.folder / "exit.txt").exists()


def test_the_size_follows_the_pane_and_is_recorded_for_a_replay(world):
    script = (
        "import os, signal, time\n"
        "def told(*_): os.write(1, b'%d %d\\n' % os.get_terminal_size(0))\n"
        "signal.signal(signal.SIGWINCH, told)\n"
        "print('ready', flush=True)\n"
        "while True: time.sleep(0.1)\n"
    )
    run = world.python(script)
    run.shows(b"ready")

    world.host.tmux.command("resize-window", "-t", f"={run.launch.session}:", "-x90", "-y20")

    run.shows(b"90 20\n")
    run.ask(type="stop")
    run.ends()
    told = list(moments(run.folder / "terminal.timing", len(run.log)))
    assert [moment.size for moment in told if moment.size] == [(200, 50), (90, 20)]
    assert told[-1].offset == len(run.log)
    assert [m.at for m in told] == sorted(m.at for m in told)
    assert 0 < began(run.folder / "terminal.timing") <= run.ends().ended_at


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x01\xc1",
        (2).to_bytes(4, "big") + b"\x81\xa1",
        (9).to_bytes(4, "big") + msgspec.msgpack.encode({"type": 5}),
        b"\x00",
    ],
)
def test_rubbish_on_the_control_socket_harms_nobody(world, frame):
    run = world.start("sh", "-c", "read line; echo got $line")
    run.answers()
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(run.launch.socket)
        link.sendall(frame)
        link.shutdown(socket.SHUT_WR)
        while link.recv(4096):
            pass
    assert run.ask(type="dance")["error"].startswith("unknown request")
    assert run.ask(type="status")["size"] == 0
    assert run.send("fine") == ("submitted", "")
    run.ends()
    assert run.log == b"got fine\n"
    assert not Path(run.launch.socket).exists()


def test_the_control_socket_is_private_and_replaces_a_stale_one_only(world):
    run = world.order("sleep", "60")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(run.launch.socket)
    world.host.start(run.launch.session, run.folder, world.root)
    until(lambda: Path(run.launch.socket).stat().st_mode & 0o777 == 0o600, "a fresh socket")
    assert run.ask(type="status")["session"] == run.launch.session

    other = world.order("sh", "-c", "read line; echo $line")
    Path(other.launch.socket).write_text("precious")
    world.host.start(other.launch.session, other.folder, world.root)
    world.host.tmux.command("send-keys", "-t", f"={other.launch.session}:", "hi", "Enter")
    other.ends()
    assert Path(other.launch.socket).read_text() == "precious"


if hasattr(resource, "prlimit"):  # Linux

    def test_a_full_disk_holds_the_agent_and_loses_nothing(world):
        run = world.start("sh", "-c", "read line; seq 1 20000; read line")
        run.answers()
        pid = until(lambda: world.host.alive().get(run.launch.session), "the pane")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

        run.send("go")
        until(lambda: run.ask(type="status")["held"], "the session process to notice")
        assert len(run.log) == 20_000

        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        run.shows(b"\n20000\n")
        run.send("end")
        assert run.ends().ended_by == "exit"
        assert run.log == b"".join(b"%d\n" % n for n in range(1, 20001))
