"""Periods: what `7d`, `24h` and a date mean, also when the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orch.core.periods import day_end, day_of, day_start, since
from orch.errors import Malformed

BERLIN, YORK, SANTIAGO = map(ZoneInfo, ("Europe/Berlin", "America/New_York", "America/Santiago"))
H = 3600.0


def at(text: str, zone: ZoneInfo) -> float:
    """A wall-clock time as epoch seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


NOW = at("2026-11-25T22:30:00", BERLIN)


@pytest.mark.parametrize(
    "text, begins",
    [
        ("90m", NOW - 90 * 60),
        ("24h", NOW - 24 * H),
        ("1d", at("2026-11-25T00:00:00", BERLIN)),
        ("today", at("2026-11-25T00:00:00", BERLIN)),
        ("yesterday", at("2026-11-24T00:00:00", BERLIN)),
        ("7d", at("2026-11-19T00:00:00", BERLIN)),
        ("2W", at("2026-11-12T00:00:00", BERLIN)),
        ("2026-11-01", at("2026-11-01T00:00:00", BERLIN)),
        ("2026-11-01T06:30", at("2026-11-01T06:30:00", BERLIN)),
        ("2026-11-01T06:30:00Z", datetime(2026, 11, 1, 6, 30, tzinfo=UTC).timestamp()),
    ],
)
def test_what_a_span_begins_with(text, begins):
    assert since(text, NOW, BERLIN) == begins


@pytest.mark.parametrize(
    "text", ["", "7", "d", "0d", "-1d", "7 days", "2026-13-01", "2027-01-01", "999999w", "7d7h"]
)
def test_what_is_no_span_is_refused_with_the_forms_there_are(text):
    with pytest.raises(Malformed) as refused:
        since(text, NOW, BERLIN)
    assert "24h, 7d" in refused.value.hint


@pytest.mark.parametrize(
    "moment, zone, hours",
    [
        ("2026-03-29T12:00:00", BERLIN, 23),
        ("2026-10-25T12:00:00", BERLIN, 25),
        ("2026-03-08T12:00:00", YORK, 23),
        ("2026-11-01T12:00:00", YORK, 25),
        ("2026-11-25T12:00:00", BERLIN, 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_say(moment, zone, hours):
    now = at(moment, zone)
    assert day_end(now, zone) - day_start(now, zone) == hours * H
    assert day_of(day_start(now, zone), zone) == moment[:10]
    assert day_of(day_end(now, zone) - 1, zone) == moment[:10]


def test_days_back_over_a_change_of_the_clocks_begin_at_midnight():
    now = at("2026-10-27T09:00:00", BERLIN)
    assert since("7d", now, BERLIN) == at("2026-10-21T00:00:00", BERLIN)


def test_a_midnight_that_the_clocks_leave_out_is_still_the_days_beginning():
    now = at("2026-09-06T12:00:00", SANTIAGO)  # there is no 00:00 on that day
    start = day_start(now, SANTIAGO)
    assert day_of(start, SANTIAGO) == "2026-09-06"
    assert day_of(start - 1, SANTIAGO) == "2026-09-05"
    assert day_end(now, SANTIAGO) - start == 23 * H
