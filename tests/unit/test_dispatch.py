"""Which task starts, and why the others wait."""

import pytest

from orch.core.dispatch import Holds, Limits, Load, plan, waiting_for
from orch.model import Status, Task


def routed(n, project="o/r", agent="a", **more):
    return Task(
        key=f"int-{n}", project=project, title="t", status=Status.ROUTED, agent=agent, **more
    )


def keys(tasks):
    return [task.key for task in tasks]


def test_slots_are_filled_in_order_and_no_further():
    waiting = [routed(n) for n in range(1, 6)]
    assert keys(plan(waiting, Load(total=2), Limits(total=4))) == ["int-1", "int-2"]
    assert plan(waiting, Load(total=4), Limits(total=4)) == []


def test_a_full_project_or_agent_does_not_hold_back_the_others():
    waiting = [routed(1), routed(2), routed(3, project="x/y"), routed(4, agent="b")]
    limits = Limits(total=9, per_project={"o/r": 2}, per_agent={"a": 2})
    assert keys(plan(waiting, Load(), limits)) == ["int-1", "int-2"]
    limits = Limits(total=9, per_project={"o/r": 1})
    assert keys(plan(waiting, Load(), limits)) == ["int-1", "int-3"]


@pytest.mark.parametrize(
    "task, holds, load, words",
    [
        (routed(1), Holds(after=("int-7",)), Load(), "int-7 to be done"),
        (routed(1), Holds(children=("int-8", "int-9")), Load(), "children int-8, int-9"),
        (routed(1), Holds(project_problem="is not registered"), Load(), "not registered"),
        (routed(1), Holds(engine_problem="the database: full"), Load(), "the database"),
        (routed(1), Holds(), Load(total=4), "a free slot (4 of 4 in use)"),
        (routed(1, not_before=130.0, last_error="lost"), Holds(), Load(), "in 30 s after: lost"),
        (routed(1), Holds(), Load(), "its turn"),
    ],
)
def test_why_a_task_waits_is_said(task, holds, load, words):
    assert words in waiting_for(task, holds, load, Limits(total=4), now=100.0)


@pytest.mark.parametrize("status", [Status.DONE, Status.IN_PROGRESS])
def test_what_runs_or_is_done_waits_for_nothing(status):
    task = Task(key="int-1", project="o/r", title="t", status=status)
    assert waiting_for(task, Holds(), Load(total=9), Limits(total=1), now=0.0) == ""


def test_a_blocked_task_waits_for_a_person_and_says_why():
    task = Task(key="int-1", project="o/r", title="t", status=Status.BLOCKED, blocked_reason="ask")
    assert waiting_for(task, Holds(), Load(), Limits(total=1), now=0.0) == "a person: ask"
