"""The one table of a task's allowed moves, and what each attempt phase leads to."""

from __future__ import annotations

from orch.errors import Refused
from orch.model import Phase, Status

S = Status

MOVES: dict[Status, frozenset[Status]] = {
    S.NEW: frozenset({S.ROUTED, S.BLOCKED, S.NEEDS_REVIEW, S.DONE}),
    S.ROUTED: frozenset({S.NEW, S.IN_PROGRESS, S.BLOCKED, S.NEEDS_REVIEW, S.DONE}),
    S.IN_PROGRESS: frozenset({S.IN_REVIEW, S.DONE, S.ROUTED, S.BLOCKED, S.NEEDS_REVIEW}),
    S.IN_REVIEW: frozenset({S.DONE, S.ROUTED, S.BLOCKED, S.NEEDS_REVIEW}),
    S.BLOCKED: frozenset({S.NEW, S.NEEDS_REVIEW, S.DONE}),
    S.NEEDS_REVIEW: frozenset({S.NEW, S.BLOCKED, S.IN_REVIEW, S.DONE}),
    S.DONE: frozenset({S.NEW, S.IN_REVIEW}),
}
"""From each status, where a task may go. `done → new` is a person's retry, `done → in_review` and
`needs_review → in_review` a person's wish to have the work reviewed."""

OPEN: tuple[Status, ...] = tuple(status for status in Status if status is not S.DONE)

PHASES: dict[Phase, frozenset[Phase]] = {
    Phase.PREPARE: frozenset({Phase.RUNNING, Phase.DELIVER, Phase.ENDED}),
    Phase.RUNNING: frozenset({Phase.COLLECT, Phase.ENDED}),
    Phase.COLLECT: frozenset({Phase.DELIVER, Phase.ENDED}),
    Phase.DELIVER: frozenset({Phase.ENDED}),
    Phase.ENDED: frozenset(),
}


def check_move(task: str, old: Status, new: Status) -> None:
    """Raise `Refused` when a task may not go from `old` to `new`."""
    if new not in MOVES[old]:
        ways = ", ".join(sorted(MOVES[old]))
        raise Refused(f"{task} is {old} and cannot become {new}", f"it can become: {ways}")


def check_phase(attempt: int, old: Phase, new: Phase) -> None:
    """Raise `Refused` when an attempt may not go from `old` to `new`."""
    if new not in PHASES[old]:
        raise Refused(f"attempt {attempt} is in {old} and cannot go to {new}")
