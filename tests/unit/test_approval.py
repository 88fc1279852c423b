"""Questions and answers as values: which question is meant, what is said, which answer holds."""

from __future__ import annotations

import msgspec
import pytest

from orch.cli import happened
from orch.core import approval
from orch.errors import Ambiguous, Malformed, NotFound, Refused
from orch.model import Approval, ApprovalState, Event, Question, Settled

S = ApprovalState


def row(number: int = 7, **more) -> Approval:
    given = {"tool": "Bash", "text": "rm -r build", "question": f"req-{number}-a", **more}
    return Approval(id=number, task="int-1", n=1, session="s", agent="claude", **given)


def test_what_is_asked_is_one_sentence():
    assert approval.words("Bash", "rm -r build", ()) == "may it use Bash: rm -r build?"
    assert approval.words("Bash", "", ()) == "may it use Bash?"
    assert approval.words("AskUserQuestion", "A or B?", ("A", "B")) == "A or B? (A, B)"
    long = approval.words("Bash", "a\nb" + "x" * 5000, ())
    assert "a ⏎ bx" in long
    assert len(long) < 400


def test_a_task_says_what_it_waits_for_and_how_to_answer():
    assert approval.waiting_for("int-1", []) == ""
    told = {"state": S.DENIED, "by": "ada", "answered_at": 5.0}
    assert approval.waiting_for("int-1", [row(**told, delivered=True)]) == ""
    assert approval.waiting_for("int-1", [row(**told, problem="it ended")]) == ""
    under_way = approval.waiting_for("int-1", [row(**told)])
    assert under_way == "the agent to be told: denied by ada: may it use Bash: rm -r build?"
    one = approval.waiting_for("int-1", [row(6, state=S.ALLOWED), row(7)])
    assert one == (
        "an answer: may it use Bash: rm -r build? (`orch task approve int-1`,"
        " or `orch task deny int-1 REASON`)"
    )
    choice = approval.waiting_for("int-1", [row(text="A or B?", options=("A", "B"))])
    assert "`orch task approve int-1 --choose 'A'`" in choice
    two = approval.waiting_for("int-1", [row(7), row(8, tool="Write", text="a.txt")])
    assert two.startswith("2 answers: [7] may it use Bash: rm -r build?; [8] may it use Write")
    assert "`orch task approve int-1 8`" in two


@pytest.mark.parametrize(
    ("name", "number"),
    [("", 7), ("7", 7), ("req-7-a", 7), ("req-7-", 7)],
)
def test_the_only_question_needs_no_name_and_has_several(name, number):
    rows = [row(3, state=S.ALLOWED, by="ada"), row(7)]
    assert approval.choose("int-1", rows, name).id == number


def test_several_questions_are_listed_and_told_apart():
    rows = [row(7), row(8, tool="Write", text="a.txt")]
    with pytest.raises(Ambiguous, match=r"2 answers: \[7\] .*rm -r build.*; \[8\] .*Write: a.txt"):
        approval.choose("int-1", rows, "")
    assert approval.choose("int-1", rows, "8").id == 8
    with pytest.raises(Ambiguous):
        approval.choose(
            "int-1", [row(7, question="abcdef-1"), row(8, question="abcdef-2")], "abcdef"
        )


def test_a_number_is_never_taken_for_an_id_of_the_agent_s_or_its_beginning():
    rows = [row(7, question="1"), row(8, question="10")]
    for name in ("1", "10"):
        with pytest.raises(NotFound, match="asks no question"):
            approval.choose("int-1", rows, name)
    with pytest.raises(NotFound, match="asks no question 'req'"):
        approval.choose("int-1", [row(7)], "req")


@pytest.mark.parametrize(
    ("rows", "name", "says"),
    [
        ([], "", "int-1 asks nothing now$"),
        ([row(7, state=S.ALLOWED, by="ada")], "", "its last question was allowed by ada: may it"),
        ([row(7, state=S.ALLOWED, by="ada")], "7", "question 7 of int-1 was allowed by ada"),
        ([row(7, state=S.EXPIRED, problem="attempt 1 ended")], "7", "never answered: .*1 ended"),
        ([row(7, state=S.DENIED, by="bo", problem="it ended"), row(8)], "7", "did not reach"),
    ],
)
def test_what_needs_no_answer_any_more_is_told(rows, name, says):
    with pytest.raises(Refused, match=says):
        approval.choose("int-1", rows, name)


def test_a_question_with_options_wants_one_of_them():
    asks = row(text="A or B?", options=("Apples", "Bread"))
    assert approval.reason_of(asks, True, "apples ") == "Apples"
    assert approval.reason_of(asks, True, "neither") == "neither"
    assert approval.reason_of(asks, False, "") == ""
    assert approval.reason_of(row(), True, "") == ""
    with pytest.raises(Malformed, match="wants a choice") as raised:
        approval.reason_of(asks, True, " ")
    assert "--choose 'Apples'" in raised.value.hint


OURS = approval.key(7)
TYPED = Settled(question="req-7-a", allowed=True)
BACK = Settled(question="req-7-a", allowed=None, reason="taken back")


@pytest.mark.parametrize(
    ("before", "seen", "change"),
    [
        (row(state=S.ALLOWED), Settled(question="q", allowed=True, key=OURS), {"delivered": True}),
        (row(state=S.EXPIRED), Settled(question="q", allowed=True, key=OURS), {"delivered": True}),
        (row(), TYPED, {"state": S.ALLOWED, "by": approval.SOMEBODY, "delivered": True}),
        (row(state=S.EXPIRED, problem="x"), TYPED, {"state": S.ALLOWED, "delivered": True}),
        (row(state=S.DENIED, by="bo"), TYPED, {"state": S.ALLOWED, "by": approval.SOMEBODY}),
        (row(), BACK, {"state": S.EXPIRED, "problem": "taken back"}),
        (row(state=S.DENIED), BACK, {"state": S.DENIED, "problem": "taken back"}),
        (row(state=S.EXPIRED, problem="x"), BACK, {}),
        (row(state=S.DENIED, delivered=True), TYPED, {}),
    ],
)
def test_the_session_decides_which_answer_holds(before, seen, change):
    found = approval.settled(before, seen)
    assert {name: found.get(name) for name in change} == change
    assert bool(found) is bool(change)
    assert approval.settled(msgspec.structs.replace(before, **found), seen) == {}, "once"


def test_what_is_kept_is_bounded_and_holds_no_zero_bytes():
    text, options = "x\0" * 9999, ("o" * 999,) * 99
    kept = approval.kept(Question(question="q\0", tool="t" * 9999, text=text, options=options))
    assert "\0" not in kept.question + kept.text
    assert (len(kept.text), len(kept.tool), len(kept.options)) == (4000, 400, 50)


def test_an_answer_s_key_leads_back_to_its_question():
    assert approval.number(approval.key(12)) == 12
    assert [approval.number(key) for key in ("", "answer:", "answer:x", "send:1")] == [None] * 4


def test_events_of_questions_are_sentences():
    data = {"approval": 7, "agent": "claude", "tool": "Bash", "text": "rm -r build"}
    asked = Event(seq=1, at=0.0, name="approval_asked", task="int-1", data=data)
    assert happened.said(asked) == (
        "[7] claude asks: may it use Bash: rm -r build? (`orch task approve int-1 7`)"
    )
    told = {**data, "answer": "denied", "by": "ada", "reason": "use make"}
    answered = Event(seq=2, at=0.0, name="approval_answered", task="int-1", data=told)
    assert happened.said(answered) == "[7] denied by ada: use make (Bash rm -r build)"
    for name in happened.SENTENCES:
        assert happened.said(Event(seq=3, at=0.0, name=name, task="int-1")) != ""
    assert happened.said(Event(seq=4, at=0.0, name="task_changed")) == ""


def test_the_next_attempt_is_told_what_people_answered_before_it():
    rows = [
        row(1, state=S.DENIED, reason="keep it"),
        row(2, state=S.ALLOWED),
        row(3, state=S.EXPIRED),
        row(4),
    ]
    told = (
        ("may it use Bash: rm -r build?", "denied: keep it"),
        ("may it use Bash: rm -r build?", "allowed"),
    )
    assert approval.answered(rows, 2) == told
    assert approval.answered(rows, 1) == (), "its own questions are in its conversation"
