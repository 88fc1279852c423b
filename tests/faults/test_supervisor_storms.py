"""Long trouble for orchd: kills at random, two at once, hogs, a suspended orchd, a crash loop."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from orch.control_ping import ping
from orch.errors import OrchError
from orch.messages import PingOrchd, ReloadConfig, RestartService, StartService, StopService
from tests.support.scratch_orchd import ScratchOrchd, alive, eventually, scratch_orchd

SEED = int(os.environ.get("ORCH_SEED") or time.time_ns() % 100_000)


@pytest.fixture(params=["fork", "exec"])
def orchd(request: pytest.FixtureRequest) -> Iterator[ScratchOrchd]:
    """An orchd that is not started yet."""
    print(f"ORCH_SEED={SEED}")
    with scratch_orchd(request.param) as made:
        yield made


def test_each_service_killed_twenty_times_is_always_back_alone(orchd):
    orchd.limits = {"first_wait": 0.02, "longest_wait": 0.1, "crashes": 1000}
    orchd.three().start().ready()
    for _ in range(20):
        for name in ("engine", "scheduler", "capture"):
            before = orchd.pids()
            orchd.wait(name, state="ready", other_than=orchd.kill(name))
            now = orchd.pids()
            assert {one for one in now if now[one] != before[one]} == {name}
    assert len(orchd.survivors()) == 4


def test_orchd_killed_right_after_a_restart_twenty_times_leaves_nobody(orchd):
    dice = random.Random(SEED)
    orchd.three()
    for _ in range(20):
        orchd.start().ready()
        pids = orchd.pids()
        victim = dice.choice(list(pids))
        os.kill(pids[victim], signal.SIGKILL)
        deadline = time.monotonic() + dice.random() * 0.03
        while time.monotonic() < deadline:  # somewhere in the restart, busily
            pass
        orchd.process.kill()
        orchd.process.wait()
        eventually(lambda: not orchd.survivors(), "all have left", 2.5)


def test_of_two_orchds_started_at_once_exactly_one_lives(orchd):
    orchd.three().write_roster()
    for _ in range(20):
        two = [orchd.launch(), orchd.launch()]
        eventually(lambda two=two: any(one.poll() is not None for one in two), "one leaves")
        left = [one for one in two if one.poll() is not None]
        stays = next(one for one in two if one not in left)
        assert [one.returncode for one in left] == [1]
        orchd.process = stays
        eventually(orchd.answers, "the other answers")
        orchd.ready()
        assert orchd.ask(PingOrchd()).pid == stays.pid
        assert f"(pid {stays.pid})" in orchd.output.read_text()
        os.kill(orchd.see("capture").pid, signal.SIGSTOP)
        stays.kill()
        stays.wait()
    orchd.start().ready()
    assert len(orchd.survivors()) == 4


@pytest.mark.timeout(200)
def test_a_suspended_orchd_and_then_a_hogged_machine_kill_nobody(orchd):
    orchd.three().start().ready()
    before = orchd.pids()
    orchd.process.send_signal(signal.SIGSTOP)
    threading.Event().wait(30)  # the absence itself
    orchd.process.send_signal(signal.SIGCONT)
    assert orchd.pids() == before
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(24)]
    try:
        threading.Event().wait(60)  # the load itself
        assert orchd.pids() == before
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@pytest.mark.timeout(300)
def test_a_crash_loop_costs_little_and_ping_is_quick_throughout(orchd):
    orchd.add("engine").add("broken", "exit:1").add("absent").toys["absent"]["module"] = "no.such"
    orchd.start().ready("engine")
    me = psutil.Process(orchd.process.pid)
    cpu, began = sum(me.cpu_times()[:2]), time.monotonic()
    quick = 0
    while time.monotonic() < began + 60:
        asked = time.monotonic()
        ping(str(orchd.home.control))
        quick += time.monotonic() - asked < 0.05
        threading.Event().wait(0.5)  # the pace of asking
    assert quick > 100
    assert orchd.see("broken").restarts <= 11
    assert orchd.see("absent").restarts <= 11
    assert (sum(me.cpu_times()[:2]) - cpu) / (time.monotonic() - began) < 0.05
    assert orchd.see("engine").restarts == 0


@pytest.mark.timeout(200)
def test_a_storm_of_kills_and_commands_leaves_the_last_wish_and_no_trace(orchd):
    dice = random.Random(SEED)
    orchd.limits = {"first_wait": 0.02, "longest_wait": 0.2, "crashes": 1000, "heartbeat": 2.0}
    orchd.three().start().ready()
    me = psutil.Process(orchd.process.pid)
    fds, memory = me.num_fds(), me.memory_info().rss
    until = time.monotonic() + 30
    kinds = [StopService, StartService, RestartService]

    def storm(own: random.Random) -> None:
        while time.monotonic() < until:
            name = own.choice(["engine", "scheduler", "capture"])
            try:
                if own.random() < 0.1:
                    orchd.ask(ReloadConfig())
                elif own.random() < 0.5:
                    orchd.ask(own.choice(kinds)(name))
                elif pid := orchd.see(name).pid:
                    os.kill(pid, own.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP]))
            except (OrchError, ProcessLookupError):
                continue

    storms = [threading.Thread(target=storm, args=(random.Random(dice.random()),)) for _ in "1234"]
    for thread in storms:
        thread.start()
    for thread in storms:
        thread.join()
    for name in ("engine", "scheduler", "capture"):
        orchd.ask(StartService(name))
    orchd.ready()
    assert len(orchd.survivors()) == 4
    assert all(alive(pid) for pid in orchd.pids().values())
    assert me.num_fds() <= fds + 2
    assert me.memory_info().rss < memory * 1.5 + (8 << 20)
    assert [child for child in me.children() if child.status() == psutil.STATUS_ZOMBIE] == []
