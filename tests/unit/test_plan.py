"""Plans: what of an agent's words is one, what is wrong with it in words, and its order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.agents.answer import objects
from orch.cli import plan_text
from orch.core.plan import MOST_STEPS, Plan, check, documents, ordered, read
from orch.errors import Malformed
from orch.messages import PlannedTask


def steps(*afters: Any) -> list[dict[str, Any]]:
    """Tasks A, B, C …, each after the numbers given."""
    return [{"title": chr(65 + n), "after": after} for n, after in enumerate(afters)]


def said(plan: Any, before: str = "", after: str = "") -> list[Any]:
    return objects(f"{before}{json.dumps(plan)}{after}")


def test_a_plan_is_found_in_prose_and_fences_and_the_last_one_counts() -> None:
    text = 'First I thought {"tasks": [{"title": "old"}]} but:\n```json\n'
    plan = {
        "summary": "the way",
        "tasks": [
            {"title": " Lay \n the ground ", "body": "do it\0", "labels": ["docs", "docs", " "]},
            {"title": "Build", "complexity": "Simple", "agent": "codex", "after": [1, "1"]},
        ],
    }
    found = read(said(plan, text, "\n```\nGood luck {"), 12, ("claude", "codex"))
    assert found == Plan(
        summary="the way",
        tasks=(
            PlannedTask(title="Lay the ground", body="do it", labels=("docs",)),
            PlannedTask(title="Build", complexity="simple", agent="codex", after=(0,)),
        ),
    )


@pytest.mark.parametrize(
    "plan, problem",
    [
        ({"steps": []}, 'no JSON object with "tasks"'),
        ({"tasks": []}, "an empty one"),
        ({"tasks": {"title": "x"}}, "no list of tasks"),
        ({"tasks": ["x"]}, "task 1 is no JSON object"),
        ({"tasks": [{"title": "a"}, {"title": " "}]}, "task 2 has no title"),
        ({"tasks": [{"title": "x" * 301}]}, "has 301 characters, 300 at most"),
        ({"tasks": [{"title": "x", "body": 7}]}, "the body of task 1 is no text"),
        ({"tasks": [{"title": "x", "labels": "docs"}]}, "labels of task 1 are no list"),
        ({"tasks": [{"title": "x", "complexity": "huge"}]}, "none of simple, medium, complex"),
        ({"tasks": [{"title": "x", "agent": "hal"}]}, "names the agent 'hal', which is not known"),
        ({"tasks": steps([], [3])}, "task 2 comes after task 3, but there are 2"),
        ({"tasks": steps([0])}, "task 1 comes after task 0, but there are 1"),
        ({"tasks": steps([], ["A"])}, "task 2 comes after 'A', which is no number"),
        ({"tasks": steps([], [True])}, "comes after True"),
        ({"tasks": steps([1])}, "task 1 comes after itself"),
        ({"tasks": steps([], [4], [2], [3, 1])}, "its tasks 2 → 4 → 3 → 2 wait for each other"),
        ({"tasks": steps(*[[]] * 13)}, "it has 13 tasks, 12 at most"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_words(plan: Any, problem: str) -> None:
    with pytest.raises(Malformed) as raised:
        read(said(plan), 12, ("claude",))
    assert problem in raised.value.message


def test_words_without_json_are_no_plan() -> None:
    with pytest.raises(Malformed, match="no JSON object"):
        read(objects("I would rather not."), 12)


def test_a_task_that_was_named_too_early_is_put_behind_what_it_needs() -> None:
    found = read(said({"tasks": steps([3], [], [2])}), 12)
    assert [(task.title, task.after) for task in found.tasks] == [
        ("B", ()),
        ("C", (0,)),
        ("A", (1,)),
    ]


@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8))
def test_an_order_holds_every_task_once_and_none_too_early(afters: list[set[int]]) -> None:
    count = len(afters)
    tasks = [
        PlannedTask(title=str(n), after=tuple(a for a in after if a < count and a != n))
        for n, after in enumerate(afters)
    ]
    try:
        found = ordered(tasks)
    except Malformed:
        assert _has_circle(tasks)
        return
    check(found)
    assert sorted(task.title for task in found) == sorted(task.title for task in tasks)
    for task in found:
        needs = {tasks[n].title for n in tasks[int(task.title)].after}
        assert {found[n].title for n in task.after} == needs


def _has_circle(tasks: list[PlannedTask]) -> bool:
    """Another way to find out: what can never be reached by taking the free ones away."""
    left = set(range(len(tasks)))
    while free := {n for n in left if not set(tasks[n].after) & left}:
        left -= free
    return bool(left)


@pytest.mark.parametrize(
    "tasks",
    [
        (),
        tuple(PlannedTask(title="x") for _ in range(MOST_STEPS + 1)),
        (PlannedTask(title="x", after=(0,)),),
        (PlannedTask(title="x", after=(1,)), PlannedTask(title="y")),
        (PlannedTask(title="x"), PlannedTask(title="y", after=(-1,))),
    ],
)
def test_a_request_with_a_broken_order_is_refused(tasks: tuple[PlannedTask, ...]) -> None:
    with pytest.raises(Malformed):
        check(tasks)


def test_what_is_written_for_an_editor_is_read_back() -> None:
    plan = Plan(
        summary="way: 日本 🦊",
        tasks=(
            PlannedTask(title="a: b #c", body="line one\n  - line two\n", labels=("x",)),
            PlannedTask(title="yes", complexity="simple", agent="claude", after=(0,)),
        ),
    )
    assert plan_text.read(plan_text.written(plan), 12, ("claude",)) == plan
    for broken in ("tasks: [", "- x", "!!python/object:os.system {}", "tasks: 7", ""):
        with pytest.raises(Malformed):
            plan_text.read(broken, 12, ())


def test_the_numbers_that_people_see_begin_at_one() -> None:
    tasks = (PlannedTask(title="a"), PlannedTask(title="b", after=(0,)))
    assert [one["after"] for one in documents(tasks)] == [[], [1]]
    shown = [text for *_, text in plan_text.lines(Plan(tasks=tasks))]
    assert shown == ["1. a", "2. b  (after 1)"]
