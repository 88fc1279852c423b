"""Rows of costs, notices and hooks: sums by index, what was told, and how far hooks have come."""

import pytest

from orch.model import ErrorClass, Phase, Task, Usage
from orch.store import attempts, costs, events, hooks, notices, tasks
from orch.store.db import Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "orch.db")
    opened.take_over()
    yield opened
    opened.close()


def ran(store, at, usd, *, agent="a", project="o/r", task="", seconds=10, model="", **columns):
    """An attempt that ended then; returns its task."""
    with store.transaction():
        if not task:
            made = Task(key="", project=project, title="t", created_at=1.0)
            task = tasks.insert_internal(store, made, priority=0)
        attempt = attempts.insert(store, task, 1, agent, "asked", at - seconds)
        usage = Usage(input_tokens=100, output_tokens=10, cache_write_tokens=1, usd=usd)
        attempts.update(
            store, attempt.id, ended_at=at, usage=usage, used_model=model,
            **{"outcome": "done", **columns},
        )  # fmt: skip
        for phase in (Phase.RUNNING, Phase.COLLECT, Phase.ENDED):
            attempts.update(store, attempt.id, phase=phase)
    return task


def summed(store, *by, since=0.0, until=1e12, project=""):
    return [
        (*(row[name] for name in by), row["attempts"], row["usd"])
        for row in costs.sums(store, since, until, by, project)
    ]


def test_sums_are_by_what_is_asked_within_the_span_and_the_project(store):
    ran(store, 1000, 1.0, agent="a", model="m1")
    ran(store, 2000, 2.0, agent="b")
    ran(store, 5000, 4.0, agent="a", model="m2", project="o/other")
    assert summed(store) == [(3, 7.0)]
    assert summed(store, "agent") == [("a", 2, 5.0), ("b", 1, 2.0)]
    assert summed(store, "model") == [("m2", 1, 4.0), ("asked", 1, 2.0), ("m1", 1, 1.0)]
    assert summed(store, "day") == [(900, 1, 1.0), (1800, 1, 2.0), (4500, 1, 4.0)]
    assert summed(store, "agent", since=2000, until=5000) == [("b", 1, 2.0)]
    assert summed(store, project="o/other") == [(1, 4.0)]
    assert costs.spent_since(store, 2000) == 6.0


def test_an_unknown_price_is_counted_apart_and_not_as_nothing(store):
    ran(store, 1000, None)
    ran(store, 1000, 2.0)
    (row,) = costs.sums(store, 0, 1e12, ())
    assert (row["usd"], row["unpriced"]) == (2.0, 1)
    assert costs.spent_since(store, 0) == 2.0


def test_a_tasks_spending_is_that_of_its_attempts_since_it_was_started_over(store):
    task = ran(store, 1000, 1.0)
    ran(store, 2000, 2.0, task=task)
    assert costs.spent_on(store, task) == (222, 3.0)
    last = attempts.of_task(store, task)[-1]
    assert costs.spent_on(store, task, but=last.id) == (111, 1.0)
    with store.transaction():
        tasks.update(store, task, 3.0, fresh_after=1)
    assert costs.spent_on(store, task) == (111, 2.0)


@pytest.mark.parametrize("count, p50, p95", [(1, 1, 1), (2, 1, 2), (20, 10, 19), (100, 50, 95)])
def test_durations_are_nearest_rank_percentiles(store, count, p50, p95):
    for seconds in range(1, count + 1):
        ran(store, 5000, 0.0, seconds=seconds)
    ran(store, 5000, 0.0, seconds=4000, outcome="cancelled")
    ran(store, 5000, 0.0, seconds=4000, error_class=ErrorClass.RATE_LIMIT)
    found = costs.durations(store, 0, ("cancelled",), ("rate_limit",))
    assert found == {"a": {"p50": p50, "p95": p95}}


def test_the_sums_are_read_off_the_index_alone(store):
    plan = store.rows(
        "EXPLAIN QUERY PLAN SELECT agent, sum(usd), sum(input_tokens) FROM attempts"
        " INDEXED BY attempts_ended WHERE ended_at >= 5 GROUP BY agent"
    )
    assert "COVERING INDEX attempts_ended" in plan[0]["detail"]


def test_something_is_told_once_until_it_is_settled(store):
    with store.transaction():
        assert notices.first(store, "agent:a", 1.0)
        assert not notices.first(store, "agent:a", 2.0)
        assert notices.first(store, "agent:b", 2.0)
        assert notices.first(store, "budget:x", 2.0)
        notices.settle(store, "agent:*")
        assert notices.first(store, "agent:a", 3.0)
        assert not notices.first(store, "budget:x", 3.0)
        notices.prune(store, 3.0)
    assert notices.known(store, "agent:a")
    assert not notices.known(store, "budget:x")


def test_a_notice_of_a_task_is_shown_while_it_still_waits(store):
    waits = ran(store, 1000, 1.0)
    gone = ran(store, 1000, 1.0)
    with store.transaction():
        for key in (waits, gone):
            tasks.update(store, key, 2.0, status="needs_review")
            events.append(store, 10.0, "notice_given", key, level="error", text=key)
        events.append(store, 10.0, "notice_given", gone, level="warning", text="warned")
        events.append(store, 10.0, "notice_given", waits, level="error", text="?", approval=1)
        events.append(store, 11.0, "notice_given", "", level="error", text="of all")
        events.append(store, 1.0, "notice_given", "", level="error", text="old")
        tasks.update(store, gone, 3.0, status="new")
    shown = [one.data["text"] for one in notices.latest(store, 5.0, 10)]
    assert shown == [waits, "warned", "of all"]
    assert [one.data["text"] for one in notices.latest(store, 5.0, 1)] == ["of all"]


def test_a_hook_keeps_its_place_and_a_new_one_begins_at_the_end(store):
    with store.transaction():
        hooks.keep(store, ("on_a", "on_b"), 10)
        hooks.move(store, "on_a", 15)
        hooks.move(store, "on_a", 12)
        hooks.keep(store, ("on_a", "on_c"), 20)
    assert hooks.places(store) == {"on_a": 15, "on_c": 20}
    with store.transaction():
        hooks.keep(store, (), 30)
        hooks.keep(store, ("on_a",), 30)
    assert hooks.places(store) == {"on_a": 30}, "one that was away has missed what happened"
