"""`orch cron`: a cron line by itself, for scripts and for people who want to be sure."""

from __future__ import annotations

import time
from datetime import datetime

import click

from orch.cli import show
from orch.cli.app import App
from orch.cli.tail import parse_duration
from orch.core.schedule import next_time
from orch.errors import Malformed

MOST = 2000
"""How many past times are looked through."""


@click.command()
@click.argument("expr")
@click.option("--since", default="", metavar="TIME|DURATION", help="Times since then, up to now.")
@click.option("--timezone", default="", help="Like Europe/Berlin; else the machine's.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, help="How many times.")
@click.pass_obj
def cron(app: App, expr: str, since: str, timezone: str, count: int) -> int:
    """Show when a cron line comes next; with --since, when it came.

    With --since the newest times up to now are shown, oldest first, and the exit code is 1 when
    there was none: a script can ask whether something was due. T is a duration (90s, 2h, 1d), a
    time (2026-03-29T02:30, with Z or an offset if it is not local), or seconds since the epoch.

    \b
    Example:
      orch cron "0 4,17 * * 1-5" --timezone Europe/Berlin
      orch cron @daily --since 36h && echo "it was due"
    """
    now = time.time()
    found = _past(expr, timezone, _moment(since, now), now) if since else []
    if since:
        found = found[-count:]
    else:
        at = now
        for _ in range(count):
            at = next_time(expr, timezone, at)
            found.append(at)
    if app.json:
        show.json({"schedule": expr, "timezone": timezone, "times": list(map(show.rfc3339, found))})
    else:
        for at in found:
            word = show.ago(at, now) + " ago" if since else f"in {show.duration(at - now)}"
            show.line(f"{show.moment(at)}  {show.rfc3339(at)}  {word}")
    if since and not found and not app.json:
        show.note(f"it did not come since {show.moment(_moment(since, now))}")
    return 1 if since and not found else 0


def _past(expr: str, timezone: str, since: float, now: float) -> list[float]:
    """The times after `since` up to `now`; of very many the last."""
    at = next_time(expr, timezone, since)
    found: list[float] = []
    while at <= now:
        found.append(at)
        if len(found) > MOST:
            raise Malformed(f"it came more than {MOST} times since then", "ask for less")
        at = next_time(expr, timezone, at)
    return found


def _moment(text: str, now: float) -> float:
    """Seconds since the epoch of a time or of a duration before now; raises `Malformed`."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        pass
    try:
        return now - parse_duration(text)
    except Malformed:
        raise Malformed(
            f"{text!r} is no time", "write 2h, 2026-03-29T02:30Z, or seconds since the epoch"
        ) from None
