"""Cron lines of every kind, and their times as another library (cronsim) works them out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from orch.core.schedule import NICKNAMES, next_time

RARE = (
    "0 0 31 * *",
    "0 0 29 2 *",
    "0 0 29 FEB *",
    "0 0 30 2,4 *",
    "0 0 31 4,6,9,11,12 *",
    "0 0 28-31 2 *",
    "0 0 L * *",
    "59 23 31 12 *",
    "0 0 */31 * *",
    "0 0 * * 0",
    "0 0 * * 7",
    "0 0 * * sun",
    "0 0 * * 0,7",
    "0 0 * * 1#2",
    "0 0 1,15 * MON",
    "0 0 13 * 5",
    "0 12 30-31 * 2",
    "0 0 */2 * 1",
    "0 0 1 * */2",
    "0 3 * 3,10,11 0",
    "30 2 * mar,nov sun",
    "0 2 8-14 3 *",
    "@weekly",
    "@monthly",
    "@yearly",
)
"""Lines that come seldom enough for ten years of them to be looked at quickly."""

DENSE = (
    "*/7 * * * *",
    "*/30 * * * *",
    "0 * * * *",
    "*/30 2 * * *",
    "*/15 0-3 * * *",
    "1-59/2 2 * * *",
    "7 1/5 * * *",
    "0 */5 * * *",
    "15 */7 * * *",
    "10 * 25 10 *",
    "5/20 3 * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0,30 2 * * *",
    "0 1,2,3 * * *",
    "0 0 * * 5-7",
    "0 0 * * 6-7",
    "0 0 1-7 * 1",
    "0 0 * * */5",
    "0 9-17/3 * * mon-fri",
    "@hourly",
    "@daily",
)

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def at(text: str, zone: str = "UTC") -> float:
    """A local time as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def theirs(line: str, zone: str, start: float, end: float) -> list[float]:
    """The line's times after `start` up to `end` by cronsim, two on one moment as one."""
    place = UTC if zone == "UTC" else ZoneInfo(zone)
    written = NICKNAMES.get(line, line)
    return list(dict.fromkeys(_until(CronSim(written, datetime.fromtimestamp(start, place)), end)))


def ours(line: str, zone: str, start: float, end: float) -> list[float]:
    """The same by what orch fires jobs by."""
    found = []
    while (start := next_time(line, zone, start)) <= end:
        found.append(start)
    return found


def _until(times: Iterator[datetime], end: float) -> Iterator[float]:
    for one in times:
        if one.timestamp() > end:
            return
        yield one.timestamp()
