"""orchd changes its own program: same pid, children kept until their turn, and a way back.

With processes made the other way, and with real work, in tests/faults.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.errors import Refused
from orch.messages import PingOrchd, StopService, Upgrade
from tests.support.scratch_orchd import ScratchOrchd, alive, eventually, scratch_orchd


@pytest.fixture
def orchd() -> Iterator[ScratchOrchd]:
    """A running orchd with three toys."""
    with scratch_orchd("fork") as made:
        made.three().start().ready()
        yield made


def program(orchd: ScratchOrchd, script: str) -> str:
    """An interpreter to upgrade to: a shell script, in which `$PYTHON` is the real one."""
    path = orchd.root / "python"
    path.write_text(f"#!/bin/sh\nPYTHON={sys.executable}\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_an_upgrade_keeps_the_pid_and_replaces_each_service(orchd):
    orchd.ask(StopService("capture"))
    before = orchd.pids()
    orchd.ask(Upgrade(python=program(orchd, 'exec "$PYTHON" "$@"')))
    assert orchd.ask(PingOrchd()).pid == orchd.process.pid
    after = orchd.pids()
    assert after["capture"] == 0
    assert all(after[name] not in (0, before[name]) for name in ("engine", "scheduler"))
    assert not any(alive(pid) for pid in before.values() if pid)
    eventually(lambda: orchd.events("engine", "orchd_upgraded"), "the engine is told")
    orchd.kill("engine")
    orchd.wait("engine", state="ready", other_than=after["engine"])
    orchd.ask(Upgrade())
    assert orchd.launch().wait(20) == 1, "the lock is still held"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'No module named orch'; exit 1", "No module named orch"),
        ("echo orchd-state-0", "orchd-state-0"),
        ("exit 0", "it said nothing"),
    ],
)
def test_a_program_that_fails_its_preflight_is_not_taken(orchd, script, said):
    before = orchd.pids()
    with pytest.raises(Refused, match=said):
        orchd.ask(Upgrade(python=program(orchd, script)))
    with pytest.raises(Refused, match="cannot be run"):
        orchd.ask(Upgrade(python=str(orchd.root / "nowhere")))
    assert orchd.pids() == before


def test_a_program_that_cannot_take_over_goes_back_to_the_one_before(orchd):
    before = orchd.pids()
    broken = (
        "import sys, orch.supervisor.upgrade as upgrade\n"
        "def adopt(orchd, carried): raise RuntimeError('I do not like it here')\n"
        "upgrade.adopt = adopt\n"
        "from orch.supervisor.__main__ import main\n"
        "main(sys.argv[1:])\n"
    )
    Path(orchd.root / "broken.py").write_text(broken)
    script = (
        'case "$*" in *--preflight*) exec "$PYTHON" "$@";; esac\n'
        'while [ "$1" != orch.supervisor ]; do shift; done; shift\n'
        f'exec "$PYTHON" {orchd.root}/broken.py "$@"'
    )
    environment = program(orchd, f"export PYTHONPATH={Path.cwd()}\n{script}")
    with pytest.raises(Refused, match="I do not like it here"):
        orchd.ask(Upgrade(python=environment))
    assert orchd.pids() == before
    assert orchd.ask(PingOrchd()).pid == orchd.process.pid
    old = orchd.kill("scheduler")
    orchd.wait("scheduler", state="ready", other_than=old)
    assert orchd.pids()["engine"] == before["engine"]


def test_a_service_that_dies_during_the_exec_is_seen_by_the_new_program(orchd):
    victim = orchd.see("scheduler").pid
    script = f'case "$*" in *--adopt*) kill -9 {victim};; esac\nexec "$PYTHON" "$@"'
    orchd.ask(Upgrade(python=program(orchd, script)))
    orchd.ready()
    assert not alive(victim)
