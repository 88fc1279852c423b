"""When jobs are due: cron lines over time zones and clock changes, and what to catch up.

As in Debian's cron(8): a line that names its minutes and hours is meant on the wall clock: in the
spring gap it is due at the moment of the change, in the autumn it is due in the first of the two
hours only. A line whose minute or hour field begins with `*` is meant in real time: it is due in
both of the two hours, and not at all in the gap. Day of month and day of week are joined by OR
when both are restricted (POSIX, crontab(5)); a field that begins with `*` restricts nothing by
itself, so `*/2` is joined by AND.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from orch.errors import Malformed
from orch.model import Job

WINDOW = 86_400.0
"""Seconds back in which a missed time is still caught up."""

PROMPT = 60.0
"""Seconds of lateness that count as on time, for a job that catches nothing up."""

SPANS = (120.0, 1800.0, 6 * 3600.0, WINDOW)
"""How far back, step by step, the newest missed time is looked for."""

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

Offset = Callable[[int], int]
Key = tuple[str, str]


class Firing(NamedTuple):
    """A job and the time (seconds since the epoch) for which it is due."""

    job: Job
    at: float


def key(job: Job) -> Key:
    """What names a job among all projects."""
    return job.project, job.id


@lru_cache(maxsize=4096)
def problem(schedule: str, timezone: str = "") -> str:
    """Why the schedule (or the time zone) cannot be used; '' when it can."""
    try:
        next_time(schedule, timezone, 0.0)
    except Malformed as error:
        return error.message
    return ""


def next_due(job: Job, after: float) -> float:
    """The job's first time later than `after`, in seconds since the epoch; raises `Malformed`."""
    return next_time(job.schedule, job.timezone, after)


def next_time(schedule: str, timezone: str, after: float) -> float:
    """The schedule's first time later than `after`; an empty zone is the machine's."""
    line = _read(schedule)
    offset = _offset(timezone)
    minute, hour, *_ = line.split()
    find = _in_real_time if minute[0] == "*" or hour[0] == "*" else _on_the_wall
    return float(find(line, offset, int(after // 1)))


def due(jobs: Iterable[Job], last: Mapping[Key, float], now: float) -> list[Firing]:
    """What to fire at `now`, oldest first: of each job at most the newest time since `last`.

    `last` holds for each job the time up to which its times are dealt with; a job without one is
    seen for the first time, and nothing that lies before is owed. Times older than `WINDOW` are
    gone; so are late ones of a job whose `catch_up` is `none`. Bad jobs are passed over.
    """
    firings = []
    for job in jobs:
        since = last.get(key(job))
        if not job.enabled or job.problem or since is None or since > now:
            continue
        try:
            at = newest(job, since, now)
        except Malformed:
            continue
        if at is not None and (job.catch_up != "none" or now - at <= PROMPT):
            firings.append(Firing(job, at))
    return sorted(firings, key=lambda firing: firing.at)


def newest(job: Job, since: float, now: float) -> float | None:
    """The job's newest time after `since` up to `now`, at most `WINDOW` old; None without one."""
    for span in SPANS:
        start = max(since, now - span)
        at = next_due(job, start)
        if at <= now:
            while (later := next_due(job, at)) <= now:
                at = later
            return at
        if start == since:
            return None
    return None


class Agenda:
    """The next time of every job, worked out once; asking what is due is then a comparison."""

    def __init__(self) -> None:
        self._dealt: dict[tuple[Key, str, str], float] = {}
        self._next: dict[Key, float] = {}
        self._jobs: dict[Key, Job] = {}
        self.problems: dict[Key, str] = {}

    def load(self, jobs: Iterable[Job], now: float) -> None:
        """Take over the jobs as they are now; an unchanged one keeps what is dealt with."""
        dealt: dict[tuple[Key, str, str], float] = {}
        before, self._jobs = self._jobs, {key(job): job for job in jobs}
        self._next = {}
        self.problems = {}
        for name, job in self._jobs.items():
            line = (name, job.schedule, job.timezone)
            edited = name in before and line not in self._dealt
            dealt[line] = known_until(job, now if edited else self._dealt.get(line), now)
        self._dealt = dealt
        for name in self._jobs:
            self._plan(name)

    def due(self, now: float) -> list[Firing]:
        """What to fire at `now`; a time stays due until it is `settled`.

        When the clock was set back, what comes is planned again: that a time of it was fired
        already is known to the engine, which fires it no second time.
        """
        for line in [line for line, until in self._dealt.items() if until > now]:
            self._dealt[line] = now
            self._plan(line[0])
        ripe = [name for name, at in self._next.items() if at <= now]
        if not ripe:
            return []
        firings = due([self._jobs[name] for name in ripe], self._last(), now)
        owed = {key(firing.job) for firing in firings}
        for name in ripe:
            if name not in owed:
                self._settle(name, now)
        return firings

    def settled(self, firing: Firing) -> None:
        """This time, and all before it, is dealt with."""
        self._settle(key(firing.job), firing.at)

    def nearest(self) -> float | None:
        """The time of the next firing of all; None when nothing is planned."""
        return min(self._next.values(), default=None)

    def _last(self) -> dict[Key, float]:
        return {line[0]: until for line, until in self._dealt.items()}

    def _settle(self, name: Key, until: float) -> None:
        job = self._jobs.get(name)
        if job is None:
            return
        line = (name, job.schedule, job.timezone)
        self._dealt[line] = max(until, self._dealt[line])
        self._plan(name)

    def _plan(self, name: Key) -> None:
        job = self._jobs[name]
        self._next.pop(name, None)
        wrong = job.problem or problem(job.schedule, job.timezone)
        if wrong:
            self.problems[name] = wrong
        elif job.enabled:
            until = self._dealt[(name, job.schedule, job.timezone)]
            self._next[name] = next_due(job, until)


def known_until(job: Job, dealt: float | None, now: float) -> float:
    """The time up to which a job's times are dealt with: what this process knows, what the engine
    knows, or, at first sight, now. What lies ahead comes from a clock that has been set back."""
    told = (dealt, job.last_due, job.seen_at)
    return max((at for at in told if at is not None and at <= now), default=now)


def _read(schedule: str) -> str:
    """The line as five fields; raises `Malformed`."""
    line = " ".join(schedule.split()).lower()
    if line == "@reboot":
        raise Malformed("'@reboot' is not a time: a job needs times that come by the clock")
    line = NICKNAMES.get(line, line)
    if line.startswith("@"):
        raise Malformed(f"{schedule!r} is not known: say one of {', '.join(NICKNAMES)}")
    fields = line.split()
    if len(fields) != 5:
        raise Malformed(
            f"{schedule!r} has {len(fields)} fields, not 5: minute hour day month weekday"
        )
    for field in fields:
        if re.search(r"(^|,)[hr](\(|/|,|$)", field):
            raise Malformed(f"{field!r} in {schedule!r} is chosen at random: name a time")
    from croniter import CroniterError, croniter  # noqa: PLC0415 - slow to import

    try:
        croniter.expand(line)
    except (CroniterError, ValueError) as error:
        raise Malformed(f"{schedule!r} is no cron line: {error}") from None
    return line


def _offset(timezone: str) -> Offset:
    """A zone as a function: seconds since the epoch to seconds east of Greenwich."""
    if not timezone:
        return _machine_offset
    zone = _zone(timezone)

    def offset(at: int) -> int:
        shift = datetime.fromtimestamp(at, zone).utcoffset()
        return round(shift.total_seconds()) if shift else 0

    return offset


@lru_cache(maxsize=64)
def _zone(timezone: str) -> ZoneInfo:
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise Malformed(f"time zone {timezone!r} is not known: say it like Europe/Berlin") from None


def _machine_offset(at: int) -> int:
    shift = datetime.fromtimestamp(at, UTC).astimezone().utcoffset()
    return round(shift.total_seconds()) if shift else 0


def _next_wall(line: str, wall: int) -> int:
    """The next match on a clock without zones, later than `wall`; raises `Malformed`."""
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415 - slow to import

    try:
        days = line.split()[2::2]
        either = not any(field.startswith("*") for field in days)
        return round(croniter(line, float(wall), day_or=either).get_next(float))
    except CroniterBadDateError:
        raise Malformed(f"{line!r} never comes") from None


def _in_real_time(line: str, offset: Offset, after: int) -> int:
    """Every moment whose wall time matches, hours that come twice included."""
    shift = offset(after)
    wall = _next_wall(line, after + shift)
    while True:
        at = wall - shift
        if offset(at) == shift:
            return at
        after = _change(offset, after, at)
        shift = offset(after)
        wall = _next_wall(line, after + shift - 1)


def _on_the_wall(line: str, offset: Offset, after: int) -> int:
    """Every matching wall time once, on each day that has it or skips over it."""
    wall = after + offset(after)
    while True:
        wall = _next_wall(line, wall)
        at = _moment(offset, wall)
        if at > after:
            return at


def _moment(offset: Offset, wall: int) -> int:
    """When a wall time is: the first time it comes, or the change of clocks that skips it."""
    shifts = {offset(wall - 86_400), offset(wall + 86_400)}
    moments = [wall - shift for shift in shifts]
    real = [at for at in moments if wall - at == offset(at)]
    if real:
        return min(real)
    return _change(offset, min(moments), max(moments))


def _change(offset: Offset, before: int, after: int) -> int:
    """The first second of another offset than `before` has; `after` must have another one."""
    shift = offset(before)
    while after - before > 1:
        middle = (before + after) // 2
        if offset(middle) == shift:
            before = middle
        else:
            after = middle
    return after
