"""Services that cannot be started: broken for minutes, missing, no descriptors, no processes."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.control_ping import ping
from orch.errors import Unavailable
from orch.messages import StopService
from tests.support.scratch_orchd import ScratchOrchd, eventually, scratch_orchd

SEED = int(os.environ.get("ORCH_SEED") or time.time_ns() % 100_000)

NO_FORK = """
import errno, os
_fork = os.fork
def fork():
    if os.path.exists({flag!r}):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _fork()
os.fork = fork
"""
"""What an interpreter loads at its start (`sitecustomize`): fork(2) fails while a file exists.

A real limit (RLIMIT_NPROC) does not bind root, and would bind everything else of this user."""

SCALED = {
    "first_wait": 0.02, "longest_wait": 1.5, "failing_wait": 2.0, "window": 15.0, "healthy": 3.0,
}  # fmt: skip
"""The waits of supervision, a twentieth to a tenth of what they are."""


@pytest.fixture(params=["fork", "exec"])
def orchd(request: pytest.FixtureRequest) -> Iterator[ScratchOrchd]:
    """An orchd that is not started yet, all of whose waits are short."""
    print(f"ORCH_SEED={SEED}")
    with scratch_orchd(request.param) as made:
        made.limits = SCALED
        yield made


class Pinger(threading.Thread):
    """Pings orchd all the time, and keeps how long each answer took, in seconds."""

    def __init__(self, orchd: ScratchOrchd) -> None:
        super().__init__()
        self.path = str(orchd.home.control)
        self.took: list[float] = []
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        """Ping until told to stop."""
        while not self.over.wait(0.02):
            began = time.monotonic()
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                ping(self.path)
            self.took.append(time.monotonic() - began)

    def quick(self) -> bool:
        """Stop; whether answers came within 50 ms (most: the machine itself may be busy)."""
        self.over.set()
        self.join()
        return statistics.median(self.took) < 0.05


def test_a_service_broken_for_long_costs_few_starts_and_is_back_soon_after_its_repair(orchd):
    repair = orchd.root / "repaired"
    orchd.add("engine").add("broken", f"repaired:{repair}").start().ready("engine")
    pinger = Pinger(orchd)
    began = time.monotonic()
    orchd.wait("broken", state="failing")
    eventually(lambda: time.monotonic() > began + 9, "nine seconds of it: three minutes, scaled")
    starts = orchd.see("broken").restarts + 1
    assert 11 <= starts <= 11 + (time.monotonic() - began) / 2.0 + 1
    repair.touch()
    fixed = time.monotonic()
    pid = orchd.wait("broken", state="ready").pid
    assert time.monotonic() - fixed < 2.0 + 8, "ready within one wait, and a start"
    assert pinger.quick()
    assert len(orchd.events("engine", "service_failing")) == 1
    eventually(lambda: orchd.events("engine", "service_recovered"), "its recovery is told")
    assert orchd.see("broken").pid == pid
    assert orchd.see("engine").restarts == 0


def test_a_module_that_is_missing_is_retried_seldom_and_disturbs_nobody(orchd):
    orchd.add("engine").add("missing").toys["missing"]["module"] = "there.is.no.such.module"
    orchd.start().ready("engine")
    pinger = Pinger(orchd)
    orchd.wait("missing", state="failing")
    assert "No module named" in orchd.see("missing").last_error
    assert pinger.quick()
    orchd.ask(StopService("missing"))
    assert orchd.see("missing").state == "disabled"


def cannot_be_made(orchd: ScratchOrchd, name: str) -> bool:
    """Whether a service has no process, because there can be none."""
    seen = orchd.see(name)
    return seen.pid == 0 and "Resource temporarily unavailable" in seen.last_error


def test_while_no_process_can_be_made_orchd_answers_and_then_goes_on(orchd):
    dice = random.Random(SEED)
    flag = orchd.root / "no-fork"
    (orchd.root / "sitecustomize.py").write_text(NO_FORK.format(flag=str(flag)))
    environment = {"PYTHONPATH": f"{orchd.root}:{Path.cwd()}"}
    orchd.three().start(environment=environment).ready()
    pinger = Pinger(orchd)
    for _ in range(3):
        names = dice.sample(["engine", "scheduler", "capture"], dice.randint(1, 3))
        flag.touch()
        old = {name: orchd.kill(name) for name in names}
        for name in names:
            eventually(lambda name=name: cannot_be_made(orchd, name), f"{name} cannot be made")
        flag.unlink()
        for name in names:
            orchd.wait(name, state="ready", other_than=old[name])
    assert pinger.quick()
    assert len(orchd.survivors()) == 4


def ended(orchd: ScratchOrchd, name: str, old: int) -> bool:
    """Whether orchd has seen a service end. Out of descriptors it may turn a client away that has
    connected and said nothing yet, to make room for the next one."""
    try:
        return orchd.see(name).pid != old
    except Unavailable:
        return False


def test_out_of_descriptors_nothing_starts_nothing_leaks_and_then_all_is_well(orchd):
    orchd.three().start().ready()
    pid = orchd.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    held = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    pinger = Pinger(orchd)
    for name in ("scheduler", "capture"):
        highest = max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        old = orchd.kill(name)
        eventually(lambda name=name, old=old: ended(orchd, name, old), f"the end of {name} is seen")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        orchd.wait(name, state="ready", other_than=old)
    assert pinger.quick()
    assert orchd.see("engine").restarts == 0
    eventually(
        lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) <= held + 1, "descriptors are back"
    )
