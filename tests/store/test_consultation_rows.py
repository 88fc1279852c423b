"""Rows of consultations: counted once, summed by what is asked, charged until started over."""

import pytest

from orch.model import Consultation, Usage
from orch.store import consultations
from orch.store.db import Store


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "orch.db")
    opened.take_over()
    yield opened
    opened.close()


def asked(store, key, usd, *, task="int-1", at=1000.0, agent="a", project="o/r", kind="route"):
    used = Usage(input_tokens=100, output_tokens=10, cache_read_tokens=7, cache_write_tokens=1,
                 usd=usd)  # fmt: skip
    one = Consultation(key=key, kind=kind, project=project, task=task, agent=agent, model="m",
                       usage=used, at=at)  # fmt: skip
    with store.transaction():
        return one, consultations.insert(store, one)


def summed(store, *by, since=0.0, until=1e12, project=""):
    rows = consultations.sums(store, since, until, by, project)
    return [(*(row[name] for name in by), row["consultations"], row["usd"]) for row in rows]


def test_a_consultation_comes_back_as_it_went_in_and_is_counted_once(store):
    one, new = asked(store, "k", 1.0)
    assert new
    assert asked(store, "k", 5.0)[1] is False
    assert consultations.of_task(store, "int-1") == [one]
    assert consultations.of_task(store, "int-2") == consultations.of_task(store, "") == []


def test_sums_are_by_what_is_asked_within_the_span_and_the_project(store):
    asked(store, "1", 1.0)
    asked(store, "2", 2.0, agent="b", task="int-2", at=2000.0)
    asked(store, "3", None, task="", at=5000.0, project="o/other")
    assert summed(store) == [(3, 3.0)]
    assert summed(store, "agent") == [("b", 1, 2.0), ("a", 2, 1.0)]
    assert summed(store, "model") == [("m", 3, 3.0)]
    assert summed(store, "task") == [("int-2", 1, 2.0), ("int-1", 1, 1.0), ("", 1, None)]
    assert summed(store, "day") == [(900, 1, 1.0), (1800, 1, 2.0), (4500, 1, None)]
    assert summed(store, since=2000.0, until=5000.0) == [(1, 2.0)]
    assert summed(store, project="o/other") == [(1, None)]
    (row,) = consultations.sums(store, 0, 1e12, ())
    assert (row["attempts"], row["unpriced"], row["input_tokens"]) == (0, 1, 300)
    assert consultations.spent_since(store, 1500.0) == 2.0
    assert consultations.spent_since(store, 9000.0) == 0.0


def test_a_task_is_charged_for_what_was_asked_since_it_was_started_over(store):
    asked(store, "1", 1.0)
    asked(store, "2", None)
    asked(store, "3", 4.0, task="int-2")
    asked(store, "4", 8.0, task="")
    assert consultations.spent_on(store, "int-1") == (222, 1.0)
    assert consultations.spent_on(store, "") == (0, 0.0)
    with store.transaction():
        consultations.start_over(store, "int-1")
    assert consultations.spent_on(store, "int-1") == (0, 0.0)
    asked(store, "5", 2.0)
    assert consultations.spent_on(store, "int-1") == (111, 2.0)
    assert consultations.spent_on(store, "int-2") == (111, 4.0)
    assert consultations.spent_since(store, 0.0) == 15.0, "the day has spent it all the same"


def test_what_was_asked_for_a_plan_becomes_its_goals(store):
    asked(store, "1", 1.0, task="", kind="plan")
    asked(store, "2", 1.0, task="", kind="plan")
    asked(store, "3", 1.0, task="int-2", kind="plan")
    with store.transaction():
        consultations.adopt(store, ("1", "3", "none"), "int-1")
    assert [one.key for one in consultations.of_task(store, "int-1")] == ["1"]
    assert [one.key for one in consultations.of_task(store, "int-2")] == ["3"]
