"""The scheduler as a process: each time fired once, over kills, doubles and bad neighbours."""

from __future__ import annotations

import datetime
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from orch.errors import Unavailable, Unknown
from orch.messages import FireJob, JobsChanged, Ping, RunPass
from orch.model import Job
from orch.paths import Home
from services.scheduler import Scheduler
from tests.support.session_engine import Stage, stage


@pytest.fixture
def at() -> Iterator[Stage]:
    with stage() as made:
        yield made


def job(name: str = "a", ago: float = 3600.0, **more: object) -> Job:
    """A job each minute, last dealt with some seconds ago: one time is owed."""
    told: dict[str, object] = {
        "schedule": "* * * * *",
        "timezone": "UTC",
        "last_due": time.time() - ago,
    }
    return Job(id=name, project="octo/demo", **(told | more))  # type: ignore[arg-type]


def minute(at: float) -> float:
    return at - at % 60


def test_what_is_owed_is_fired_at_the_start_and_only_once(at: Stage) -> None:
    at.world.jobs = [job()]
    began = time.time()
    at.start("scheduler")
    at.wait_for(lambda: at.world.fired, "the job is fired")
    ((project, name, due),) = list(at.world.fired)[:1]
    assert (project, name) == ("octo/demo", "a")
    assert minute(began) <= due <= minute(time.time())
    at.client.ask(RunPass())
    assert len(at.world.firings) == len(at.world.fired)


def test_a_new_job_is_taken_up_when_jobs_change(at: Stage) -> None:
    at.start("scheduler")
    at.world.jobs = [job()]
    at.wait_for(lambda: at.ring(JobsChanged()) or at.world.fired, "the job is fired", 10)


def test_a_job_seen_for_the_first_time_waits_for_its_next_time(at: Stage) -> None:
    at.world.jobs = [job("fresh", last_due=None, schedule="0 0 1 1 *"), job("owed")]
    at.start("scheduler")
    at.wait_for(lambda: at.world.fired, "the owed one is fired")
    assert {name for _, name, _ in at.world.fired} == {"owed"}


class Shifted(Scheduler):
    """A scheduler whose wall clock is ahead, and can be set."""

    shift = 0.0
    glance_seconds = 0.2

    def now(self) -> float:
        return time.time() + self.shift


@contextmanager
def shifted(at: Stage, shift: float) -> Iterator[Shifted]:
    service = Shifted(at.home)
    service.shift = shift
    thread = threading.Thread(target=service.run)
    thread.start()
    at.wait_for(lambda: at.answers("scheduler"), "the scheduler answers")
    yield service
    service.stop()
    thread.join()


def test_a_time_that_comes_is_fired_when_it_comes(at: Stage) -> None:
    before = 60 - time.time() % 60 - 1.0  # one second to the next full minute
    at.world.jobs = [job(last_due=time.time() + before)]
    with shifted(at, before) as scheduler:
        soon = minute(scheduler.now()) + 60
        at.wait_for(lambda: at.world.fired, "the job is fired")
        assert list(at.world.fired) == [("octo/demo", "a", soon)]
        assert scheduler.now() >= soon


def test_a_wall_clock_that_jumps_is_noticed_in_both_directions(at: Stage) -> None:
    before = 20 - time.time() % 60
    at.world.jobs = [job(schedule="0 * * * *", last_due=time.time() + before)]
    with shifted(at, before) as scheduler:
        at.client.ask(RunPass())
        scheduler.shift += 7200  # the machine slept for two hours
        at.wait_for(lambda: len(at.world.fired) == 1, "the newest missed hour is fired")
        ((_, _, due),) = at.world.fired
        assert due == scheduler.now() // 3600 * 3600
        scheduler.shift -= 3600  # the clock is put right
        at.client.ask(RunPass())
        scheduler.shift += 7200
        at.wait_for(lambda: len(at.world.fired) == 2, "the hours after that are fired")
    assert len(at.world.firings) == 2


def test_a_pass_on_demand_tells_what_it_fired(at: Stage) -> None:
    at.start("scheduler")
    at.world.jobs = [job("one"), job("two")]
    fired = at.client.ask(RunPass()).fired
    assert [name for name, *_ in fired] == ["one", "two"]
    assert {task for _, _, task, _ in fired} == {"int-1", "int-2"}
    assert at.client.ask(RunPass()).fired == () or time.time() % 60 < 5


def test_bad_jobs_are_told_in_the_log_and_disturb_no_other(at: Stage) -> None:
    at.world.jobs = [
        job("reboot", schedule="@reboot"),
        job("never", schedule="0 0 31 2 *"),
        job("nowhere", timezone="Mars/Olympus"),
        job("refused"),
        job("good"),
    ]
    at.world.refuses = {"refused"}
    at.start("scheduler")
    at.wait_for(lambda: at.world.fired, "the good one is fired")
    assert {name for _, name, _ in at.world.fired} == {"good"}
    log = at.home.log("scheduler").read_text()
    for name in ("reboot", "never", "nowhere", "refused"):
        assert name in log
    firings = len(at.world.firings)
    at.client.ask(RunPass())
    assert len(at.world.firings) == firings or time.time() % 60 < 5


def test_two_schedulers_at_once_make_one_task_of_each_time(at: Stage) -> None:
    at.world.jobs = [job(f"job-{number}") for number in range(20)]
    at.start("scheduler")
    at.start("scheduler", "scheduler2")
    at.wait_for(lambda: len(at.world.firings) >= 40, "both have fired all")
    times = {due for _, _, due in at.world.fired}
    assert len(at.world.fired) == 20 * len(times)


def test_killed_between_computing_and_firing_it_fires_after_its_restart(at: Stage) -> None:
    at.stop_engine()
    process = at.start("scheduler")
    at.world.jobs = [job()]

    def killed(_request: FireJob) -> None:
        at.world.on_fire = lambda _request: None
        os.kill(process.pid, signal.SIGKILL)
        raise Unavailable("not now")

    at.world.on_fire = killed
    at.start_engine()
    process.wait(20)
    at.processes.pop("scheduler")
    assert at.world.fired == {}
    at.start("scheduler")
    at.wait_for(lambda: len(at.world.fired) == 1, "the time is fired after all")


def test_killed_between_firing_and_hearing_of_it_it_makes_no_second_task(at: Stage) -> None:
    at.stop_engine()
    process = at.start("scheduler")
    at.world.jobs = [job()]

    def killed(_request: FireJob) -> None:
        at.world.on_fire = lambda _request: None
        os.kill(process.pid, signal.SIGKILL)

    at.world.on_fire = killed
    at.start_engine()
    process.wait(20)
    at.processes.pop("scheduler")
    at.start("scheduler")
    at.wait_for(lambda: len(at.world.firings) >= 2, "the time is fired again")
    assert len(at.world.fired) == len({due for _, _, due in at.world.fired})


def test_an_engine_that_is_away_is_waited_for(at: Stage) -> None:
    at.stop_engine()
    at.world.jobs = [job()]
    at.start("scheduler")
    assert at.client.ask(Ping(), to="scheduler").name == "scheduler"
    at.start_engine()
    at.wait_for(lambda: at.world.fired, "the job is fired")


def test_a_time_that_the_engine_could_not_write_down_stays_due(at: Stage) -> None:
    full = iter([True, True])

    def disk_full(_request: FireJob) -> None:
        if next(full, False):
            raise Unknown("the database cannot be written")

    at.world.on_fire = disk_full
    at.world.jobs = [job()]
    at.start("scheduler")
    at.wait_for(lambda: at.world.fired, "the job is fired after all")
    assert len(at.world.firings) == 3


def test_a_job_whose_firing_gets_no_answer_does_not_keep_others_waiting(at: Stage) -> None:
    def no_answer(request: FireJob) -> None:
        if request.id == "deadly":
            raise Unavailable("not now")

    at.world.on_fire = no_answer
    at.world.jobs = [job("deadly"), job("good")]
    at.start("scheduler")
    at.wait_for(lambda: at.world.fired, "the other one is fired")
    assert {name for _, name, _ in at.world.fired} == {"good"}


def test_the_machines_own_zone_holds_for_jobs_that_name_none(
    at: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    noon = datetime.datetime.now(zone).replace(minute=0, second=0, microsecond=0)
    at.world.jobs = [job(timezone="", schedule=f"0 {noon.hour} * * *", ago=7200.0)]
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    at.start("scheduler")
    at.wait_for(lambda: at.world.fired, "the job is fired")
    assert [due for _, _, due in at.world.fired] == [noon.timestamp()]


def test_its_home_is_left_as_it_was(at: Stage) -> None:
    at.start("scheduler")
    assert isinstance(at.home, Home)
    written = {path.name for path in at.home.root.iterdir()}
    assert written <= {"run", "logs", "state", "worktrees", "run.path"}
