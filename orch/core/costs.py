"""Sums of what attempts and consultations cost, put together by whatever was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from typing import Any

import msgspec

from orch.core.periods import day_of
from orch.errors import Malformed
from orch.model import AgentRecord, Attempt, Consultation, Cost, ErrorClass, Period, Usage

BY = ("agent", "model", "day", "task")
"""What costs may be told by."""

_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")

STOPPED = ("cancelled", "closed", "lost")
"""Outcomes that say nothing about an agent."""

NOT_ITS_FAULT = tuple(
    error.value
    for error in (
        ErrorClass.INFRASTRUCTURE, ErrorClass.LOST, ErrorClass.CANCELLED, ErrorClass.USAGE_LIMIT,
        ErrorClass.RATE_LIMIT, ErrorClass.OVERLOADED, ErrorClass.BUDGET,
    )
)  # fmt: skip
"""Error classes that say nothing about how well an agent works."""


def chosen(words: str) -> tuple[str, ...]:
    """`agent,day` as the names of `BY`, each once; raises `Malformed`."""
    by = tuple(dict.fromkeys(word.strip() for word in words.split(",") if word.strip()))
    for name in by:
        if name not in BY:
            raise Malformed(f"costs cannot be told by {name!r}", f"any of {','.join(BY)}")
    return by


def plus(one: Cost, other: Cost) -> Cost:
    """Two sums as one, under the names of the first."""
    mine, more = one.usage, other.usage
    usage = Usage(
        **{name: getattr(mine, name) + getattr(more, name) for name in _TOKENS},
        usd=_sum(mine.usd, more.usd),
    )
    return msgspec.structs.replace(
        one,
        attempts=one.attempts + other.attempts,
        consultations=one.consultations + other.consultations,
        unpriced=one.unpriced + other.unpriced,
        usage=usage,
    )


def total(costs: Iterable[Cost]) -> Cost:
    """The sum of sums."""
    found = Cost()
    for one in costs:
        found = plus(found, one)
    return found


def of_row(row: dict[str, Any], zone: tzinfo) -> Cost:
    """A row of `store.costs.sums` or of `store.consultations.sums`."""
    day = row.get("day")
    return Cost(
        agent=row.get("agent", ""),
        model=row.get("model", ""),
        task=row.get("task", ""),
        day="" if day is None else day_of(day, zone),
        attempts=row["attempts"],
        consultations=row.get("consultations", 0),
        unpriced=row["unpriced"] or 0,
        usage=Usage(**{name: row[name] or 0 for name in _TOKENS}, usd=row["usd"]),
    )


def of_attempt(attempt: Attempt, by: tuple[str, ...], day: str) -> Cost:
    """One attempt as a sum, under the names asked for."""
    used = attempt.usage
    names = {
        "kind": attempt.kind,
        "agent": attempt.agent,
        "model": attempt.used_model or attempt.model,
        "day": day,
        "task": attempt.task,
    }
    tokens = used.input_tokens + used.output_tokens
    return Cost(
        **{name: names[name] for name in by},
        attempts=1,
        consultations=0,
        unpriced=int(used.usd is None and tokens > 0),
        usage=used,
    )


def of_consultation(one: Consultation, day: str) -> Cost:
    """One consultation as a sum, under all its names."""
    used = one.usage
    return Cost(
        kind=one.kind, agent=one.agent, model=one.model, day=day, task=one.task, consultations=1,
        unpriced=int(used.usd is None and used.input_tokens + used.output_tokens > 0), usage=used,
    )  # fmt: skip


def grouped(costs: Iterable[Cost], by: tuple[str, ...]) -> list[Cost]:
    """Sums with the same names put together: by day where asked for, oldest first, then the
    dearest first."""
    found: dict[tuple[str, ...], Cost] = {}
    for one in costs:
        key = tuple(getattr(one, name) for name in by)
        found[key] = plus(found[key], one) if key in found else one
    ordered = sorted(found.values(), key=lambda c: (-(c.usage.usd or 0.0), -c.usage.input_tokens))
    return sorted(ordered, key=lambda cost: cost.day)


def period(
    since: float, rows: Iterable[dict[str, Any]], took: dict[str, dict[str, float]],
    asked: Iterable[Cost] = (),
) -> Period:  # fmt: skip
    """How attempts went, of the rows of `store.costs.outcomes` and `durations`; `asked` are the
    sums of consultations by agent."""
    outcomes: dict[str, int] = {}
    errors: dict[str, int] = {}
    agents: dict[str, AgentRecord] = {}
    for row in rows:
        n, name, error = row["n"], row["agent"], row["error_class"]
        outcomes[row["outcome"]] = outcomes.get(row["outcome"], 0) + n
        if error:
            errors[error] = errors.get(error, 0) + n
        old = agents.get(name, AgentRecord(agent=name))
        done = n if row["outcome"] in ("done", "in_review") else 0
        judged = n if row["outcome"] not in STOPPED and error not in NOT_ITS_FAULT else 0
        agents[name] = msgspec.structs.replace(
            old, attempts=old.attempts + n, done=old.done + done, judged=old.judged + judged,
            usd=_sum(old.usd, row["usd"]),
            p50_seconds=took.get(name, {}).get("p50"), p95_seconds=took.get(name, {}).get("p95"),
        )  # fmt: skip
    for one in asked:
        old = agents.get(one.agent, AgentRecord(agent=one.agent))
        agents[one.agent] = msgspec.structs.replace(
            old, consultations=one.consultations, usd=_sum(old.usd, one.usage.usd)
        )
    return Period(
        since=since,
        attempts=sum(outcomes.values()),
        outcomes=_by_count(outcomes),
        errors=_by_count(errors),
        agents=tuple(sorted(agents.values(), key=lambda one: -one.attempts)),
    )


def _sum(*usd: float | None) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [one for one in usd if one is not None]
    return sum(known) if known else None


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: -pair[1]))
