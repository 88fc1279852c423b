"""Marks that tell a service what its methods are for, and the timers they ask for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from orch.messages import Occurred, Request

Method = TypeVar("Method", bound=Callable[..., Any])

ATTRIBUTE = "_orch_marks"


class Marks(msgspec.Struct):
    """What one method is for: requests it answers, events it hears, seconds between its runs."""

    answers: list[type[Request[Any]]] = []
    on: list[type[Occurred]] = []
    every: float = 0.0


def answers(request: type[Request[Any]]) -> Callable[[Method], Method]:
    """The method answers this request: it returns the reply or a `Later`, or raises OrchError."""
    return _marking(lambda marks: marks.answers.append(request))


def on(event: type[Occurred]) -> Callable[[Method], Method]:
    """The method is called with each such event that arrives; events may be lost."""
    return _marking(lambda marks: marks.on.append(event))


def every(*, seconds: float) -> Callable[[Method], Method]:
    """The method runs at the start and then every so often; missed beats come as one."""
    return _marking(lambda marks: setattr(marks, "every", seconds))


def marked(owner: object) -> list[tuple[Callable[..., Any], Marks]]:
    """The marked methods of an object, bound to it, by name."""
    named = ((name, getattr(type(owner), name, None)) for name in dir(type(owner)))
    marks = ((name, getattr(method, ATTRIBUTE, None)) for name, method in named)
    return [(getattr(owner, name), mark) for name, mark in marks if isinstance(mark, Marks)]


class Timer:
    """Work that comes due again and again, on the monotonic clock."""

    def __init__(self, seconds: float, work: Callable[[], object], due: float) -> None:
        self.seconds = seconds
        self.work = work
        self.due = due

    def advance(self, now: float) -> None:
        """Move to the first beat after `now`."""
        missed = max(0.0, (now - self.due) // self.seconds)
        self.due += (missed + 1) * self.seconds


class Alarm:
    """Work that runs once, at the time it was set to on the monotonic clock, until set again."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.due = math.inf

    def set(self, at: float) -> None:
        """Have the work run at `at`, whatever was set before."""
        self.due = at

    def no_later_than(self, at: float) -> None:
        """Have the work run at `at`, unless it is to run sooner."""
        self.due = min(self.due, at)

    def off(self) -> None:
        """Forget what was set."""
        self.due = math.inf

    def advance(self, _now: float) -> None:
        """It rings: from now on nothing is set."""
        self.due = math.inf


def _marking(mark: Callable[[Marks], object]) -> Callable[[Method], Method]:
    def marker(method: Method) -> Method:
        if not hasattr(method, ATTRIBUTE):
            setattr(method, ATTRIBUTE, Marks())
        mark(getattr(method, ATTRIBUTE))
        return method

    return marker
