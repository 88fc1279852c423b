"""What follows from the end of an attempt: done, again, later, or a person."""

from __future__ import annotations

import msgspec

from orch.model import ErrorClass, Status, Verdict

E = ErrorClass

LIMITS = frozenset({E.USAGE_LIMIT, E.RATE_LIMIT, E.OVERLOADED})
BROKEN_AGENT = frozenset({E.AUTH, E.BILLING, E.MISSING_TOOL, E.LAUNCH_FAILED})
PERSON = frozenset({E.PERMISSION_DENIED, E.WAITING_FOR_INPUT, E.BUDGET})
OURS = frozenset({E.INFRASTRUCTURE, E.LOST})
SMALLER = frozenset({E.OUTPUT_LIMIT, E.TURN_LIMIT, E.REFUSAL})
"""After these an agent is asked to go on in smaller steps (after a refusal another model is)."""

ASKED_AGAIN = SMALLER | {E.INVALID_RESPONSE}
"""What an agent is asked about once more in the same conversation."""

USED_UP = BROKEN_AGENT | SMALLER | {E.MODEL_UNAVAILABLE}
"""An agent that failed so is not tried again on the same task."""

SAME_ERROR_LIMIT = 3
LIMIT_SECONDS = 1800.0
MODEL_SECONDS = 3600.0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the earlier attempts of a task came to."""

    counted: int
    """Attempts charged so far, this one not included."""
    same_error: int = 0
    """How often in a row, before this attempt, it ended in the same class."""
    parked: int = 0
    """How often in a row, before this attempt, orch itself was at fault."""
    can_ask: bool = False
    """Whether the agent can be asked once more in this conversation."""
    asked: frozenset[ErrorClass] = frozenset()
    """What it was asked about in this conversation before."""
    why_asked: ErrorClass | None = None
    """The class of the attempt that this one goes on with."""
    kept: str = ""
    """What that attempt ended with: the text that could not be read."""
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
    ask: bool = False
    """The agent is asked once more in the same conversation, at once."""
    broken: bool = False
    """The agent is out of use until a check of it passes."""


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
        floor = min(LIMIT_SECONDS, 2.0**history.same_error)  # it said so before, and was wrong
        until = max(verdict.retry_at or now + LIMIT_SECONDS, now + floor)
        return Consequence(
            status=Status.ROUTED, reason=text, counted=False, other_agent=True, cooldown=until
        )
    if error is E.LAUNCH_FAILED and history.why_asked is not None:
        return _not_asked(text, history, max_attempts, now)
    if error in BROKEN_AGENT:
        return Consequence(
            status=Status.ROUTED, reason=text, counted=False, other_agent=True, broken=True
        )
    if error is E.MODEL_UNAVAILABLE:
        return _go_on(text, history, max_attempts, cooldown=now + MODEL_SECONDS)
    if error in ASKED_AGAIN and history.can_ask and error not in history.asked:
        return Consequence(status=Status.IN_PROGRESS, reason=text, counted=False, ask=True)
    if error is E.INVALID_RESPONSE and error in history.asked:
        return Consequence(status=Status.NEEDS_REVIEW, reason=f"asked twice: {text}")
    if error in SMALLER:
        return _go_on(text, history, max_attempts)
    return _retry(error, text, history, max_attempts, now)


def _not_asked(text: str, history: History, max_attempts: int, now: float) -> Consequence:
    """The conversation could not be taken up again, which says nothing of the agent: what it was
    asked about has its own consequence."""
    why = f"{history.kept} (it could not be asked again: {text})".lstrip()
    verdict = Verdict(ok=False, error=history.why_asked, message=why)
    before = msgspec.structs.replace(
        history, why_asked=None, can_ask=False, asked=history.asked | {history.why_asked or E.LOST}
    )
    return follow(verdict, before, max_attempts=max_attempts, now=now)


def _go_on(text: str, history: History, max_attempts: int, cooldown: float = 0.0) -> Consequence:
    """On to the next model or agent, as long as there are attempts."""
    if history.counted + 1 >= max_attempts:
        used = f"{text} (all {max_attempts} attempts are used up)"
        return Consequence(status=Status.BLOCKED, reason=used, cooldown=cooldown)
    return Consequence(status=Status.ROUTED, reason=text, other_agent=True, cooldown=cooldown)


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
