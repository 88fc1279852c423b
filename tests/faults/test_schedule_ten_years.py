"""Ten years of every kind of cron line in several time zones, beside an independent library."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.cron_lines import BERLIN, DENSE, NEW_YORK, RARE, at, ours, theirs

ZONES = (BERLIN, NEW_YORK, "UTC", "America/St_Johns", "Africa/Casablanca", "Asia/Kolkata")
"""Not Lord Howe, whose clocks change by half an hour: cronsim then misses whole hours. There the
unit tests look at every minute instead."""

DAY = 86_400.0
FIRST, LAST = at("2026-01-01T00:00"), at("2036-01-01T00:00")
MOST = 5000
"""Times of one line that are looked at one after the other: of those that come every few minutes
the days that matter are, over all ten years."""


def special(zone: str) -> list[tuple[float, float]]:
    """The days around each clock change, each end of February and each turn of the year."""
    place, spans = ZoneInfo(zone), []
    for number in range(int((LAST - FIRST) / DAY)):
        day = FIRST + number * DAY
        here, there = (datetime.fromtimestamp(one, place) for one in (day, day + DAY))
        ends = (here.month, here.day) in ((2, 28), (12, 31))
        if ends or here.utcoffset() != there.utcoffset():
            spans.append((day - DAY, min(day + 2 * DAY, LAST)))
    return spans


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", (*RARE, *DENSE))
def test_ten_years_are_those_of_another_library(line: str, zone: str) -> None:
    in_a_year = len(theirs(line, zone, FIRST, FIRST + 365 * DAY))
    spans = [(FIRST, LAST)] if in_a_year * 10 <= MOST else special(zone)
    for start, end in spans:
        assert ours(line, zone, start, end) == theirs(line, zone, start, end)
