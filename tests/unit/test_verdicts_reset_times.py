"""When a limit is over, as vendors say it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orch.agents import reset_times

NOW = datetime(2026, 11, 22, 10, 41, 49, tzinfo=UTC).timestamp()
BERLIN = ZoneInfo("Europe/Berlin")


def utc(seconds):
    """The instant as text, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


@pytest.mark.parametrize(
    ("message", "at"),
    [
        ("purchase more credits or try again at 1:31 PM.", "2026-11-22T13:31:00"),
        ("You've hit your session limit · resets 1:31pm (UTC)", "2026-11-22T13:31:00"),
        ("You've hit your limit · resets 3pm (Europe/Berlin)", "2026-11-22T14:00:00"),
        ("Your limit resets at 9am", "2026-11-23T09:00:00"),
        ("resets Nov 25 at 5am (UTC)", "2026-11-25T05:00:00"),
        ("try again at Nov 25th, 2026 1:31 PM.", "2026-11-25T13:31:00"),
        ("resets Jan 2, 5pm (UTC)", "2027-01-02T17:00:00"),
        ("resets Mon 3:00 PM", "2026-11-23T15:00:00"),
        ("You will regain access on 2026-12-01 at 00:00 UTC.", "2026-12-01T00:00:00"),
        ("Claude AI usage limit reached|1795354297", "2026-11-22T13:31:37"),
        ("Please try again in 1.5s.", "2026-11-22T10:41:50"),
        ("Please retry in 34.07s", "2026-11-22T10:42:23"),
        ("try again in 2 days 3 hours and 5 minutes.", "2026-11-24T13:46:49"),
        ("quota will reset after 3h12m5s", "2026-11-22T13:53:54"),
        ("Please try again in 250ms.", "2026-11-22T10:41:49"),
        ("resets 12am (UTC)", "2026-11-23T00:00:00"),
        ("resets 12pm (UTC)", "2026-11-22T12:00:00"),
        ("resets 10:40am (UTC)", "2026-11-22T10:40:00"),
    ],
)
def test_a_stated_reset_time_is_understood(message, at):
    assert utc(reset_times.said(message, NOW, UTC)) == at


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit reached: Limit 30000, Used 29000, Requested 2000.",
        "try again later",
        "it resets 3 counters",
        "try again at 25:99 PM",
        "resets Feb 31 at 5am",
        "see line 13:31 of the log",
        "resets 13pm",
        "try again in 99999999999999 days",
        "limit reached|99",
        "",
    ],
)
def test_what_states_no_time_gives_none(message):
    assert reset_times.said(message, NOW, UTC) is None


def test_a_clock_time_is_one_of_the_machines_zone():
    assert utc(reset_times.said("try again at 1:31 PM", NOW, BERLIN)) == "2026-11-22T12:31:00"


def test_a_zone_that_nobody_knows_is_taken_for_the_machines():
    said = reset_times.said("resets 1:31pm (Mars/Olympus)", NOW, BERLIN)
    assert utc(said) == "2026-11-22T12:31:00"


def test_the_day_after_a_clock_change_has_its_own_distance_from_utc():
    before = datetime(2026, 10, 24, 20, 0, tzinfo=UTC).timestamp()
    assert utc(reset_times.said("try again at 3:30 AM", before, BERLIN)) == "2026-10-25T02:30:00"


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("2", 2.0),
        (10800, 10800.0),
        (" 1.5 ", 1.5),
        ("Sun, 22 Nov 2026 10:42:49 GMT", 60.0),
        ("Sun, 31 Feb 2026 10:42:49 GMT", None),
        ("soon", None),
        (-1, None),
        (True, None),
        (None, None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, after):
    at = reset_times.retry_after(value, NOW)
    assert (at if at is None else at - NOW) == after


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1795354297, 1795354297.0),
        (1795354297123, 1795354297.123),
        ("1795354297", 1795354297.0),
        (12, None),
        (float("nan"), None),
        (True, None),
        ("x", None),
        (10**30, None),
    ],
)
def test_an_epoch_counts_seconds_or_milliseconds(value, at):
    assert reset_times.instant(value, NOW) == at


@settings(deadline=None, database=None)
@given(st.text(max_size=80), st.sampled_from([UTC, BERLIN]))
def test_no_text_is_too_strange(tail, zone):
    for lead in ("", "try again at ", "resets ", "retry in ", "regain access on "):
        found = reset_times.said(lead + tail, NOW, zone)
        assert found is None or abs(found - NOW) <= reset_times.FARTHEST_SECONDS
