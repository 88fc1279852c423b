"""A page of tasks fits into one message whatever the tasks hold, and loses no text that fits."""

from __future__ import annotations

import pytest

from orch.messages import MAX_BYTES, Tasks, encode
from orch.model import Task
from services.engine.tasks import _fitting


def tasks(count: int, title: str, **texts: str) -> list[Task]:
    return [Task(key=f"int-{n}", project="o/r", title=title, **texts) for n in range(count)]


@pytest.mark.parametrize(
    "found, shown",
    [
        (tasks(500, "short"), 500),
        (tasks(500, "ä" * 10_000), 44),
        (tasks(3, "short", summary="€" * 400_000), 1),
        (tasks(0, ""), 0),
    ],
)
def test_a_page_is_as_many_of_the_newest_as_fit(found, shown):
    page = _fitting(found)
    assert len(encode(Tasks(page, len(found)))) <= MAX_BYTES
    assert [task.key for task in page] == [task.key for task in found[len(found) - shown :]]
    assert {task.title for task in page} == {task.title for task in found[:1]}
