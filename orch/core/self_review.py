"""Self-review: what the attempts of the last days say should be improved, as tasks to be filed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

DAY = 86_400.0
WINDOW = 7 * DAY
"""Seconds back that are looked at."""

LEAST_RUNS = 3
LEAST_ERRORS = 2
LEAST_TASKS = 4
"""How many runs, errors or finished tasks there must be before anything is concluded."""

FAR_SLOWER = 3.0
"""Times the median that count as far slower,"""
FAR_SECONDS = 60.0
"""if they are also so many seconds more."""

MOST_FILED = 3
"""Tasks filed in any seven days."""

SHOWN = 5
"""Tasks named in a finding as examples."""

WENT_WELL = frozenset({"done", "in_review", "in_progress"})
NOT_THE_AGENTS = frozenset({"cancelled", "lost", "infrastructure"})


class Ended(NamedTuple):
    """One ended attempt of a project; times are seconds since the epoch, `seconds` it took."""

    task: str
    title: str
    complexity: str
    agent: str
    outcome: str
    error_class: str
    error: str
    ended_at: float
    seconds: float


class Finding(NamedTuple):
    """Something to improve: the title and the text of the task that asks for it."""

    title: str
    body: str


def findings(ended: Sequence[Ended], now: float) -> list[Finding]:
    """All that the attempts of the last seven days show, the gravest of each kind first."""
    ended = [one for one in ended if one.ended_at > now - WINDOW]
    return [*_failing_agents(ended, now), *_repeated_errors(ended), *_slow_tasks(ended)]


def to_file(
    found: Iterable[Finding], filed: Iterable[tuple[str, float]], now: float
) -> list[Finding]:
    """Those to file now: none whose title was ever `filed` (title, time), and so few that no
    seven days see more than `MOST_FILED`."""
    filed = list(filed)
    titles = {title for title, _ in filed}
    room = MOST_FILED - sum(at > now - WINDOW for _, at in filed)
    fresh = {one.title: one for one in found if one.title not in titles}
    return list(fresh.values())[: max(0, room)]


def _failing_agents(ended: Sequence[Ended], now: float) -> list[Finding]:
    """Agents with enough runs in 24 hours, of which fewer than half went well."""
    runs: dict[str, list[Ended]] = defaultdict(list)
    for one in ended:
        ours = one.outcome in ("closed", *NOT_THE_AGENTS) or one.error_class in NOT_THE_AGENTS
        if one.ended_at > now - DAY and not ours:
            runs[one.agent].append(one)
    found = []
    for agent, own in runs.items():
        well = sum(one.outcome in WENT_WELL for one in own)
        if len(own) >= LEAST_RUNS and 2 * well < len(own):
            title = f"Improve the success rate of the agent {agent}"
            text = f"Of its {len(own)} attempts in the last 24 hours {well} went well. The others:"
            bad = [one for one in own if one.outcome not in WENT_WELL]
            found.append((well / len(own), Finding(title, _with_examples(text, bad))))
    return [finding for _, finding in sorted(found)]


def _repeated_errors(ended: Sequence[Ended]) -> list[Finding]:
    """Error classes that came again within seven days; what people cancelled is none."""
    errors = [one for one in ended if one.error_class and one.error_class != "cancelled"]
    counted = Counter(one.error_class for one in errors)
    found = []
    for error_class, times in counted.most_common():
        if times >= LEAST_ERRORS:
            title = f"Find the cause of the error class {error_class}"
            text = f"It ended {times} attempts in the last seven days:"
            own = [one for one in errors if one.error_class == error_class]
            found.append(Finding(title, _with_examples(text, own)))
    return found


def _slow_tasks(ended: Sequence[Ended]) -> list[Finding]:
    """Tasks that went well, but took far longer than the median of their complexity."""
    took: dict[str, float] = defaultdict(float)
    for one in ended:
        took[one.task] += one.seconds
    well = {one.task: one for one in ended if one.outcome in ("done", "in_review")}
    by_complexity: dict[str, list[Ended]] = defaultdict(list)
    for one in well.values():
        by_complexity[one.complexity].append(one)
    found = []
    for complexity, own in by_complexity.items():
        usual = median(took[one.task] for one in own)
        for one in own if len(own) >= LEAST_TASKS else ():
            seconds = took[one.task]
            if seconds > FAR_SLOWER * usual and seconds > usual + FAR_SECONDS:
                kind = f"{complexity} tasks" if complexity else "tasks"
                title = f"Find out why {one.task} took far longer than other {kind}"
                text = (
                    f"{one.task} ({one.title}) took {seconds:.0f} s; the median of the"
                    f" {len(own)} {kind} of the last seven days is {usual:.0f} s."
                )
                found.append((-seconds / max(usual, 1.0), Finding(title, text)))
    return [finding for _, finding in sorted(found)]


def _with_examples(text: str, bad: Sequence[Ended]) -> str:
    newest = sorted(bad, key=lambda one: -one.ended_at)[:SHOWN]
    lines = [
        f"* {one.task} ({' '.join(one.title.split())[:80]}), {one.agent}:"
        f" {one.error_class or one.outcome}: {' '.join(one.error.split())[:200]}".rstrip(": ")
        for one in newest
    ]
    return "\n".join([text, "", *lines])
