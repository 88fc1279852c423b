"""Ten years of every kind of cron line in several time zones, beside an independent library."""

from __future__ import annotations

import pytest

from tests.support.cron_lines import BERLIN, DENSE, NEW_YORK, RARE, at, ours, theirs

ZONES = (BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("line", (*RARE, *DENSE))
def test_ten_years_are_those_of_another_library(line: str, zone: str) -> None:
    start, end = at("2026-01-01T00:00"), at("2036-01-01T00:00")
    expected = theirs(line, zone, start, end)
    assert ours(line, zone, start, end) == expected
