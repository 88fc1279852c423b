"""What is kept and what may go: by whose it is, how old, and how much there is of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orch.model import Status

DAY = 86400.0

FRESH_SECONDS = DAY
"""However much there is: what ended within the last day is still looked at."""


class Owner(NamedTuple):
    """The task that something belongs to; `busy` while an attempt of it has not ended."""

    key: str
    project: str
    status: Status
    updated_at: float
    busy: bool = False


class Artifacts(NamedTuple):
    """What the attempts of a task left on disk: their folder, and its size in bytes."""

    key: str
    folder: str
    size: int


class Bounds(NamedTuple):
    """How much is kept: days, bytes of artifacts (0: any), rows of the events log (0: any)."""

    days: int
    artifact_bytes: int
    events: int


def why_kept(owner: Owner | None) -> str:
    """Why something of this task stays; '' when it may go. What nobody knows stays."""
    if owner is None:
        return "no task is known for it"
    if owner.status is not Status.DONE:
        return f"{owner.key} is {owner.status}"
    return f"{owner.key} is not quite ended" if owner.busy else ""


def expendable(
    found: Sequence[Artifacts], owners: Mapping[str, Owner], bounds: Bounds, now: float
) -> list[tuple[Artifacts, str]]:
    """The artifacts that may go, oldest first, each with the reason: their age, or that there is
    too much in all. Those of tasks that are open, unknown or fresh are never among them."""
    done = [(owners[one.key].updated_at, one) for one in found if not why_kept(owners.get(one.key))]
    total = sum(one.size for one in found)
    going: list[tuple[Artifacts, str]] = []
    for ended, one in sorted(done, key=lambda pair: pair[0]):
        if now - ended > bounds.days * DAY:
            reason = f"older than {bounds.days} days"
        elif 0 < bounds.artifact_bytes < total and now - ended > FRESH_SECONDS:
            reason = f"artifacts are over {bounds.artifact_bytes >> 20} MiB in all"
        else:
            continue
        total -= one.size
        going.append((one, reason))
    return going
