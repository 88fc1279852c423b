"""Services that hang in every way there is, and clocks that are not what they seem."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from orch.client import Client
from orch.errors import OrchError
from tests.support.scratch_orchd import ScratchOrchd, alive, eventually, scratch_orchd
from tests.support.toy_service import Misbehave

SEED = int(os.environ.get("ORCH_SEED") or time.time_ns() % 100_000)

JUMPING_CLOCK = """
import random, time
_real, _dice = time.time, random.Random({seed})
time.time = lambda: _real() + _dice.choice([-3600.0, 0.0, 3600.0])
"""
"""What an interpreter loads at its start (`sitecustomize`): a wall clock nobody can rely on."""


@pytest.fixture(params=["fork", "exec"])
def orchd(request: pytest.FixtureRequest) -> Iterator[ScratchOrchd]:
    """An orchd that is not started yet and does not wait long."""
    print(f"ORCH_SEED={SEED}")
    with scratch_orchd(request.param) as made:
        made.limits = {"heartbeat": 1.5, "abort": 1.0, "ask": 0.1, "terminate": 0.1}
        yield made


def replaced(orchd: ScratchOrchd, name: str, old: int) -> float:
    """Seconds until another process of the service is ready."""
    began = time.monotonic()
    orchd.wait(name, state="ready", other_than=old)
    assert not alive(old)
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("how", "where"), [("hang", "hang"), ("spin", "spin"), ("block", "block"), ("lively", "hang")]
)
def test_however_a_service_hangs_its_stacks_are_logged_and_it_is_replaced(orchd, how, where):
    orchd.add("engine").add("victim", how).start().ready("engine")
    engine = orchd.see("engine").pid
    took = replaced(orchd, "victim", orchd.wait("victim", state="ready").pid)
    assert took < 15
    assert "hung" in orchd.see("victim").last_error
    printed = orchd.home.raw_log("victim").read_text()
    assert "Fatal Python error: Aborted" in printed
    assert f"in {where}" in printed
    assert orchd.see("engine").pid == engine


def test_a_stopped_service_is_woken_to_write_its_stacks_and_replaced(orchd):
    orchd.three().start().ready()
    for _ in range(3):
        old = orchd.kill("capture", signal.SIGSTOP)
        assert replaced(orchd, "capture", old) < 15
    assert orchd.home.raw_log("capture").read_text().count("Fatal Python error: Aborted") == 3
    assert orchd.see("engine").restarts == 0


def test_a_real_service_whose_handler_never_returns_is_replaced_and_serves_again(orchd):
    orchd.add("toy").toys["toy"]["module"] = "tests.support.toy_service"
    orchd.add("engine").start().ready()
    old = orchd.see("toy").pid
    with Client(orchd.home) as client:
        with pytest.raises(OrchError):
            client.ask(Misbehave("hang", 1000.0), timeout=0.5)
        assert replaced(orchd, "toy", old) < 15
        assert "in misbehave" in orchd.home.raw_log("toy").read_text()


def test_a_handler_that_is_slow_but_returns_is_left_alone(orchd):
    orchd.add("toy").toys["toy"]["module"] = "tests.support.toy_service"
    orchd.add("engine").start().ready()
    old = orchd.see("toy").pid
    with Client(orchd.home) as client:
        for _ in range(3):
            client.ask(Misbehave("hang", 0.7), timeout=10)
    assert orchd.see("toy").pid == old


def test_a_wall_clock_that_jumps_by_an_hour_kills_nobody_and_hides_nobody(orchd):
    (orchd.root / "sitecustomize.py").write_text(JUMPING_CLOCK.format(seed=SEED))
    orchd.add("engine").add("scheduler").add("capture").write_roster()
    orchd.start(environment={"PYTHONPATH": f"{orchd.root}:{Path.cwd()}"}).ready()
    before = orchd.pids()
    threading.Event().wait(6)  # four times what a silent service is given
    assert orchd.pids() == before
    crashed = orchd.kill("scheduler")
    assert replaced(orchd, "scheduler", crashed) < 10
    assert replaced(orchd, "capture", orchd.kill("capture", signal.SIGSTOP)) < 15
    assert orchd.see("engine").pid == before["engine"]
    stamps = [event["at"] for event in orchd.events("engine", "service_ready")]
    jumps = [abs(later - at) for at, later in pairwise(stamps)]
    assert max(jumps, default=0) > 3000, "the clock did not jump: this shows nothing"


def test_absences_of_orchd_of_any_length_are_excused(orchd):
    dice = random.Random(SEED)
    orchd.three().start().ready()
    before = orchd.pids()
    for _ in range(5):
        orchd.process.send_signal(signal.SIGSTOP)
        for pid in before.values():
            os.kill(pid, signal.SIGSTOP)
        threading.Event().wait(dice.uniform(0.2, 5))  # the absence itself
        for pid in dice.sample([orchd.process.pid, *before.values()], 4):
            os.kill(pid, signal.SIGCONT)
        threading.Event().wait(dice.uniform(0.5, 1.5))  # all may be heard again
    assert orchd.pids() == before, orchd.said()
    eventually(lambda: "orchd was late" in orchd.said(), "it says so")
