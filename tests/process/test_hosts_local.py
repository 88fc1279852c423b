"""Sessions on this machine through the host's interface."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from orch.errors import Refused, Unknown
from orch.hosts import local
from tests.support.scratch_sessions import Sessions, session_processes, sessions, until


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def test_starting_twice_adopts_what_runs(world):
    run = world.start("sh", "-c", "echo $$; read line")
    world.host.start(run.launch.session, str(run.folder), str(world.root))
    run.shows(b"\n")
    world.host.start(run.launch.session, run.folder, world.root)
    assert len(run.log.splitlines()) == 1
    assert list(world.host.alive()) == [run.launch.session]


def test_the_next_attempt_waits_for_the_last_ones_pane_to_leave(world):
    first = world.start("sh", "-c", "read line", session="orch-t")
    first.answers()
    first.ask(type="stop")  # ends it; its pane leaves a little later
    second = world.start("echo", "second", session="orch-t")
    assert second.ends().exit_code == 0
    assert second.log == b"second\n"
    assert first.ends().ended_by == "cancelled"


def test_a_name_that_runs_something_else_is_refused_not_adopted(world, monkeypatch):
    monkeypatch.setattr(local, "HANDOVER_SECONDS", 0.2)
    world.start("sh", "-c", "read line", session="orch-t")
    other = world.order("echo", "other", session="orch-t")
    with pytest.raises(Refused, match="runs something else"):
        world.host.start("orch-t", other.folder, world.root)
    assert other.log == b""


def test_stopping_ends_the_agent_and_its_daemons_and_leaves_a_result(world):
    daemon = "import os; os.setsid(); os.execvp('sleep', ['sleep', '500'])"
    run = world.start("sh", "-c", f'python3 -c "{daemon}" & echo up; sleep 500')
    run.shows(b"up")
    world.host.stop(run.launch.session, run.folder, "closed by hand")
    result = world.host.finished(run.folder)
    assert result
    assert (result.ended_by, result.message) == ("cancelled", "closed by hand")
    assert run.left == []
    assert world.host.alive() == {}


def test_stopping_right_after_the_start_and_after_the_end_is_fine(world):
    run = world.start("sleep", "500")
    world.host.stop(run.launch.session, run.folder)
    assert (world.host.alive(), run.left) == ({}, [])
    world.host.stop(run.launch.session, run.folder)
    world.host.stop("orch-never-was", world.root / "nowhere")


def test_stopping_a_session_process_that_hangs_ends_it_too(world, monkeypatch):
    monkeypatch.setattr(local, "STOP_SECONDS", 0.3)
    monkeypatch.setattr(local, "OPENING_SECONDS", 0.3)
    run = world.start("sh", "-c", "trap '' HUP; echo up; while :; do sleep 0.1; done")
    run.shows(b"up")
    run.answers()
    os.kill(run.pane, signal.SIGSTOP)
    world.host.stop(run.launch.session, run.folder)
    assert (world.host.alive(), run.left) == ({}, [])
    assert session_processes(run.folder) == []


def test_a_session_without_a_known_folder_is_ended_with_all_its_processes(world):
    run = world.start("sh", "-c", "setsid sleep 500 & echo up; sleep 500")
    run.shows(b"up")
    world.host.stop(run.launch.session, "/nowhere")
    assert (world.host.alive(), run.left) == ({}, [])
    assert world.host.finished(run.folder).ended_by == "cancelled"


def test_output_is_read_by_offset(world):
    run = world.start("printf", "0123456789")
    assert world.host.size(world.root / "nowhere") == 0
    assert world.host.read(world.root / "nowhere", 0, 10) == b""
    run.ends()
    assert world.host.size(run.folder) == 10
    assert world.host.read(run.folder, 3, 4) == b"3456"
    assert world.host.read(run.folder, 8, 100) == b"89"
    assert world.host.read(run.folder, 10, 5) == b""
    assert world.host.read(run.folder, 99, 5) == b""


def test_a_result_counts_only_with_its_exit_file(world):
    run = world.start("true")
    run.ends()
    until(lambda: world.host.alive() == {}, "the pane to leave")
    (run.folder / "exit.txt").rename(run.folder / "aside")
    assert world.host.finished(run.folder) is None
    (run.folder / "aside").rename(run.folder / "exit.txt")
    (run.folder / "result.json").write_text('{"ended_by": ')
    with pytest.raises(Unknown, match=r"result\.json"):
        world.host.finished(run.folder)


def test_text_for_a_session_that_is_gone_is_refused(world):
    run = world.start("true")
    run.ends()
    state, reason = world.host.send(run.launch.session, "hello")
    assert (state, "has ended" in reason) == ("refused", True)


def test_text_right_after_the_start_arrives(world):
    run = world.start("sh", "-c", "read line; echo got $line")
    assert world.host.send(run.launch.session, "early", True, "k") == ("submitted", "")
    run.ends()
    assert run.log == b"got early\n"


def test_sweeping_for_nothing_ends_nothing(world):
    assert world.host.sweep("") == []
    assert world.host.sweep("no such run") == []
