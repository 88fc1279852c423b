"""When a vendor says that a limit is over: an instant, a clock time, or a wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

MILLISECONDS_FROM = 1e11
"""An epoch above counts milliseconds (1e11 seconds are the year 5138)."""

FARTHEST_SECONDS = 400 * 86400.0
"""Nothing resets later than that: such a time was misread."""

JUST_PAST_SECONDS = 900.0
"""A clock time so little in the past is meant (it was cut to the minute), not tomorrow's."""

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

LED = r"\b(?:try again|resets?|reset|retry|regain access|available again)\b[^\n\d|]{0,24}?"
"""The words before a time that make it a reset time."""

UNIT = (
    r"(?:ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
    r"(?![A-Za-z])"
)

WAIT = re.compile(
    rf"{LED}\b(?:in|after)\s+((?:\d+(?:\.\d+)?\s*{UNIT}(?:\s*,?\s*(?:and\s+)?)?)+)", re.I
)

PART = re.compile(rf"(\d+(?:\.\d+)?)\s*({UNIT})", re.I)

CLOCK = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::\d{2})?\s*(?P<half>[ap])?(?(half)\.?m\b\.?)"

ZONE = r"(?:\s*\(?(?P<zone>UTC|GMT|[A-Z][A-Za-z_]+/[A-Za-z0-9_/+-]+)\)?)?"

DATE = (
    r"(?:(?P<iso>\d{4}-\d{2}-\d{2})|(?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
    r"|(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?\s+"
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(?P<year>\d{4}))?)"
)

DATED = re.compile(rf"{LED}\b{DATE}(?:(?:\s*,?\s*(?:at\s+)?|T){CLOCK})?{ZONE}", re.I)

CLOCKED = re.compile(rf"{LED}\b{CLOCK}{ZONE}", re.I)

PIPED = re.compile(r"\blimit reached\|(\d{9,13})\b")
"""`… usage limit reached|1749924000` of older claude versions."""

INSTANT = re.compile(r"(\w{3}), (\d{1,2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")
"""An HTTP date (RFC 9110, 5.6.7)."""


def instant(value: Any, now: float) -> float | None:
    """An epoch in seconds or milliseconds as seconds; None for what cannot be one."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{9,13}(?:\.[0-9]{1,9})?", value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        return None
    return _sensible(value / 1000 if value > MILLISECONDS_FROM else float(value), now)


def retry_after(value: Any, now: float) -> float | None:
    """The end of a `retry-after` header: seconds or an HTTP date (RFC 9110, 10.2.3)."""
    value = value.strip() if isinstance(value, str) else value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", value):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _sensible(now + value, now) if 0 <= value < 1e12 else None
    found = INSTANT.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[3].lower() not in MONTHS:
        return None
    month = MONTHS.index(found[3].lower()) + 1
    hour, minute, second = map(int, found.group(5, 6, 7))
    try:
        at = datetime(int(found[4]), month, int(found[2]), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return _sensible(at.timestamp(), now)


def said(message: str, now: float, zone: tzinfo) -> float | None:
    """The reset time that an error message states, in seconds since the epoch; None without one.

    Clock times are of `zone` unless the message names one: `try again at 1:31 PM`,
    `resets 1:31pm (UTC)`, `regain access on 2026-12-01 at 00:00 UTC`, `try again in 1.5s`.
    """
    message = message[:4000]
    piped = PIPED.search(message)
    if piped:
        return instant(int(piped[1]), now)
    waited = WAIT.search(message)
    if waited:
        parts = PART.findall(waited[1])
        return _sensible(now + sum(float(n) * _seconds(unit) for n, unit in parts), now)
    found = DATED.search(message) or CLOCKED.search(message)
    if found is None:
        return None
    try:
        return _sensible(_moment(found.groupdict(), now, zone), now)
    except (ValueError, OverflowError, OSError):
        return None


def _seconds(unit: str) -> float:
    unit = unit.lower()
    return UNITS["ms" if unit.startswith(("ms", "mil")) else unit[0]]


def _moment(parts: dict[str, str | None], now: float, zone: tzinfo) -> float:
    """The instant of a clock time, on a date or the next time it comes; raises `ValueError`."""
    zone = _named(parts["zone"]) or zone
    today = datetime.fromtimestamp(now, zone)
    bare = not (parts.get("iso") or parts.get("month") or parts.get("weekday"))
    if bare and not (parts["half"] or parts["minute"]):
        raise ValueError("a bare number is no time")
    hour, minute = _clock(parts)
    at = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if bare:
        late = now - at.timestamp() > JUST_PAST_SECONDS
        return (at + timedelta(days=1) if late else at).timestamp()
    if parts["iso"]:
        year, month, day = map(int, parts["iso"].split("-"))
        return at.replace(year=year, month=month, day=day).timestamp()
    if parts["weekday"]:
        ahead = (WEEKDAYS.index(parts["weekday"].lower()) - today.weekday()) % 7
        at += timedelta(days=ahead)
        late = now - at.timestamp() > JUST_PAST_SECONDS
        return (at + timedelta(days=7) if late else at).timestamp()
    month = MONTHS.index(str(parts["month"]).lower()) + 1
    at = at.replace(month=month, day=int(parts["day"] or 1))
    if parts["year"]:
        return at.replace(year=int(parts["year"])).timestamp()
    late = now - at.timestamp() > 86400
    return (at.replace(year=at.year + 1) if late else at).timestamp()


def _clock(parts: dict[str, str | None]) -> tuple[int, int]:
    hour, minute = int(parts["hour"] or 0), int(parts["minute"] or 0)
    if parts["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{hour} o'clock")
        hour = hour % 12 + (12 if parts["half"].lower() == "p" else 0)
    return hour, minute


def _named(name: str | None) -> tzinfo | None:
    """The zone of a name; None for an empty or unknown one."""
    if not name:
        return None
    if name.upper() in ("UTC", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None


def _sensible(at: float, now: float) -> float | None:
    return at if abs(at - now) <= FARTHEST_SECONDS else None
