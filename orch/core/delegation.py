"""What an agent hands on to others: its `delegations` as tasks to be made, within limits."""

from __future__ import annotations

from typing import Any

import msgspec

from orch.core.prompt import one_line
from orch.errors import Malformed
from orch.model import Status, Task

MOST_CHILDREN = 20
"""How many tasks one answer may ask for."""

DEEPEST = 4
"""How many generations a task may have above it."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A task that an agent asks for."""

    title: str
    body: str = ""
    labels: tuple[str, ...] = ()


def wanted(entries: tuple[dict[str, Any], ...], generations: int) -> list[Wanted]:
    """The tasks asked for. Raises `Malformed` when they cannot be made: too many, too deep, or
    without a title; then a person must look, and nothing is made."""
    if not entries:
        return []
    if generations >= DEEPEST:
        raise Malformed(f"it delegates further, but has {generations} generations above it already")
    if len(entries) > MOST_CHILDREN:
        raise Malformed(f"it asks for {len(entries)} subtasks, {MOST_CHILDREN} at most")
    return [_read(number, entry) for number, entry in enumerate(entries, start=1)]


def waiting(children: list[Task]) -> str:
    """Why a parent waits, in words: each unfinished child, and what is wrong with it; '' for no
    reason to wait."""
    told = []
    for child in children:
        if child.status is Status.DONE:
            continue
        stuck = child.status in (Status.BLOCKED, Status.NEEDS_REVIEW)
        why = one_line(child.blocked_reason or child.last_error, 120) if stuck else ""
        told.append(f"{child.key} ({child.status}: {why})" if why else child.key)
    return f"waits for its subtasks {', '.join(told)}" if told else ""


def _read(number: int, entry: dict[str, Any]) -> Wanted:
    title, body, labels = entry.get("title"), entry.get("body", ""), entry.get("labels", ())
    if not isinstance(title, str) or not title.strip() or "\0" in title:
        raise Malformed(f"its subtask {number} has no title")
    if not isinstance(body, str) or "\0" in body:
        raise Malformed(f"the body of its subtask {number} is no text")
    if not isinstance(labels, list | tuple) or not all(isinstance(one, str) for one in labels):
        raise Malformed(f"the labels of its subtask {number} are no list of texts")
    return Wanted(title=title[:20_000], body=body, labels=tuple(labels))
