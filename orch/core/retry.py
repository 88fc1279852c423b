"""What follows from the end of an attempt: done, again, later, or a person."""

from __future__ import annotations

import msgspec

from orch.model import ErrorClass, Status, Verdict

E = ErrorClass

LIMITS = frozenset({E.USAGE_LIMIT, E.RATE_LIMIT, E.OVERLOADED})
BROKEN_AGENT = frozenset({E.AUTH, E.BILLING, E.MISSING_TOOL, E.LAUNCH_FAILED})
PERSON = frozenset({E.PERMISSION_DENIED, E.WAITING_FOR_INPUT, E.BUDGET})
OURS = frozenset({E.INFRASTRUCTURE, E.LOST})
SAME_ERROR_LIMIT = 3
LIMIT_SECONDS = 1800.0
MODEL_SECONDS = 3600.0
BROKEN_SECONDS = 1800.0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the earlier attempts of a task came to."""

    counted: int
    """Attempts charged so far, this one not included."""
    same_error: int = 0
    """How often in a row, before this attempt, it ended in the same class."""
    parked: int = 0
    """How often in a row, before this attempt, orch itself was at fault."""
    launched: bool = True
    """Whether its agent was started; an attempt that was not is never charged."""


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """Where the task goes. `cooldown` is until when its agent rests (epoch seconds, 0: not)."""

    status: Status
    reason: str = ""
    counted: bool = True
    not_before: float = 0.0
    other_agent: bool = False
    cooldown: float = 0.0
    delegated: bool = False
    """Blocked only until its subtasks are done."""


def follow(verdict: Verdict, history: History, *, max_attempts: int, now: float) -> Consequence:
    """What follows from one run's verdict (`spec: engine, when it fails`)."""
    if verdict.ok:
        return _answered(verdict, history, max_attempts)
    error = verdict.error or E.AGENT_FAILED
    text = verdict.message or error.value
    if error is E.CANCELLED:
        return Consequence(status=Status.BLOCKED, reason=text, counted=False)
    if error in OURS:
        pause = min(300.0, float(2**history.parked)) if history.parked else 0.0
        return Consequence(status=Status.ROUTED, reason=text, counted=False, not_before=now + pause)
    if error is E.BUDGET and verdict.retry_at is not None:
        return Consequence(status=Status.ROUTED, reason=text, counted=False)  # the day holds it
    if error in PERSON:
        return Consequence(status=Status.NEEDS_REVIEW, reason=text, counted=history.launched)
    if error in LIMITS:
        until = verdict.retry_at or now + LIMIT_SECONDS
        return Consequence(
            status=Status.ROUTED, reason=text, counted=False, other_agent=True, cooldown=until
        )
    if error in BROKEN_AGENT:
        return _broken_agent(text, history, max_attempts, now)
    if error is E.MODEL_UNAVAILABLE:
        return Consequence(
            status=Status.ROUTED, reason=text, other_agent=True, cooldown=now + MODEL_SECONDS
        )
    return _retry(error, text, history, max_attempts, now)


def moved(reason: str) -> Consequence:
    """What follows when a person moves a running task to another agent: it goes on there."""
    return Consequence(status=Status.ROUTED, reason=reason, counted=False)


def _answered(verdict: Verdict, history: History, max_attempts: int) -> Consequence:
    answer = verdict.answer
    said = answer.status if answer else "done"
    reason = (answer.reason or "; ".join(answer.blockers) or answer.summary) if answer else ""
    if said == "blocked":
        return Consequence(status=Status.BLOCKED, reason=reason or "the agent says it is blocked")
    if said == "needs_review":
        return Consequence(status=Status.NEEDS_REVIEW, reason=reason or "the agent asks for a look")
    if said == "in_progress" and history.counted + 1 >= max_attempts:
        used = f"the agent wants to go on, but all {max_attempts} attempts are used up"
        return Consequence(status=Status.BLOCKED, reason=used)
    if said == "in_progress":
        return Consequence(status=Status.ROUTED, reason=reason or "the agent wants to go on")
    return Consequence(status=Status.DONE)


def _broken_agent(text: str, history: History, max_attempts: int, now: float) -> Consequence:
    if history.same_error + 1 >= SAME_ERROR_LIMIT or history.counted + 1 >= max_attempts:
        return Consequence(status=Status.NEEDS_REVIEW, reason=text, cooldown=now + BROKEN_SECONDS)
    return Consequence(
        status=Status.ROUTED,
        reason=text,
        counted=False,
        other_agent=True,
        cooldown=now + BROKEN_SECONDS,
    )


def _retry(
    error: ErrorClass, text: str, history: History, max_attempts: int, now: float
) -> Consequence:
    if history.same_error + 1 >= SAME_ERROR_LIMIT:
        times = history.same_error + 1
        return Consequence(status=Status.NEEDS_REVIEW, reason=f"{text} ({error}, {times} times)")
    if history.counted + 1 >= max_attempts:
        return Consequence(
            status=Status.BLOCKED, reason=f"{text} (all {max_attempts} attempts are used up)"
        )
    return Consequence(
        status=Status.ROUTED,
        reason=text,
        other_agent=history.same_error >= 1,
        not_before=now + float(history.same_error),
    )
