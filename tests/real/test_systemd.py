"""orch as a real user service of systemd: whatever systemd does with orchd, the agent goes on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.core import unit
from tests.support.user_systemd import UserSystemd, cgroup_of, missing
from tests.support.world import Ran, World


class Managed:
    """A world whose orchd is a service of a user manager."""

    def __init__(self, world: World, systemd: UserSystemd) -> None:
        self.world = world
        self.systemd = systemd
        self.unit = f"{unit.name(str(world.home.root), usual=False)}.service"

    def orch(self, *args: str, cwd: Path | None = None, ok: bool | None = True) -> Ran:
        """Run `orch ARGS` where the manager is."""
        where = cwd or self.world.repo
        return self.world.orch(*args, cwd=where, ok=ok, inside=self.systemd.inside(where))

    def orchd(self) -> int:
        """The pid of the unit's main process; 0 for none."""
        return int(self.systemd.shows(self.unit, "MainPID") or 0)

    def replaced(self, pid: int, seconds: float = 30) -> int:
        """Wait until another orchd serves; its pid."""

        def another() -> bool:
            return self.orchd() not in (0, pid) and self.world.all_ready()

        self.world.until(another, "another orchd serves", seconds=seconds)
        return self.orchd()


@pytest.fixture
def managed(world: World) -> Iterator[Managed]:
    """A world with the unit installed and started."""
    if problem := missing():
        pytest.skip(problem)
    with UserSystemd(world.root, Path(world.env["HOME"])) as systemd:
        world.env["XDG_RUNTIME_DIR"] = str(systemd.runtime)
        del world.env["PYTHONPATH"]
        made = Managed(world, systemd)
        made.orch("service", "install")
        made.orch("service", "start")
        yield made
        made.orch("service", "stop", ok=None)
        made.orch("down", "--kill-sessions", ok=None)


def agent_of(folder: Path) -> tuple[int, str]:
    """The session process of an attempt: its pid, and when it was started."""
    pid = json.loads((folder / "session.json").read_text())["pid"]
    return pid, Path(f"/proc/{pid}/stat").read_text().split()[21]


def test_an_agent_outlives_all_that_systemd_does_with_orchd(managed: Managed):
    world, systemd = managed.world, managed.systemd
    assert "enabled, active" in managed.orch("service", "status").out
    gate, ran = world.root / "gate", world.root / "ran"
    task = world.add("Long", f"count {ran}", "lines 5", f"wait {gate}", "lines 5")
    world.until(lambda: b"line 4" in world.output_of(task), "it prints")
    folder = world.log_of(task).parent
    agent, first = agent_of(folder), managed.orchd()
    assert managed.unit in cgroup_of(first)
    assert managed.unit not in cgroup_of(agent[0]), "sessions live in a scope of their own"

    systemd.systemctl("restart", managed.unit)
    second = managed.replaced(first)

    os.kill(second, signal.SIGKILL)
    third = managed.replaced(second)
    assert systemd.shows(managed.unit, "NRestarts") == "1"

    os.kill(third, signal.SIGSTOP)  # it is silent: the watchdog's time is 30 s
    fourth = managed.replaced(third, seconds=90)
    assert systemd.shows(managed.unit, "NRestarts") == "2"

    managed.orch("service", "upgrade")
    assert managed.orchd() == fourth, "the same process, another program"

    managed.orch("service", "stop")
    assert systemd.shows(managed.unit, "ActiveState") == "inactive"
    assert agent_of(folder) == agent
    managed.orch("service", "start")

    gate.touch()
    [attempt] = world.wait_for(task=task, status="done")["attempts"]
    assert attempt["n"] == 1
    assert ran.stat().st_size == 1
    log = (folder / "terminal.log").read_text()
    assert [log.count(f"line {n} ") for n in range(5)] == [2] * 5

    managed.orch("service", "uninstall")
    assert managed.orchd() == 0
    assert "(missing)" in managed.orch("service", "status", ok=None).out
