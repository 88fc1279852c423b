"""orchd changes its program while real work is under way: nothing of that is lost."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator

import pytest

from orch import control
from orch.errors import OrchError, Refused, Unavailable
from orch.messages import GetRoster, Upgrade
from tests.support.scratch_orchd import alive, eventually
from tests.support.world import World

PREFLIGHT = 'case "$*" in *--preflight*) exec "$PYTHON" "$@";; esac\n'
"""The part of a program that is well until it is asked to take over."""

BROKEN = """
import sys, orch.supervisor.upgrade as upgrade
def adopt(orchd, carried): raise RuntimeError('I do not like it here')
upgrade.adopt = adopt
from orch.supervisor.__main__ import main
main(sys.argv[1:])
"""


@pytest.fixture(params=["fork", "exec"])
def working(request: pytest.FixtureRequest, world: World) -> Iterator[World]:
    """A world with an agent at work until `gate` is there; it ends done, whatever happens."""
    world.up(f"--spawn={request.param}")
    gate = world.root / "gate"
    task = world.add("Long", "lines 50", f"wait {gate}", "lines 50", "write a.txt a", "say end")
    world.until(lambda: world.output_of(task).count(b"\n") >= 50, "the agent works")
    yield world
    if not world.all_ready():
        world.up(f"--spawn={request.param}")
    gate.touch()
    [attempt] = world.wait_for(task=task, status="done")["attempts"]
    assert attempt["outcome"] == "done"
    assert b"end" in world.output_of(task)


def program(world: World, script: str) -> str:
    """An interpreter to upgrade to: a shell script, in which `$PYTHON` is the real one."""
    path = world.root / "python"
    path.write_text(f"#!/bin/sh\nPYTHON={sys.executable}\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def pids(world: World) -> dict[str, int]:
    """The pids of orchd and its services."""
    roster = control.ask(world.home, GetRoster())
    return {"orchd": roster.pid, **{one.name: one.pid for one in roster.services}}


def upgrade(world: World, script: str) -> None:
    """Ask orchd to become another program, and wait until that is done or refused."""
    control.ask(world.home, Upgrade(python=program(world, script)), timeout=60)


def test_an_upgrade_replaces_everything_but_orchds_pid_and_the_sessions(working):
    before = pids(working)
    for _ in range(3):
        upgrade(working, 'exec "$PYTHON" "$@"')
    after = pids(working)
    assert after.pop("orchd") == before.pop("orchd")
    assert not set(after.values()) & set(before.values())
    assert not any(alive(pid) for pid in before.values())


def test_a_program_that_fails_its_preflight_changes_nothing(working):
    before = pids(working)
    for script, said in (("exit 1", "said nothing"), ("echo orchd-state-0", "orchd-state-0")):
        with pytest.raises(Refused, match=said):
            upgrade(working, script)
    assert pids(working) == before


def test_a_program_that_fails_to_take_over_gives_way_to_the_one_before(working):
    before = pids(working)
    broken = working.root / "broken.py"
    broken.write_text(BROKEN)
    strip = 'while [ "$1" != orch.supervisor ]; do shift; done; shift\n'
    with pytest.raises(Refused, match="I do not like it here"):
        upgrade(working, f'{PREFLIGHT}{strip}exec "$PYTHON" {broken} "$@"')
    assert pids(working) == before
    old = working.kill("engine")
    working.until(lambda: working.all_ready() and pids(working)["engine"] != old, "a new engine")


@pytest.mark.parametrize("end", ["kill -9 $$", "exit 3"])
def test_an_upgrade_that_ends_orchd_leaves_only_the_sessions(working, end):
    before = pids(working)
    with pytest.raises(Unavailable, match="went away"):
        upgrade(working, PREFLIGHT + end)
    assert working.orchd.wait(20) in (-signal.SIGKILL, 3)
    eventually(lambda: not any(alive(pid) for pid in before.values()), "the services leave", 10)
    working.up()


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.4, 0.6, 0.9])
def test_a_kill_at_any_moment_of_an_upgrade_is_recovered_from(working, seconds):
    before = pids(working)
    asking = threading.Thread(target=lambda: ended.append(tried(working)))
    ended: list[str] = []
    asking.start()
    asking.join(seconds)  # the moment of the kill
    os.kill(before["orchd"], signal.SIGKILL)
    working.orchd.wait(20)
    asking.join(60)
    assert len(ended) == 1
    eventually(lambda: not any(alive(pid) for pid in before.values()), "the services leave", 10)
    working.up()


def tried(world: World) -> str:
    """Ask for an upgrade; what came of it."""
    try:
        upgrade(world, 'exec "$PYTHON" "$@"')
    except OrchError as error:
        return error.message
    return "upgraded"
