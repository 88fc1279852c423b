"""Rows of reviews, standings, merges and broken agents: every promise of the schema."""

import apsw
import pytest

from orch.model import ErrorClass, Phase, Rest, Review, Task
from orch.store import attempts, cooldowns, reviews, tasks
from orch.store.db import Store
from orch.store.reviews import Merge, Standing


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "orch.db")
    opened.take_over()
    with opened.transaction():
        task = Task(key="", project="o/r", title="t", created_at=1.0)
        tasks.insert_internal(opened, task, priority=0)
    yield opened
    opened.close()


def review(head, decision, **more):
    return Review(task="int-1", head=head, reviewer="critic", decision=decision, **more)


def ended(store, n, *, kind="work", head="", error=None):
    made = attempts.insert(store, "int-1", n, "a", "", 1.0)
    attempts.update(store, made.id, kind=kind, head=head, error_class=error)
    attempts.update(store, made.id, phase=Phase.ENDED)
    return attempts.get(store, made.id)


def test_a_review_comes_back_as_it_went_in_and_a_head_has_one(store):
    issue = {"file": "a", "line": 1, "severity": "high", "description": "ü"}
    given = review("abc", "approve", notes="n", test_results="t", issues=(issue,), at=2.0)
    with store.transaction():
        reviews.insert(store, given)
    assert reviews.of_head(store, "int-1", "abc") == given
    assert reviews.of_head(store, "int-1", "def") is None
    with pytest.raises(apsw.ConstraintError), store.transaction():
        reviews.insert(store, review("abc", "reject"))


def test_only_an_approval_survives_the_wish_for_another_review(store):
    with store.transaction():
        reviews.insert(store, review("a", "approve"))
        reviews.insert(store, review("b", "request_changes"))
        reviews.supersede(store, "int-1")
        reviews.insert(store, review("b", "approve"))
    assert [(one.head, one.decision) for one in reviews.of_task(store, "int-1")] == [
        ("a", "approve"), ("b", "approve"),
    ]  # fmt: skip


def test_a_standing_is_counted_anew_and_keeps_its_feedback(store):
    assert reviews.standing(store, "int-1") == Standing()
    with store.transaction():
        reviews.stand(
            store, "int-1", Standing(asked=True, cycles=2, conflicts=1, feedback="mend it")
        )
        reviews.start_over(store, "int-1")
    assert reviews.standing(store, "int-1") == Standing(asked=True, feedback="mend it")


def test_the_latest_merge_counts(store):
    assert reviews.merge_of(store, "int-1") is None
    one = Merge(head="h", into_branch="main", onto="m", made="c")
    two = Merge(head="h", into_branch="main", onto="n", made="d", done=True)
    other = Merge(head="i", into_branch="main", onto="d", made="e")
    with store.transaction():
        reviews.make_ready(store, "int-1", one, 1.0)
        reviews.make_ready(store, "int-1", two, 2.0)
        assert reviews.merge_of(store, "int-1") == two
        reviews.make_ready(store, "int-1", other, 3.0)
    assert reviews.merge_of(store, "int-1") == other


def test_a_broken_agent_stays_so_whatever_the_time_and_is_marked_once(store):
    with store.transaction():
        cooldowns.cool(store, Rest(account="a", until=50.0, reason="limit"))
        assert cooldowns.mark_broken(store, Rest(account="a", until=10.0, reason="auth"))
        assert not cooldowns.mark_broken(store, Rest(account="a", until=11.0, reason="again"))
        cooldowns.cool(store, Rest(account="b", until=50.0, reason="limit"))
    a = Rest(account="a", until=50.0, reason="auth", broken=True)
    assert cooldowns.lasting(store, 60.0) == (a,)
    assert cooldowns.lasting(store, 20.0) == (a, Rest(account="b", until=50.0, reason="limit"))
    with store.transaction():
        assert cooldowns.mend(store, "a", "") == ["a"]
        assert cooldowns.mend(store, "a", "") == []
        assert cooldowns.mend(store, "b", "") == [], "a limit is not mended by a check"
    assert [one.account for one in cooldowns.lasting(store, 20.0)] == ["b"]


def test_an_account_and_an_agent_of_the_same_name_rest_apart(store):
    with store.transaction():
        cooldowns.cool(store, Rest(account="a", model="m", until=50.0))
        cooldowns.cool(store, Rest(account="a", until=40.0))
        assert cooldowns.mark_broken(store, Rest(agent="a", reason="missing_tool"))
        assert cooldowns.mark_broken(store, Rest(account="c", reason="auth"))
    assert cooldowns.next_end(store, 10.0) == 40.0
    assert cooldowns.next_end(store, 45.0) == 50.0
    assert cooldowns.next_end(store, 50.0) is None
    with store.transaction():
        assert sorted(cooldowns.mend(store, "c", "a")) == ["", "c"]
        assert cooldowns.mark_broken(store, Rest(agent="b"))
        cooldowns.clear(store, ("a",), "other")
    assert cooldowns.lasting(store, 10.0) == (Rest(agent="b", broken=True),)
    with store.transaction():
        cooldowns.clear(store, ("other",), "b")
        cooldowns.cool(store, Rest(account="a", until=50.0))
        cooldowns.clear_all(store)
    assert cooldowns.lasting(store, 10.0) == ()


def test_attempts_are_looked_back_at_by_their_kind(store):
    with store.transaction():
        first = ended(store, 1, error=ErrorClass.TIMEOUT)
        ended(store, 2, kind="review", head="x", error=ErrorClass.TIMEOUT)
        ended(store, 3, kind="review", head="y")
        again = ended(store, 4, kind="review", head="x")
        last = ended(store, 5)
    assert [one.n for one in attempts.since_fresh(store, "int-1")] == [1, 5]
    assert [one.n for one in attempts.before(store, last)] == [1]
    assert [one.n for one in attempts.before(store, again)] == [2]
    assert attempts.before(store, first) == []
