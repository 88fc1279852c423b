"""What broke in systems like this one, each test named after its line (Scheduler); those that need
an engine are in `tests/e2e/test_regressions_jobs.py`."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orch.core.schedule import Agenda, next_time, problem
from orch.model import Job

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0


def job(name: str, schedule: str, **more: object) -> Job:
    return Job(id=name, project="", schedule=schedule, timezone="UTC", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("weekday", "name"),
    [("0", "Sun"), ("7", "Sun"), ("sun", "Sun"), ("1", "Mon"), ("mon", "Mon"), ("6", "Sat")],
)
def test_sunday_is_1(weekday: str, name: str) -> None:
    at = next_time(f"0 12 * * {weekday}", "UTC", NOON)
    assert datetime.fromtimestamp(at, UTC).strftime("%a") == name


@pytest.mark.parametrize("alias", ["@daily", "@hourly", "@weekly", "@monthly", "@yearly"])
def test_daily_rejected(alias: str) -> None:
    assert problem(alias) == ""
    assert next_time(alias, "UTC", NOON) > NOON


def test_one_bad_cron_line_making_the_due_ones_fire_every_tick() -> None:
    agenda = Agenda()
    jobs = [job("bad", "61 * * * *"), job("good", "* * * * *"), job("odd", "@reboot")]
    agenda.load(jobs, NOON - 30)
    fired = []
    for tick in range(0, 180, 5):
        if tick % 60 == 0:
            agenda.load(jobs, NOON + tick)
        for firing in agenda.due(NOON + tick):
            fired.append((firing.job.id, firing.at - NOON))
            agenda.settled(firing)
    assert fired == [("good", 0.0), ("good", 60.0), ("good", 120.0)]
    assert set(agenda.problems) == {("", "bad"), ("", "odd")}


def test_null_last_run_never_caught_up() -> None:
    agenda = Agenda()
    agenda.load([job("new", "0 11 * * *", seen_at=NOON - DAY / 2, last_due=None)], NOON)
    (firing,) = agenda.due(NOON)
    assert firing.at == NOON - 3600


def test_time_zones_and_clock_changes() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at, hours = datetime(2026, 3, 27, 12, tzinfo=berlin).timestamp(), []
    for _ in range(4):
        at = next_time("0 9 * * *", "Europe/Berlin", at)
        hours.append(datetime.fromtimestamp(at, UTC).hour)
    assert hours == [8, 7, 7, 7], "nine o'clock in Berlin, in winter and in summer"
