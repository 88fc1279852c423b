"""Sessions whose processes are killed: the record stays, the truth is told, nothing lives on."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from orch.tools.process import started
from tests.support.scratch_sessions import Sessions, session_processes, sessions, until

STUBBORN = "trap '' HUP; echo working; while :; do sleep 0.1; done"
"""An agent that does not care whether its terminal is there."""


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def test_a_killed_agent_is_told_with_its_signal_and_output(world):
    run = world.start("sh", "-c", STUBBORN)
    run.shows(b"working")
    os.kill(run.ask(type="status")["agent_pid"], signal.SIGKILL)
    result = run.ends()
    assert (result.ended_by, result.signal) == ("exit", signal.SIGKILL)
    assert run.log == b"working\n"
    assert run.left == []


def test_a_killed_session_process_leaves_its_log_no_exit_file_and_an_agent_for_the_sweep(world):
    run = world.start("sh", "-c", STUBBORN)
    run.shows(b"working")
    os.kill(run.pane, signal.SIGKILL)
    until(lambda: run.launch.session not in world.host.alive(), "tmux to notice")

    assert world.host.finished(run.folder) is None
    assert run.left != []
    assert world.host.sweep(run.launch.run) == []
    assert run.left == []
    assert run.log == b"working\n"


def test_a_second_life_of_an_attempt_first_ends_what_is_left_of_the_first(world):
    run = world.start("sh", "-c", "trap '' HUP; echo life $$; while :; do sleep 0.1; done")
    run.shows(b"life")
    os.kill(run.pane, signal.SIGKILL)
    until(lambda: run.launch.session not in world.host.alive(), "tmux to notice")

    world.host.start(run.launch.session, run.folder, world.root)

    until(lambda: run.log.count(b"life") == 2, "its second life")
    first, second = (int(line.split()[1]) for line in run.log.splitlines())
    assert (started(first), started(second) is None) == (None, False)


@pytest.mark.parametrize("how", ["kill-session", "server killed"])
def test_a_lost_pane_ends_the_attempt_with_everything_written(world, how):
    run = world.start(
        "sh", "-c", "trap 'echo bye; exit 3' INT; echo working; while :; do sleep 0.1; done"
    )
    run.shows(b"working")
    server = int(world.host.tmux.command("display-message", "-p", "#{pid}")[0])

    if how == "kill-session":
        assert world.host.tmux.kill_session(run.launch.session)
    else:
        os.kill(server, signal.SIGKILL)

    result = run.ends()
    assert (result.ended_by, result.exit_code) == ("hangup", 3)
    assert run.log == b"working\nbye\n"
    assert run.left == []
    until(lambda: session_processes(run.folder) == [], "the session process to leave")
    assert world.host.alive() == {}


def test_after_the_server_was_killed_new_sessions_start(world):
    first = world.start("sleep", "100")
    first.answers()
    server = int(world.host.tmux.command("display-message", "-p", "#{pid}")[0])
    os.kill(server, signal.SIGKILL)
    first.ends()
    second = world.start("echo", "again")
    second.ends()
    assert second.log == b"again\n"


def test_a_pane_that_takes_nothing_holds_the_agent_and_costs_no_byte(world):
    run = world.order("seq", "1", "60000")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [run.folder / "runner.sh"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    until(lambda: len(run.log) > 60_000, "output")
    held = 0

    def settled() -> bool:
        nonlocal held
        before, held = held, len(run.log)
        return before == held

    until(settled, "the agent to be held back")
    expected = b"".join(b"%d\n" % n for n in range(1, 60001))
    assert process.poll() is None
    assert held < len(expected)
    shown = bytearray()
    with contextlib.suppress(OSError):
        while block := os.read(master, 65536):
            shown += block
    process.wait(30)
    os.close(master)
    assert run.ends().ended_by == "exit"
    assert run.log == expected
    assert shown.replace(b"\r\n", b"\n") == expected


def test_a_session_without_any_terminal_records_all_the_same(world):
    run = world.order("echo", "hello")
    subprocess.run([run.folder / "runner.sh"], stdin=subprocess.DEVNULL, check=True)
    assert run.ends().exit_code == 0
    assert run.log == b"hello\n"


def test_a_quiet_session_uses_no_time_and_little_memory(world):
    run = world.start("sleep", "100")
    run.answers()
    process = psutil.Process(run.pane)
    before = process.cpu_times().user + process.cpu_times().system
    switches = process.num_ctx_switches().voluntary
    run.world.host.tmux.command("display-message", "-p", "x")
    until(lambda: process.status() == psutil.STATUS_SLEEPING, "sleep")
    assert process.cpu_times().user + process.cpu_times().system - before < 0.05
    assert process.num_ctx_switches().voluntary - switches < 20
    assert process.memory_full_info().pss < 12 << 20
