"""What may go: by owner, age and amount; never what is open, unknown or fresh."""

from __future__ import annotations

import pytest

from orch.core.keeping import DAY, Artifacts, Bounds, Owner, expendable, why_kept
from orch.model import Status

NOW = 1_000 * DAY


def owner(key: str, days: float, status: Status = Status.DONE, busy: bool = False) -> Owner:
    return Owner(key, "o/r", status, NOW - days * DAY, busy)


@pytest.mark.parametrize(
    "of, why",
    [
        (None, "no task is known for it"),
        (owner("int-1", 1), ""),
        (owner("int-1", 1, busy=True), "int-1 is not quite ended"),
        *((owner("int-1", 999, one), f"int-1 is {one}") for one in Status if one != "done"),
    ],
)
def test_only_what_belongs_to_a_task_that_is_quite_done_may_go(of, why):
    assert why_kept(of) == why


def going(bounds: Bounds, *owners: Owner, size: int = 100) -> list[str]:
    """The keys of artifacts that go, in order; each task has `size` bytes."""
    found = [Artifacts(one.key, f"/{one.key}", size) for one in owners]
    known = {one.key: one for one in owners if one.key != "lost"}
    return [one.key for one, _ in expendable(found, known, bounds, NOW)]


def test_what_is_too_old_goes_the_oldest_first():
    tasks = (owner("a", 89), owner("b", 91), owner("c", 200), owner("d", 999, Status.BLOCKED))
    assert going(Bounds(90, 0, 0), *tasks) == ["c", "b"]


def test_where_there_is_too_much_the_oldest_go_until_it_fits_but_never_what_is_fresh():
    tasks = (owner("a", 3), owner("b", 2), owner("c", 30), owner("d", 0.5), owner("lost", 50))
    assert going(Bounds(90, 500, 0), *tasks) == []
    assert going(Bounds(90, 499, 0), *tasks) == ["c"]
    assert going(Bounds(90, 300, 0), *tasks) == ["c", "a"]
    assert going(Bounds(90, 1, 0), *tasks) == ["c", "a", "b"]
