"""Every kind of cron line, beside an independent library: ten years of the rare ones, and the days
around each clock change of the dense ones (ten years of those: `tests/faults`)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.support.cron_lines import BERLIN, DENSE, NEW_YORK, RARE, at, ours, theirs

DAY = 86_400.0
FIRST, LAST = at("2026-01-01T00:00"), at("2036-01-01T00:00")


def changes(zone: str, first: float, last: float) -> list[float]:
    """The days on which the zone's clocks change."""
    place = ZoneInfo(zone)
    days = [first + n * DAY for n in range(int((last - first) / DAY))]
    offsets = [datetime.fromtimestamp(day, place).utcoffset() for day in days]
    return [
        day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other
    ]


@pytest.mark.parametrize("line", RARE)
def test_ten_years_of_a_rare_line_are_those_of_another_library(line: str) -> None:
    expected = theirs(line, BERLIN, FIRST, LAST)
    assert ours(line, BERLIN, FIRST, LAST) == expected
    assert len(expected) >= 2


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK])
@pytest.mark.parametrize("line", DENSE)
def test_over_both_clock_changes_a_line_comes_as_another_library_has_it(
    line: str, zone: str
) -> None:
    days = changes(zone, FIRST, FIRST + 400 * DAY)
    assert len(days) == 2
    for day in days:
        expected = theirs(line, zone, day - DAY, day + 3 * DAY)
        assert ours(line, zone, day - DAY, day + 3 * DAY) == expected
