"""Cron lines: fields as POSIX has them, clock changes, and the reasons given for bad ones."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orch.core.schedule import next_due, next_time, problem
from orch.errors import Malformed
from orch.model import Job

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def times(line: str, zone: str, start: str, count: int) -> list[str]:
    """The next times as `MM-DDTHH:MM+offset`, the year dropped."""
    place = ZoneInfo(zone)
    at = datetime.fromisoformat(start).replace(tzinfo=place).timestamp()
    found = []
    for _ in range(count):
        at = next_time(line, zone, at)
        found.append(datetime.fromtimestamp(at, place).isoformat(timespec="minutes")[5:])
    return found


@pytest.mark.parametrize(
    ("line", "zone", "start", "expected"),
    [
        (
            "30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            ["03-29T03:00+02:00", "03-30T02:30+02:00"],
        ),
        (
            "0,30 2 * * *",
            BERLIN,
            "2026-03-28T12:00",
            ["03-29T03:00+02:00", "03-30T02:00+02:00", "03-30T02:30+02:00"],
        ),
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["10-25T02:30+02:00", "10-26T02:30+01:00"],
        ),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-03-29T01:00",
            ["03-29T01:30+01:00", "03-29T03:00+02:00", "03-29T03:30+02:00"],
        ),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-10-25T02:00",
            [
                "10-25T02:30+02:00",
                "10-25T02:00+01:00",
                "10-25T02:30+01:00",
                "10-25T03:00+01:00",
            ],
        ),
        (
            "10 * 25 10 *",
            BERLIN,
            "2026-10-25T01:50",
            ["10-25T02:10+02:00", "10-25T02:10+01:00", "10-25T03:10+01:00"],
        ),
        (
            "30 2 * * *",
            NEW_YORK,
            "2026-03-07T12:00",
            ["03-08T03:00-04:00", "03-09T02:30-04:00"],
        ),
        (
            "30 1 * * *",
            NEW_YORK,
            "2026-10-31T12:00",
            ["11-01T01:30-04:00", "11-02T01:30-05:00"],
        ),
        (
            "@hourly",
            NEW_YORK,
            "2026-11-01T00:30",
            ["11-01T01:00-04:00", "11-01T01:00-05:00", "11-01T02:00-05:00"],
        ),
        (
            "@daily",
            NEW_YORK,
            "2026-10-31T12:00",
            ["11-01T00:00-04:00", "11-02T00:00-05:00"],
        ),
    ],
)
def test_clock_changes_neither_lose_nor_repeat_a_time(
    line: str, zone: str, start: str, expected: list[str]
) -> None:
    assert times(line, zone, start, len(expected)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 4,17 * * *", ["11-23T17:00", "11-24T04:00", "11-24T17:00"]),
        ("*/7 * * * *", ["11-23T12:07", "11-23T12:14", "11-23T12:21"]),
        ("0 0 * * 0", ["11-29T00:00", "12-06T00:00"]),
        ("0 0 * * 7", ["11-29T00:00", "12-06T00:00"]),
        ("0 0 * * sun", ["11-29T00:00", "12-06T00:00"]),
        ("0 0 * * 1", ["11-30T00:00", "12-07T00:00"]),
        ("0 0 * * 5-7", ["11-27T00:00", "11-28T00:00", "11-29T00:00", "12-04T00:00"]),
        ("0 0 1,15 * MON", ["11-30T00:00", "12-01T00:00", "12-07T00:00", "12-14T00:00"]),
        ("0 0 31 * *", ["12-31T00:00", "01-31T00:00", "03-31T00:00", "05-31T00:00"]),
        ("0 0 29 FEB *", ["02-29T00:00"]),
        ("  5   6 * * *  ", ["11-24T06:05"]),
        ("@daily", ["11-24T00:00"]),
        ("@midnight", ["11-24T00:00"]),
        ("@WEEKLY", ["11-29T00:00"]),
        ("@monthly", ["12-01T00:00"]),
        ("@yearly", ["01-01T00:00"]),
        ("@annually", ["01-01T00:00"]),
    ],
)
def test_fields_mean_what_crontab_says(line: str, expected: list[str]) -> None:
    found = times(line, "UTC", "2026-11-23T12:00", len(expected))
    assert [at.removesuffix("+00:00") for at in found] == expected


def test_a_leap_day_waits_for_its_year() -> None:
    after = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert next_time("0 0 29 2 *", "UTC", after) == datetime(2028, 2, 29, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Australia/Lord_Howe", "Africa/Casablanca"])
@pytest.mark.parametrize("minute", ["0", "*/20", "15,45"])
def test_a_line_in_real_time_is_every_minute_whose_clock_matches(zone: str, minute: str) -> None:
    wanted = {"0": {0}, "*/20": {0, 20, 40}, "15,45": {15, 45}}[minute]
    place = ZoneInfo(zone)
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    changes = [
        day
        for day in range(first, first + 366 * 86_400, 86_400)
        if datetime.fromtimestamp(day, place).utcoffset()
        != datetime.fromtimestamp(day + 86_400, place).utcoffset()
    ]
    assert changes
    for day in changes:
        span = range(day - 3600, day + 27 * 3600, 60)
        expected = [at for at in span if datetime.fromtimestamp(at, place).minute in wanted]
        found = [next_time(f"{minute} * * * *", zone, span[0] - 1)]
        while (at := next_time(f"{minute} * * * *", zone, found[-1])) <= span[-1]:
            found.append(at)
        assert found == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "Australia/Lord_Howe"])
def test_a_line_that_names_its_hours_is_due_once_every_day(zone: str) -> None:
    for hour in range(5):
        line = f"30 {hour} * * *"
        at = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).timestamp()
        days = []
        for _ in range(364):
            at = next_time(line, zone, at)
            days.append(datetime.fromtimestamp(at, ZoneInfo(zone)).date().toordinal())
        assert days == list(range(days[0], days[0] + 364))


def test_the_machines_zone_is_taken_when_none_is_named() -> None:
    job = Job(id="a", project="", schedule="0 12 * * *")
    at = next_due(job, 1_790_000_000)
    assert datetime.fromtimestamp(at).strftime("%H:%M") == "12:00"


def test_the_time_asked_after_is_itself_not_due_again() -> None:
    at = next_time("*/5 * * * *", "UTC", 1_790_000_000.5)
    assert next_time("*/5 * * * *", "UTC", at) == at + 300
    assert next_time("*/5 * * * *", "UTC", at - 0.001) == at


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("@reboot", "not a time"),
        ("@fortnightly", "not known"),
        ("", "0 fields"),
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("61 * * * *", "out of range"),
        ("0 24 * * *", "out of range"),
        ("0 0 * * 8", "out of range"),
        ("*/0 * * * *", "no cron line"),
        ("a b c d e", "no cron line"),
        ("H * * * *", "at random"),
        ("R(0-5) * * * *", "at random"),
        ("0 0 31 2 *", "never comes"),
        ("\x00 * * * *", "no cron line"),
    ],
)
def test_a_bad_line_is_refused_with_its_reason(line: str, reason: str) -> None:
    assert reason in problem(line)
    with pytest.raises(Malformed, match=reason):
        next_time(line, "UTC", 0.0)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "Europe", "\x00", "/etc"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    assert "time zone" in problem("@daily", zone)


@pytest.mark.parametrize(
    "line", ["0 0 * MAR FRI", "0 0 * * fri", "@daily", "*/15 9-17 * * mon-fri"]
)
def test_a_good_line_has_no_problem(line: str) -> None:
    assert problem(line, BERLIN) == ""
