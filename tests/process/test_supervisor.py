"""orchd with real processes: started, crashed, hung, stopped.

Once more with processes made the other way in tests/faults/test_supervisor_modes.py.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator

import psutil
import pytest

from orch.errors import NotFound, Refused, Unavailable
from orch.messages import (
    PingOrchd,
    ReloadConfig,
    RestartService,
    Shutdown,
    StartService,
    StopService,
)
from tests.support.scratch_orchd import ScratchOrchd, alive, eventually, scratch_orchd


@pytest.fixture
def orchd() -> Iterator[ScratchOrchd]:
    """An orchd that is not started yet."""
    with scratch_orchd("fork") as made:
        yield made


def test_all_services_become_ready_and_leave_nothing_behind(orchd):
    orchd.three().start().ready()
    seen = orchd.roster_now()
    assert [served.name for served in seen.services] == ["engine", "scheduler", "capture"]
    assert all(served.pss_bytes > 1 << 20 for served in seen.services)
    assert seen.pid == orchd.process.pid
    orchd.stop()
    assert orchd.diary("engine")[-2:] == ["STOP", "stopped"]
    left = {path.name for path in orchd.home.run.iterdir()}
    assert left == {"orchd.lock", "s"}


def test_a_killed_service_comes_back_and_its_siblings_never_notice(orchd):
    orchd.three().start().ready()
    before = orchd.pids()
    for name in before:
        orchd.kill(name)
        orchd.wait(name, state="ready", other_than=before[name])
        now = orchd.pids()
        assert {key for key in now if now[key] != before[key]} == {name}
        before = now
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    for name, pid in before.items():
        assert orchd.wait(name, state="ready", other_than=pid).restarts == 2


def test_a_request_sent_while_a_service_is_away_waits_for_its_replacement(orchd):
    orchd.three().start().ready()
    old = orchd.kill("engine")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(str(orchd.home.socket("engine", "req")))
        assert int(client.recv(100)) != old


def test_the_engine_is_told_what_happened_to_the_others_and_to_itself(orchd):
    orchd.three().start().ready()
    for name in ("scheduler", "engine"):
        orchd.wait(name, state="ready", other_than=orchd.kill(name))
    eventually(lambda: len(orchd.events("engine", "service_crashed")) >= 2, "two crashes told")
    told = {one["id"]: one["data"]["service"] for one in orchd.events("engine", "service_crashed")}
    assert list(told.values()) == ["scheduler", "engine"]


def test_what_an_engine_did_not_live_to_read_is_told_to_the_next_one(orchd):
    orchd.three().start().ready()
    engine = orchd.kill("engine", signal.SIGSTOP)
    orchd.wait("scheduler", state="ready", other_than=orchd.kill("scheduler"))
    assert orchd.events("engine", "service_crashed") == []
    os.kill(engine, signal.SIGKILL)
    orchd.wait("engine", state="ready", other_than=engine)
    eventually(lambda: len(orchd.events("engine", "service_crashed")) >= 2, "both crashes told")
    told = [one["data"]["service"] for one in orchd.events("engine", "service_crashed")]
    assert told == ["scheduler", "engine"]


def test_a_hung_service_writes_its_stacks_and_is_replaced(orchd):
    orchd.limits = {"heartbeat": 1.0, "abort": 1.0, "ask": 0.1, "terminate": 0.1}
    orchd.add("engine").add("victim", "hang").start().ready("engine")
    engine = orchd.see("engine").pid
    old = orchd.wait("victim", state="ready").pid
    orchd.wait("victim", state="ready", other_than=old)
    assert not alive(old)
    assert orchd.see("engine").pid == engine
    assert "hung" in orchd.see("victim").last_error
    assert "Fatal Python error: Aborted" in orchd.home.raw_log("victim").read_text()


def test_a_deaf_service_is_killed_with_its_group_when_stopped(orchd):
    orchd.limits = {"ask": 0.2, "terminate": 0.3}
    orchd.add("engine").add("deaf", "deaf,children").start().ready()
    pid = orchd.see("deaf").pid
    children = {child.pid: child.cmdline()[-1] for child in psutil.Process(pid).children()}
    assert sorted(children.values()) == ["1000", "1001"]
    orchd.ask(StopService("deaf"))
    assert orchd.see("deaf").state == "disabled"
    in_group, daemon = sorted(children, key=lambda child: children[child])
    eventually(lambda: not alive(in_group), "the grandchild is gone")
    assert alive(daemon)
    os.kill(daemon, signal.SIGKILL)


def test_a_service_that_never_becomes_ready_disturbs_nobody(orchd):
    orchd.limits = {"start": 0.5, "abort": 0.3, "first_wait": 0.05, "longest_wait": 0.1}
    orchd.add("engine").add("lame", "never-ready").start().ready("engine")
    engine = orchd.see("engine").pid
    eventually(lambda: orchd.see("lame").restarts >= 2, "several tries")
    assert orchd.see("lame").state != "ready"
    assert orchd.see("engine").pid == engine
    with pytest.raises(Unavailable, match="lame"):
        orchd.ask(RestartService("lame"))


def test_a_service_that_cannot_start_is_failing_once_and_comes_back_when_repaired(orchd):
    orchd.limits = {"crashes": 3, "first_wait": 0.02, "longest_wait": 0.05, "failing_wait": 0.5}
    repair = orchd.root / "repaired"
    orchd.add("engine").add("broken", f"repaired:{repair}")
    orchd.add("missing").toys["missing"]["module"] = "there.is.no.such.module"
    orchd.start().ready("engine")
    engine = orchd.see("engine").pid
    orchd.wait("broken", state="failing")
    orchd.wait("missing", state="failing")
    assert "not repaired yet" in orchd.see("broken").last_error
    assert "No module named" in orchd.see("missing").last_error
    with pytest.raises(Unavailable, match="not repaired yet"):
        orchd.ask(StartService("broken"))
    repair.touch()
    orchd.wait("broken", state="ready")
    orchd.ask(StopService("missing"))
    failing = [event["data"]["service"] for event in orchd.events("engine", "service_failing")]
    assert sorted(failing) == ["broken", "missing"]
    assert orchd.see("engine").pid == engine


def test_a_stopped_service_stays_stopped_over_orchds_own_restart(orchd):
    orchd.three().start().ready()
    orchd.ask(StopService("scheduler"))
    orchd.kill("engine")
    orchd.stop()
    orchd.start().ready("engine", "capture")
    assert orchd.see("scheduler").state == "disabled"
    orchd.ask(StartService("scheduler"))
    assert orchd.see("scheduler").state == "ready"
    orchd.stop()
    orchd.start().ready()


def test_fifty_commands_at_once_are_all_answered_and_the_last_wish_wins(orchd):
    orchd.three().start().ready()
    outcomes: list[str] = []

    def command(number: int) -> None:
        kinds = (StopService, RestartService, StartService)
        names = ("engine", "scheduler", "capture")
        try:
            if number % 10 == 9:
                orchd.ask(ReloadConfig())
            else:
                orchd.ask(kinds[number % 3](names[number % 7 % 3]))
            outcomes.append("done")
        except Unavailable as error:
            assert "was stopped before it was ready" in error.message
            outcomes.append("cancelled")

    threads = [threading.Thread(target=command, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outcomes) == 50
    orchd.ask(StopService("scheduler"))
    orchd.ask(StartService("engine"))
    orchd.ask(RestartService("capture"))
    states = {served.name: served.state for served in orchd.roster_now().services}
    assert states == {"engine": "ready", "scheduler": "disabled", "capture": "ready"}


def test_restarting_all_replaces_each(orchd):
    orchd.three().start().ready()
    before = orchd.pids()
    orchd.ask(RestartService())
    after = orchd.pids()
    assert all(after[name] != before[name] for name in before)
    with pytest.raises(NotFound, match="'nobody'"):
        orchd.ask(RestartService("nobody"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_start_ends_everything(orchd, number):
    orchd.add("engine").add("slow", "never-ready").start()
    orchd.process.send_signal(number)
    assert orchd.process.wait(20) == 0
    assert orchd.survivors() == []


def test_the_children_of_a_killed_orchd_leave_and_the_next_one_is_clean(orchd):
    orchd.three().start().ready()
    pids = orchd.pids()
    os.kill(pids["capture"], signal.SIGSTOP)
    orchd.process.kill()
    orchd.process.wait()
    eventually(lambda: not alive(pids["engine"]) and not alive(pids["scheduler"]), "gone", 5)
    assert alive(pids["capture"])
    orchd.start().ready()
    assert not alive(pids["capture"])
    assert len(orchd.survivors()) == 4


def test_a_second_orchd_leaves_and_names_the_holder(orchd):
    orchd.three().start().ready()
    second = orchd.launch()
    assert second.wait(20) == 1
    assert f"(pid {orchd.process.pid})" in orchd.output.read_text()
    assert orchd.ask(PingOrchd()).pid == orchd.process.pid


def test_commands_are_refused_while_orchd_shuts_down(orchd):
    orchd.add("engine", "slow-stop").start().ready()
    waiting = threading.Thread(target=lambda: orchd.ask(Shutdown()))
    waiting.start()
    eventually(lambda: orchd.see("engine").state == "stopping", "it stops")
    with pytest.raises(Refused, match="shutting down"):
        orchd.ask(StartService("engine"))
    waiting.join(20)
    assert orchd.process.wait(20) == 0
