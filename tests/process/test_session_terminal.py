"""Sessions of the protocol `terminal`: full-screen programs, people at the keyboard, typed text."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.scratch_sessions import Run, Sessions, sessions

PROGRAM = r"""
import json, os, sys, tty, re, select
mode = sys.argv[1]
tty.setraw(0)
if mode != "plain": os.write(1, b"\x1b[?1049;2004h")
os.write(1, b"ready\r\n")
got = open("got.jsonl", "a", buffering=1)
while True:
    data = os.read(0, 65536)
    got.write(json.dumps(data.decode("utf-8", "replace")) + "\n")
    if data == b"q": break
    if mode == "lazy" and data == b"\r":
        mode = "eager"          # the first Enter is swallowed
        continue
    os.write(1, b"<" + re.sub(rb"[\x00-\x1f]", b".", data[-40:]) + b">\r\n")
os.write(1, b"\x1b[?2004l\x1b[?1049l")
"""


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def program(world: Sessions, mode: str) -> Run:
    """A raw-mode program that notes each read; it has begun when this returns."""
    (world.root / "program.py").write_text(PROGRAM)
    import sys

    run = world.start(sys.executable, "program.py", mode, protocol="terminal")
    run.shows(b"ready")
    run.answers()
    return run


def reads(world: Sessions) -> list[str]:
    """What the program read, read by read."""
    return [json.loads(line) for line in (world.root / "got.jsonl").read_text().splitlines()]


def test_text_is_pasted_in_brackets_and_enter_is_a_key_of_its_own(world):
    run = program(world, "eager")
    assert run.send("two\nlines\twith 'żółć'", key="k") == ("submitted", "")
    assert run.send("two\nlines\twith 'żółć'", key="k") == ("submitted", "")
    assert reads(world) == ["\x1b[200~two\nlines\twith 'żółć'\x1b[201~", "\r"]


def test_a_text_cannot_break_out_of_its_paste(world):
    run = program(world, "eager")
    assert run.send("rm\x1b[201~\r\x03\x1b\x9b201~; ls")[0] == "submitted"
    assert reads(world) == ["\x1b[200~rm[201~\n201~; ls\x1b[201~", "\r"]


def test_without_paste_brackets_the_text_is_typed(world):
    run = program(world, "plain")
    assert run.send("hello")[0] == "submitted"
    assert reads(world) == ["hello", "\r"]


def test_text_may_be_left_unsubmitted(world):
    run = program(world, "eager")
    assert run.send("draft", submit=False) == ("submitted", "")
    assert reads(world) == ["\x1b[200~draft\x1b[201~"]


def test_enter_is_pressed_again_but_the_text_never_pasted_twice(world):
    run = program(world, "lazy")
    assert run.send("hello") == ("submitted", "")
    assert reads(world) == ["\x1b[200~hello\x1b[201~", "\r", "\r"]


def test_keys_pass_through_and_somebody_typing_is_not_interrupted(world):
    run = program(world, "eager")
    keys = ("send-keys", "-t", f"={run.launch.session}:")

    world.host.tmux.command(*keys, "-l", "hal")
    run.shows(b"<hal>")
    assert run.send("robot text") == ("refused", "somebody is typing in this session")
    world.host.tmux.command(*keys, "Up")
    run.shows(b"[A>")
    world.host.tmux.command(*keys, "Enter")
    run.shows(b"<.>")
    assert run.send("robot text") == ("submitted", "")

    assert "\x1b[200~robot text\x1b[201~" in reads(world)
    world.host.tmux.command(*keys, "q")
    assert run.ends().exit_code == 0
    assert run.log.startswith(b"\x1b[?1049;2004hready\r\n")
    assert run.log.endswith(b"\x1b[?2004l\x1b[?1049l")


def test_nothing_is_typed_into_a_shell_that_took_the_foreground(world):
    script = (
        "import os, signal\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.setpgid(0, 0); os.tcsetpgrp(0, os.getpid())\n"
        "    signal.signal(signal.SIGTTOU, signal.SIG_DFL)\n"
        "    os.execvp('sh', ['sh', '-c', 'echo ready; read line; echo got $line'])\n"
        "os.waitpid(child, 0)\n"
    )
    run = world.python(script, protocol="terminal")
    run.shows(b"ready")
    state, reason = run.send("rm -rf .")
    assert (state, "a shell (sh)" in reason) == ("refused", True)
    world.host.tmux.command("send-keys", "-t", f"={run.launch.session}:", "person", "Enter")
    run.ends()
    assert b"got person" in run.log


def test_nothing_is_typed_where_a_password_is_asked_for(world):
    script = "import getpass; print('ready', flush=True); print(len(getpass.getpass()))"
    run = world.python(script, protocol="terminal")
    run.shows(b"Password")
    state, reason = run.send("secret")
    assert (state, "password" in reason) == ("refused", True)
    world.host.tmux.command("send-keys", "-t", f"={run.launch.session}:", "abc", "Enter")
    run.ends()
    assert b"3\r\n" in run.log


def test_a_normal_terminal_echoes_and_ends_lines_as_terminals_do(world):
    run = world.start("sh", "-c", "read line; echo got $line", protocol="terminal")
    assert run.send("hello")[0] == "submitted"
    run.ends()
    assert run.log == b"hello\r\ngot hello\r\n"
