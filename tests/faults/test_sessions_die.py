"""Sessions end in every wrong way: the attempt is lost, its output kept, the task tried again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.world import World, survivors


def started(world: World) -> tuple[str, Path]:
    """A task whose first attempt waits for a file that never comes; its attempt's folder."""
    never = world.root / "never"
    task = world.add("Work", "say begun", f"first wait {never}", "write out.txt done")
    world.until(
        lambda: (
            any(a["phase"] == "running" for a in world.task(task)["attempts"])
            and b"begun" in world.log_of(task).read_bytes()
            if world.task(task)["attempts"] and world.log_of(task).exists()
            else False
        ),
        "the agent begins",
    )
    return task, world.log_of(task).parent


def session_process(world: World, folder: Path) -> psutil.Process:
    """The session process of an attempt."""
    told = json.loads((folder / "session.json").read_text())
    return psutil.Process(told["pid"])


def kill_session_process(world: World, folder: Path) -> None:
    """`kill -9` of the session process alone."""
    session_process(world, folder).kill()


def kill_tmux_server(world: World, folder: Path) -> None:
    """`kill -9` of the tmux server."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if words[:1] and "tmux" in words[0] and str(world.home.tmux) in words and "-C" not in words:
            process.kill()


def kill_tmux_session(world: World, folder: Path) -> None:
    """Somebody ends the session by hand."""
    os.system(f"tmux -S {world.home.tmux} kill-session -t =orch-int-1")


def reboot(world: World, folder: Path) -> None:
    """Everything of this home is gone at once, sockets and files stay."""
    world.orchd.kill()
    world.orchd.wait()
    for pid, _ in survivors(world.root):
        os.kill(pid, signal.SIGKILL)
    world.up()


@pytest.mark.parametrize("end", [kill_session_process, kill_tmux_server, kill_tmux_session, reboot])
def test_a_lost_session_is_told_and_its_task_tried_again(
    world: World, end: Callable[[World, Path], None]
):
    world.up()
    task, folder = started(world)
    end(world, folder)
    done = world.wait_for(task=task, status="done", seconds=60)
    assert [a["outcome"] for a in done["attempts"]] == ["lost", "done"], done
    assert done["attempts"][0]["error_class"] == "lost"
    assert (folder / "terminal.log").read_bytes().startswith(b"begun\n")
    assert world.git("show", f"{done['branch']}:out.txt") == "done\n"


def test_a_killed_agent_is_a_crash_and_counts(world: World):
    world.up()
    task, folder = started(world)
    [agent] = session_process(world, folder).children()
    agent.kill()
    done = world.wait_for(task=task, status="done")
    assert [a["error_class"] for a in done["attempts"]] == ["agent_crashed", None]


def test_nothing_that_the_agent_left_behind_outlives_its_attempt(world: World):
    world.up()
    task = world.add("Daemon", "daemon", "say started", "write out.txt x")
    done = world.wait_for(task=task, status="done")
    pid = int((Path(done["attempts"][0]["folder"]) / "daemon.pid").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_an_attempt_that_takes_too_long_is_ended_and_tried_again(world: World):
    world.configure("workflow:\n  timeout_seconds: 1\n")
    world.up()
    task, _ = started(world)
    done = world.wait_for(task=task, status="done")
    assert [a["error_class"] for a in done["attempts"]] == ["timeout", None]


def test_the_same_failure_three_times_is_for_a_person(world: World):
    world.up()
    task = world.add("Fail", "say no way", "exit 3")
    seen = world.wait_for(task=task, status="needs_review")
    assert [a["exit_code"] for a in seen["attempts"]] == [3, 3, 3]
    assert "3 times" in seen["blocked_reason"]
    world.orch("task", "retry", task)
    again = world.wait_for(task=task, status="needs_review")
    world.until(lambda: len(world.task(task)["attempts"]) == 6, "three more tries")
    assert again["title"] == "Fail"
