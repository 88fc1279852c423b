"""A goal as ordered steps: read from what an agent proposed, checked, put into an order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from orch.core.prompt import one_line
from orch.errors import Malformed
from orch.messages import PlannedTask
from orch.model import Value

MOST_STEPS = 50
"""How many steps a plan may have at the very most."""

MOST_TITLE = 300
"""Characters of a step's title; what is longer belongs into its body."""

TIERS = ("", "simple", "medium", "complex")


class Plan(Value, frozen=True, kw_only=True):
    """A checked plan: the way in a sentence or two, and its steps, none before what it needs."""

    tasks: tuple[PlannedTask, ...]
    summary: str = ""


def read(found: Sequence[Any], most: int, agents: Sequence[str] = ()) -> Plan:
    """The plan that the last of these values with `tasks` holds, at most `most` steps; `agents`
    are those that a step may name. Raises `Malformed` in words that its author can act upon."""
    plans = [one for one in found if isinstance(one, dict) and "tasks" in one]
    if not plans:
        raise Malformed('there is no JSON object with "tasks" in it')
    steps = plans[-1]["tasks"]
    if not isinstance(steps, list) or not steps:
        raise Malformed('"tasks" is no list of tasks, or an empty one')
    if len(steps) > min(most, MOST_STEPS):
        raise Malformed(f"it has {len(steps)} tasks, {min(most, MOST_STEPS)} at most")
    tasks = [_step(number, step, len(steps), agents) for number, step in enumerate(steps, 1)]
    summary = plans[-1].get("summary", "")
    return Plan(tasks=ordered(tasks), summary=_clean(summary) if isinstance(summary, str) else "")


def ordered(tasks: Sequence[PlannedTask]) -> tuple[PlannedTask, ...]:
    """The tasks in their order, but none before one that it comes after; `after` is put right.
    Raises `Malformed` that names the circle where some wait for each other."""
    left = list(range(len(tasks)))
    order: list[int] = []
    while left:
        free = next((n for n in left if set(tasks[n].after) <= set(order)), None)
        if free is None:
            raise Malformed(f"its tasks {_circle(tasks, left)} wait for each other")
        order.append(free)
        left.remove(free)
    place = {old: new for new, old in enumerate(order)}
    return tuple(
        msgspec.structs.replace(
            tasks[old], after=tuple(sorted({place[other] for other in tasks[old].after}))
        )
        for old in order
    )


def check(tasks: Sequence[PlannedTask]) -> None:
    """Raise `Malformed` unless these are the steps of a plan, each after earlier ones alone."""
    if not 1 <= len(tasks) <= MOST_STEPS:
        raise Malformed(f"a plan has 1 to {MOST_STEPS} tasks, this one {len(tasks)}")
    for place, task in enumerate(tasks):
        late = [other + 1 for other in task.after if not 0 <= other < place]
        if late:
            raise Malformed(
                f"task {place + 1} of the plan comes after {late[0]}, which is not before"
            )


def documents(tasks: Sequence[PlannedTask]) -> list[dict[str, Any]]:
    """The steps as people and programs see them: numbers in `after` begin at 1."""
    return [
        {
            "title": task.title, "body": task.body, "labels": list(task.labels),
            "agent": task.agent, "complexity": task.complexity,
            "after": [place + 1 for place in task.after],
        }
        for task in tasks
    ]  # fmt: skip


def _step(number: int, step: Any, count: int, agents: Sequence[str]) -> PlannedTask:
    """One step as it was proposed, read. Raises `Malformed`."""
    if not isinstance(step, dict):
        raise Malformed(f"task {number} is no JSON object")
    title = step.get("title")
    if not isinstance(title, str) or not title.strip():
        raise Malformed(f"task {number} has no title")
    if len(title) > MOST_TITLE:
        raise Malformed(
            f"the title of task {number} has {len(title)} characters, {MOST_TITLE} at most"
        )
    texts: dict[str, str] = {}
    for name in ("body", "agent", "complexity"):
        value = step.get(name) or ""
        if not isinstance(value, str):
            raise Malformed(f"the {name} of task {number} is no text")
        texts[name] = _clean(value)
    texts["complexity"] = texts["complexity"].strip().lower()
    if texts["complexity"] not in TIERS:
        raise Malformed(
            f"the complexity of task {number} is {texts['complexity']!r:.50}, none of simple,"
            " medium, complex"
        )
    if texts["agent"] and agents and texts["agent"] not in agents:
        raise Malformed(f"task {number} names the agent {texts['agent']!r:.50}, which is not known")
    return PlannedTask(
        title=one_line(_clean(title)),
        labels=_labels(number, step),
        after=_after(number, step, count),
        **texts,
    )


def _labels(number: int, step: dict[str, Any]) -> tuple[str, ...]:
    labels = step.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
        raise Malformed(f"the labels of task {number} are no list of texts")
    return tuple(dict.fromkeys(one_line(_clean(one), 100) for one in labels if one.strip()))


def _after(number: int, step: dict[str, Any], count: int) -> tuple[int, ...]:
    """The places (from 0) that a step comes after, of its numbers (from 1)."""
    value = step.get("after")
    numbers = [] if value is None else value if isinstance(value, list) else [value]
    found: list[int] = []
    for one in numbers:
        if isinstance(one, str) and one.strip().isdecimal():
            one = int(one)  # noqa: PLW2901 - a number in quotes is one too
        if isinstance(one, bool) or not isinstance(one, int):
            raise Malformed(f"task {number} comes after {one!r:.50}, which is no number of a task")
        if not 1 <= one <= count:
            raise Malformed(f"task {number} comes after task {one}, but there are {count}")
        if one == number:
            raise Malformed(f"task {number} comes after itself")
        found.append(one - 1)
    return tuple(dict.fromkeys(found))


def _circle(tasks: Sequence[PlannedTask], left: Sequence[int]) -> str:
    """One circle among the tasks that are left, as numbers."""
    seen = [left[0]]
    while True:
        following = next(other for other in tasks[seen[-1]].after if other in left)
        if following in seen:
            circle = [*seen[seen.index(following) :], following]
            return " → ".join(str(n + 1) for n in circle)
        seen.append(following)


def _clean(text: str) -> str:
    """Text that can be stored and sent: no zero bytes, no half characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
