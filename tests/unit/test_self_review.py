"""What the attempts of the last days show, and what of it is filed."""

from __future__ import annotations

import pytest

from orch.core.self_review import DAY, MOST_FILED, Ended, Finding, findings, to_file

NOW = 1_790_000_000.0


def ended(task: str = "int-1", outcome: str = "done", **more: object) -> Ended:
    """An attempt that ended an hour ago."""
    told: dict[str, object] = {
        "title": f"Title of {task}",
        "complexity": "simple",
        "agent": "claude",
        "error_class": "",
        "error": "",
        "ended_at": NOW - 3600,
        "seconds": 30.0,
    }
    return Ended(task=task, outcome=outcome, **(told | more))  # type: ignore[arg-type]


def titles(*attempts: Ended) -> list[str]:
    return [one.title for one in findings(attempts, NOW)]


AGENT = "Improve the success rate of the agent claude"
TIMEOUTS = "Find the cause of the error class timeout"


@pytest.mark.parametrize(
    ("outcomes", "found"),
    [
        (["failed", "blocked", "done"], True),
        (["failed", "failed"], False),
        (["done", "failed"], False),
        (["done", "failed", "done", "failed"], False),
        (["done", "failed", "needs_review", "failed"], True),
        (["failed", "failed", "in_review", "done"], False),
        (["lost", "lost", "cancelled", "closed", "failed", "failed"], False),
    ],
)
def test_an_agent_with_three_runs_and_under_half_successful_is_found(outcomes, found):
    attempts = [ended(f"int-{n}", outcome) for n, outcome in enumerate(outcomes)]
    assert (AGENT in titles(*attempts)) is found


def test_an_agent_is_judged_by_the_last_day_only() -> None:
    old = [ended(f"int-{n}", "failed", ended_at=NOW - DAY - 1) for n in range(5)]
    assert AGENT not in titles(*old)
    assert AGENT in titles(*old, *(ended(f"int-{n}", "failed") for n in range(3)))


@pytest.mark.parametrize(
    ("classes", "age", "found"),
    [
        (["timeout", "timeout"], 3600.0, True),
        (["timeout", "network"], 3600.0, False),
        (["timeout", "timeout"], 6.9 * DAY, True),
        (["timeout", "timeout"], 7.1 * DAY, False),
    ],
)
def test_an_error_class_that_came_twice_in_seven_days_is_found(classes, age, found):
    attempts = [
        ended(f"int-{n}", "failed", error_class=one, ended_at=NOW - age, agent=f"agent-{n}")
        for n, one in enumerate(classes)
    ]
    assert (TIMEOUTS in titles(*attempts)) is found


def test_what_people_cancelled_is_no_error() -> None:
    assert (
        titles(*(ended(f"int-{n}", "cancelled", error_class="cancelled") for n in range(5))) == []
    )


def test_a_task_far_slower_than_the_median_of_its_complexity_is_found() -> None:
    usual = [ended(f"int-{n}") for n in range(5)]
    slow = ended("int-9", seconds=400.0)
    assert titles(*usual, slow) == ["Find out why int-9 took far longer than other simple tasks"]
    assert "400 s" in findings([*usual, slow], NOW)[0].body
    assert titles(*usual, ended("int-9", seconds=80.0)) == [], "too little to matter"
    assert titles(*usual, ended("int-9", seconds=400.0, complexity="complex")) == [], "a kind apart"
    assert titles(*usual[:2], slow) == [], "too few to compare with"
    tries = [ended("int-9", "failed", seconds=150.0), ended("int-9", seconds=150.0)]
    assert len(titles(*usual, *tries)) == 1, "all attempts of a task count"


def test_a_finding_names_what_went_wrong() -> None:
    attempts = [
        ended(f"int-{n}", "failed", error_class="network", error=f"reset\nby peer {n}")
        for n in range(9)
    ]
    for finding in findings(attempts, NOW):
        assert finding.body.count("* int-") == 5
        assert "network: reset by peer" in finding.body


def named(*names: str) -> list[Finding]:
    return [Finding(name, "") for name in names]


@pytest.mark.parametrize(
    ("found", "filed", "expected"),
    [
        (named("a", "b"), [], ["a", "b"]),
        (named("a", "b", "c", "d"), [], ["a", "b", "c"]),
        (named("a", "a"), [], ["a"]),
        (named("a", "b"), [("a", NOW - 300 * DAY)], ["b"]),
        (named("a", "b"), [("x", NOW - DAY), ("y", NOW - 2 * DAY)], ["a"]),
        (named("a"), [("x", NOW), ("y", NOW), ("z", NOW - 6.9 * DAY)], []),
        (named("a"), [("x", NOW), ("y", NOW), ("z", NOW - 7.1 * DAY)], ["a"]),
    ],
)
def test_a_title_is_filed_once_and_three_in_seven_days_at_most(found, filed, expected):
    assert [one.title for one in to_file(found, filed, NOW)] == expected
    assert len(expected) <= MOST_FILED
