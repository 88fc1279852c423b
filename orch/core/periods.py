"""Spans of time as people name them, in a time zone: days begin at its midnight, also when the
clocks change."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo

from orch.errors import Malformed

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_FORMS = "write it like 90m, 24h, 7d, 2w, today, yesterday or 2026-11-25"
_LONGEST_DAYS = 36_500


def day_start(at: float, zone: tzinfo, back: int = 0) -> float:
    """When the day of `at` began (epoch seconds), or the day so many days `back` from it."""
    return _midnight(_date(at, zone) - timedelta(days=back), zone)


def day_end(at: float, zone: tzinfo) -> float:
    """When the day of `at` ends: the next one's midnight."""
    return _midnight(_date(at, zone) + timedelta(days=1), zone)


def day_of(at: float, zone: tzinfo) -> str:
    """The date of a moment, as `2026-11-25`."""
    return _date(at, zone).isoformat()


def since(text: str, now: float, zone: tzinfo) -> float:
    """When a span begins (epoch seconds): minutes and hours are counted back from now (`24h`), days
    and weeks are whole days, today the last of them (`7d`); a date begins at its midnight.

    Raises `Malformed`.
    """
    word = text.strip().lower()
    if word in ("today", "yesterday"):
        return day_start(now, zone, back=int(word == "yesterday"))
    if found := _SPAN.fullmatch(word):
        count, unit = int(found[1]), found[2]
        if unit in "mh":
            return now - count * (60 if unit == "m" else 3600)
        days = count * (7 if unit == "w" else 1)
        if not 1 <= days <= _LONGEST_DAYS:
            raise Malformed(f"{text!r}: from 1 day to {_LONGEST_DAYS} days", _FORMS)
        return day_start(now, zone, back=days - 1)
    try:
        given = datetime.fromisoformat(word.replace("z", "+00:00") if "t" in word else word)
    except ValueError:
        raise Malformed(f"{text!r} names no time", _FORMS) from None
    at = (given if given.tzinfo else given.replace(tzinfo=zone)).timestamp()
    if at > now:
        raise Malformed(f"{text!r} is in the future", _FORMS)
    return at


def _date(at: float, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


def _midnight(day: date, zone: tzinfo) -> float:
    return datetime.combine(day, time(), tzinfo=zone).timestamp()
