"""What is owed after a pause, at first sight, after an edit, and with bad neighbours."""

from __future__ import annotations

import random

import msgspec
import pytest

from orch.core.schedule import Agenda, due, key, newest, next_due
from orch.model import Job

NOON = 1_790_000_000 - 1_790_000_000 % 86_400 + 43_200
HOUR, DAY = 3600, 86_400


def job(name: str = "a", schedule: str = "0 * * * *", **more: object) -> Job:
    return Job(id=name, project="", schedule=schedule, timezone="UTC", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schedule", "catch_up", "last", "expected"),
    [
        ("0 * * * *", "once", NOON - 1, [NOON]),
        ("0 * * * *", "once", NOON, []),
        ("0 * * * *", "once", NOON - 5 * HOUR, [NOON]),
        ("* * * * *", "once", NOON - 5 * DAY, [NOON]),
        ("0 13 * * *", "once", NOON - 30 * HOUR, [NOON - 23 * HOUR]),
        ("0 13 * * *", "once", NOON - 30 * DAY, [NOON - 23 * HOUR]),
        ("0 13 * * *", "none", NOON - 30 * HOUR, []),
        ("0 0 1 1 *", "once", NOON - 400 * DAY, []),
        ("0 * * * *", "none", NOON - 5 * HOUR, [NOON]),
        ("0 * * * *", "once", NOON + HOUR, []),
    ],
)
def test_of_the_times_missed_only_the_newest_of_a_day_is_caught_up(
    schedule: str, catch_up: str, last: float, expected: list[float]
) -> None:
    one = job(schedule=schedule, catch_up=catch_up)
    assert [at for _, at in due([one], {key(one): last}, NOON + 5)] == expected


def test_a_job_seen_for_the_first_time_owes_nothing() -> None:
    assert due([job(schedule="* * * * *")], {}, NOON) == []
    agenda = Agenda()
    agenda.load([job(schedule="* * * * *")], NOON + 1)
    assert agenda.due(NOON + 1) == []
    assert agenda.nearest() == NOON + 60


def test_a_job_that_never_ran_is_caught_up_from_when_it_was_first_seen() -> None:
    agenda = Agenda()
    agenda.load([job(seen_at=NOON - 90)], NOON + 120)
    assert [at for _, at in agenda.due(NOON + 120)] == [NOON]


def test_one_bad_line_neither_fires_nor_keeps_the_others_from_firing() -> None:
    agenda = Agenda()
    jobs = [
        job("bad", "0 0 31 2 *", last_due=NOON - DAY),
        job("worse", "nonsense", last_due=NOON - DAY),
        job("lost", "* * * * *", last_due=NOON - DAY, problem="no such project"),
        job("good", last_due=NOON - 1),
        job("off", last_due=NOON - 1, enabled=False),
    ]
    agenda.load(jobs, NOON)
    assert [fired.job.id for fired in agenda.due(NOON)] == ["good"]
    assert set(agenda.problems) == {("", "bad"), ("", "worse"), ("", "lost")}
    assert [at for _, at in due(jobs, {key(one): NOON - 1 for one in jobs}, NOON)] == [NOON]


def test_a_time_stays_due_until_it_is_settled_and_then_comes_no_more() -> None:
    agenda = Agenda()
    agenda.load([job(last_due=NOON - HOUR)], NOON - 1)
    (firing,) = agenda.due(NOON + 1)
    assert agenda.due(NOON + 2) == [firing]
    agenda.settled(firing)
    assert agenda.due(NOON + 3) == []
    agenda.load([job(last_due=NOON - HOUR)], NOON + 4)
    assert agenda.due(NOON + 5) == []
    assert agenda.nearest() == NOON + HOUR


def test_a_late_time_of_a_job_without_catch_up_is_passed_over_for_good() -> None:
    agenda = Agenda()
    agenda.load([job(last_due=NOON - HOUR, catch_up="none")], NOON - 1)
    assert agenda.due(NOON + 600) == []
    assert agenda.nearest() == NOON + HOUR


def test_a_changed_line_owes_nothing_of_its_past() -> None:
    agenda = Agenda()
    agenda.load([job(schedule="0 13 * * *", last_due=NOON - DAY)], NOON + 10)
    agenda.load([job(schedule="0 * * * *", last_due=NOON - DAY)], NOON + 20)
    assert agenda.due(NOON + 20) == []
    assert agenda.nearest() == NOON + HOUR


def test_a_removed_job_is_forgotten() -> None:
    agenda = Agenda()
    agenda.load([job(last_due=NOON - 1)], NOON)
    (firing,) = agenda.due(NOON)
    agenda.load([], NOON)
    agenda.settled(firing)
    assert agenda.due(NOON + DAY) == []
    assert agenda.nearest() is None


def test_a_clock_once_wrong_by_years_silences_no_job() -> None:
    agenda = Agenda()
    agenda.load([job(last_due=NOON + 3650 * DAY)], NOON + 5)
    assert agenda.nearest() == NOON + HOUR
    agenda.load([job(last_due=NOON + 3650 * DAY)], NOON + HOUR - 1)
    assert [at for _, at in agenda.due(NOON + HOUR)] == [NOON + HOUR]


def test_a_clock_set_back_does_not_silence_a_job_until_it_has_caught_up() -> None:
    agenda = Agenda()
    agenda.load([job(last_due=NOON)], NOON + 10)
    assert agenda.due(NOON - 3 * HOUR - 600) == []
    assert agenda.nearest() == NOON - 3 * HOUR
    (fired,) = agenda.due(NOON - 3 * HOUR)
    assert fired.at == NOON - 3 * HOUR


class Clock:
    """A machine whose clock is wrong now and then, an engine that fires a time once, and a
    scheduler that dies now and then."""

    def __init__(self, jobs: list[Job], chance: random.Random) -> None:
        self.jobs, self.chance = jobs, chance
        self.began = self.now = float(NOON)
        self.fired: list[tuple[str, float]] = []
        self.agenda = Agenda()
        self.agenda.load(self.known(), self.now)

    def known(self) -> list[Job]:
        return [
            msgspec.structs.replace(
                one,
                seen_at=self.began,
                last_due=max((at for name, at in self.fired if name == one.id), default=None),
            )
            for one in self.jobs
        ]

    def step(self) -> None:
        """Time passes, is suspended, or jumps; then the scheduler looks."""
        jump = self.chance.choice(["on"] * 12 + ["suspend", "forward", "back", "restart", "reload"])
        self.now += self.chance.uniform(1, 40)
        if jump in ("suspend", "forward"):
            self.now += self.chance.uniform(60, 20 * HOUR)
        if jump == "back":
            self.now -= self.chance.uniform(1, 6 * HOUR)
        if jump == "restart":
            self.agenda = Agenda()
        if jump in ("restart", "reload"):
            self.agenda.load(self.known(), self.now)
        for firing in self.agenda.due(self.now):
            if (firing.job.id, firing.at) not in self.fired:
                self.fired.append((firing.job.id, firing.at))
            self.agenda.settled(firing)


@pytest.mark.parametrize("seed", range(3))
def test_a_clock_that_jumps_fires_nothing_twice_and_misses_nothing_that_catch_up_covers(
    seed: int,
) -> None:
    jobs = [job("minute", "* * * * *"), job("hour", "17 * * * *"), job("day", "30 13 * * *")]
    clock = Clock(jobs, random.Random(seed))
    for _ in range(200):
        before = clock.now
        clock.step()
        for one in jobs:
            at = newest(one, max(before, clock.now - DAY), clock.now)
            assert at is None or (one.id, at) in clock.fired, (seed, one.id, at, clock.now)
    assert len(clock.fired) == len(set(clock.fired)) > 100
    for name, at in clock.fired:
        assert next_due(next(one for one in jobs if one.id == name), at - 1) == at
