"""What an agent hands on to others."""

import pytest

from orch.core.delegation import MOST_CHILDREN, Wanted, waiting, wanted
from orch.core.prompt import Around, Known, agent_values
from orch.errors import Malformed
from orch.model import Status, Task


def test_each_entry_becomes_a_task_that_is_asked_for():
    entries = ({"title": "a", "body": "b", "labels": ["x"]}, {"title": "c", "other": 1})
    assert wanted(entries, 0) == [Wanted(title="a", body="b", labels=("x",)), Wanted(title="c")]
    assert wanted((), 99) == []


@pytest.mark.parametrize(
    "entries, generations, words",
    [
        (({"title": " "},), 0, "subtask 1 has no title"),
        (({"title": "a"}, {"body": "b"}), 0, "subtask 2 has no title"),
        (({"title": 5},), 0, "no title"),
        (({"title": "a", "body": {}},), 0, "is no text"),
        (({"title": "a", "labels": "x"},), 0, "no list of texts"),
        (({"title": "a"},) * (MOST_CHILDREN + 1), 0, "21 subtasks, 20 at most"),
        (({"title": "a"},), 4, "4 generations above it"),
    ],
)
def test_what_cannot_be_made_is_for_a_person(entries, generations, words):
    with pytest.raises(Malformed, match=words):
        wanted(entries, generations)


def child(key, status, reason=""):
    return Task(key=key, project="o/r", title="t", status=status, blocked_reason=reason)


def test_a_parent_says_whom_it_waits_for_and_who_is_stuck():
    children = [
        child("int-1", Status.DONE),
        child("int-2", Status.NEW),
        child("int-3", Status.NEEDS_REVIEW, "no idea"),
    ]
    assert waiting(children) == "waits for its subtasks int-2, int-3 (needs_review: no idea)"
    assert waiting(children[:1]) == ""


def test_the_message_of_a_subtask_tells_what_it_is_a_part_of():
    parent = Task(key="int-1", project="o/r", title="The whole", body="all of it")
    known = Known(attempt=1, parent=parent)
    told = agent_values(child("int-2", Status.NEW), known, Around(), "claude")["parent"]
    assert told == {"key": "int-1", "title": "The whole", "body": "all of it", "context": ""}
