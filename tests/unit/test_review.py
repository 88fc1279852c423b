"""Reviews and merges as decisions: who, what an answer means, and what is next."""

import pytest

from orch.agents.answer import Unreadable, find
from orch.core import review as core
from orch.core.review import Rules, Seen
from orch.core.routing import Field
from orch.model import Answer, ErrorClass, Review, Verdict


def review(decision, **more):
    return Review(task="int-1", head="abc", reviewer="critic", decision=decision, **more)


@pytest.mark.parametrize(
    "labels, asked, enabled, every, expected",
    [
        ((), False, True, False, False),
        (("review",), False, True, False, True),
        ((), False, True, True, True),
        (("no-review",), False, True, True, False),
        (("review", "no-review"), False, True, False, False),
        (("review",), False, False, True, False),
        ((), True, False, False, True),
        (("no-review",), True, False, False, True),
    ],
)
def test_what_is_reviewed(labels, asked, enabled, every, expected):
    assert core.wanted(labels, asked=asked, enabled=enabled, every=every) is expected


@pytest.mark.parametrize(
    "authors, configured, available, failed, expected",
    [
        (("a",), "", ("a", "b"), (), "b"),
        (("a", "b"), "", ("a", "b"), (), "a"),
        (("a",), "", ("a",), (), "a"),
        (("a",), "", ("a", "b", "c"), ("b",), "c"),
        (("a",), "", ("a", "b"), ("b",), "a"),
        (("a",), "a", ("a", "b"), (), "a"),
        (("a",), "", ("shell", "b"), (), "b"),
        ((), "", ("a",), (), "a"),
    ],
)
def test_another_agent_than_the_author_where_there_is_one(
    authors, configured, available, failed, expected
):
    found = core.reviewer(
        authors=authors, configured=configured, field=Field(available=available),
        unfit=frozenset({"shell"}), failed=frozenset(failed),
    )  # fmt: skip
    assert found == (expected, "")


@pytest.mark.parametrize(
    "configured, told", [("", "b rests"), ("b", "b rests"), ("shell", "cannot review")]
)
def test_why_nobody_can_review_is_told(configured, told):
    field = Field(available=("shell",), unavailable={"b": "rests"})
    who, why = core.reviewer(
        authors=("b",), configured=configured, field=field, unfit=frozenset({"shell"})
    )
    assert who == ""
    assert told in why


@pytest.mark.parametrize(
    "decision, cycles, rules, do",
    [
        ("approve", 0, {}, "wait"),
        ("reject", 0, {}, "person"),
        ("request_changes", 0, {}, "back"),
        ("request_changes", 1, {}, "back"),
        ("request_changes", 2, {}, "person"),
        ("request_changes", 0, {"max_cycles": 0}, "person"),
        ("request_changes", 0, {"follow_up": False}, "person"),
    ],
)
def test_what_follows_from_a_decision(decision, cycles, rules, do):
    step = core.after(review(decision, notes="because"), cycles, Rules(**rules))
    assert step.do == do
    if do != "wait":
        assert "because" in step.reason
        assert "because" in step.feedback


@pytest.mark.parametrize(
    "seen, known, rules, do",
    [
        (Seen(head="abc"), None, {}, "review"),
        (Seen(head="abc"), "approve", {}, "merge"),
        (Seen(head="abc"), "approve", {"auto_merge": False}, "wait"),
        (Seen(head="abc"), "approve", {"auto_merge": False, "close_on_approval": True}, "done"),
        (Seen(head="abc"), "request_changes", {}, "person"),
        (Seen(head="abc"), "reject", {}, "person"),
        (Seen(head="abc", merged=True), None, {}, "done"),
        (Seen(head="", merged=True), "approve", {}, "done"),
        (Seen(head=""), None, {}, "person"),
    ],
)
def test_a_head_is_reviewed_once_and_then_acted_on(seen, known, rules, do):
    step = core.following(seen, known and review(known), "orch/int-1", Rules(**rules))
    assert step.do == do


def test_conflicts_go_to_the_agent_twice_with_the_very_commands():
    files = ("a b.txt", "c.txt")
    told = core.conflict(files, "1234567", "main", "squash", 1)
    assert told.do == "back"
    for line in ("git merge 1234567", "git add -- 'a b.txt' c.txt", "git commit --no-edit"):
        assert f"    {line}\n" in told.feedback
    assert (
        "    git rebase 1234567\n" in core.conflict(files, "1234567", "main", "rebase", 0).feedback
    )
    assert core.conflict(files, "1234567", "main", "merge", 2).do == "person"


def test_a_reviews_answer_is_read_as_far_as_it_can_be():
    text = """I looked.
```json
{"decision": "Request changes", "notes": "no tests", "test_results": ["1 failed", "2 passed"],
 "issues": [{"file": "a.py", "line": "7", "severity": "high", "description": "wrong"},
            {"line": 3, "description": "odd"}, "rubbish"]}
```"""
    found = find(text)
    assert found is not None
    read = core.read(found.review, task="int-1", head="abc", reviewer="x", at=1.0)
    assert (read.decision, read.notes) == ("request_changes", "no tests")
    assert read.test_results == "1 failed\n2 passed"
    assert read.issues == (
        {"file": "a.py", "line": None, "severity": "high", "description": "wrong"},
        {"file": "", "line": 3, "severity": "medium", "description": "odd"},
    )


def test_a_decision_that_is_none_is_no_answer():
    assert find('{"decision": "maybe"}') is None
    with pytest.raises(Unreadable, match="no JSON"):
        find('```json\n{"decision": "approve",\n```')


def test_feedback_fits_into_the_prompt():
    issues = ({"file": "é" * 9000, "line": 1, "severity": "high", "description": "d" * 9000},) * 3
    told = core.feedback(review("request_changes", notes="n" * 9000, issues=issues))
    assert len(told.encode()) <= core.FEEDBACK_BYTES


def test_a_run_is_judged_by_what_it_was_for():
    work = Verdict(ok=True, answer=Answer(status="done", summary="s"))
    decided = Verdict(ok=True, answer=Answer(status="done", review={"decision": "approve"}))
    assert core.judged(work).error is ErrorClass.INVALID_RESPONSE
    assert core.judged(decided).ok
    assert core.worked(work).ok
    assert core.worked(decided).error is ErrorClass.INVALID_RESPONSE
    both = {"decision": "approve", "status": "done"}
    assert core.worked(Verdict(ok=True, answer=Answer(status="done", review=both))).ok
