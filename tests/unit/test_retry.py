"""What follows from the end of an attempt, over the whole table of classes."""

import pytest

from orch.core.retry import History, follow
from orch.model import Answer, ErrorClass, Status, Verdict

E, S = ErrorClass, Status


def after(error, *, counted=0, same=0, parked=0, most=10, past=None, **more):
    history = History(counted=counted, same_error=same, parked=parked, **(past or {}))
    verdict = Verdict(ok=False, error=error, message="it said no", **more)
    return follow(verdict, history, max_attempts=most, now=1000.0)


@pytest.mark.parametrize(
    "said, status",
    [
        ("done", S.DONE),
        ("in_progress", S.ROUTED),
        ("blocked", S.BLOCKED),
        ("needs_review", S.NEEDS_REVIEW),
    ],
)
def test_an_answer_leads_where_it_says(said, status):
    verdict = Verdict(ok=True, answer=Answer(status=said, summary="x"))
    assert follow(verdict, History(counted=0), max_attempts=3, now=0.0).status is status


@pytest.mark.parametrize(
    "error, status, counted, other_agent",
    [
        (E.USAGE_LIMIT, S.ROUTED, False, True),
        (E.RATE_LIMIT, S.ROUTED, False, True),
        (E.OVERLOADED, S.ROUTED, False, True),
        (E.AUTH, S.ROUTED, False, True),
        (E.BILLING, S.ROUTED, False, True),
        (E.MISSING_TOOL, S.ROUTED, False, True),
        (E.LAUNCH_FAILED, S.ROUTED, False, True),
        (E.OUTPUT_LIMIT, S.ROUTED, True, True),
        (E.TURN_LIMIT, S.ROUTED, True, True),
        (E.REFUSAL, S.ROUTED, True, True),
        (E.MODEL_UNAVAILABLE, S.ROUTED, True, True),
        (E.CONTEXT_OVERFLOW, S.ROUTED, True, False),
        (E.TIMEOUT, S.ROUTED, True, False),
        (E.AGENT_CRASHED, S.ROUTED, True, False),
        (E.AGENT_FAILED, S.ROUTED, True, False),
        (E.INVALID_RESPONSE, S.ROUTED, True, False),
        (E.NETWORK, S.ROUTED, True, False),
        (E.PERMISSION_DENIED, S.NEEDS_REVIEW, True, False),
        (E.WAITING_FOR_INPUT, S.NEEDS_REVIEW, True, False),
        (E.BUDGET, S.NEEDS_REVIEW, True, False),
        (E.INFRASTRUCTURE, S.ROUTED, False, False),
        (E.LOST, S.ROUTED, False, False),
        (E.CANCELLED, S.BLOCKED, False, False),
    ],
)
def test_each_class_has_its_consequence(error, status, counted, other_agent):
    found = after(error)
    assert (found.status, found.counted, found.other_agent) == (status, counted, other_agent)


def test_the_table_above_is_whole():
    told = {args[0] for args in test_each_class_has_its_consequence.pytestmark[0].args[1]}
    assert told == set(ErrorClass)


ASKED = [E.OUTPUT_LIMIT, E.TURN_LIMIT, E.REFUSAL, E.INVALID_RESPONSE]


@pytest.mark.parametrize("error", ErrorClass)
def test_only_these_are_asked_about_once_more_at_once_and_uncharged(error):
    found = after(error, past={"can_ask": True})
    assert found.ask is (error in ASKED)
    if found.ask:
        assert (found.status, found.counted) == (S.IN_PROGRESS, False)


@pytest.mark.parametrize("error", ASKED)
def test_nobody_is_asked_about_the_same_thing_twice(error):
    again = after(error, past={"can_ask": True, "asked": frozenset({error}), "why_asked": error})
    assert not again.ask
    person = error is E.INVALID_RESPONSE
    assert again.status is (S.NEEDS_REVIEW if person else S.ROUTED)
    assert again.other_agent is not person
    assert "it said no" in again.reason


def test_another_thing_may_be_asked_about_in_the_same_conversation():
    past = {"can_ask": True, "asked": frozenset({E.TURN_LIMIT}), "why_asked": E.TURN_LIMIT}
    assert after(E.INVALID_RESPONSE, past=past).ask


@pytest.mark.parametrize(
    "why, status", [(E.INVALID_RESPONSE, S.NEEDS_REVIEW), (E.TURN_LIMIT, S.ROUTED)]
)
def test_a_conversation_that_cannot_be_taken_up_again_is_no_fault_of_its_agent(why, status):
    past = {"can_ask": True, "asked": frozenset({why}), "why_asked": why, "kept": "what it said"}
    found = after(E.LAUNCH_FAILED, past=past)
    assert (found.status, found.broken, found.cooldown) == (status, False, 0.0)
    assert "what it said" in found.reason
    assert "it said no" in found.reason


@pytest.mark.parametrize("error", ErrorClass)
def test_only_these_take_an_agent_out_of_use_until_it_is_checked(error):
    broken = error in (E.AUTH, E.BILLING, E.MISSING_TOOL, E.LAUNCH_FAILED)
    assert after(error).broken is broken


def test_a_model_that_there_is_not_rests_for_an_hour():
    assert after(E.MODEL_UNAVAILABLE).cooldown == 1000.0 + 3600


def test_a_limit_rests_until_the_stated_reset_else_half_an_hour():
    assert after(E.USAGE_LIMIT, retry_at=5000.0).cooldown == 5000.0
    assert after(E.USAGE_LIMIT).cooldown == 1000.0 + 1800


def test_the_same_error_three_times_is_for_a_person():
    assert after(E.AGENT_FAILED, same=1).other_agent
    third = after(E.AGENT_FAILED, same=2)
    assert third.status is S.NEEDS_REVIEW
    assert "3 times" in third.reason


def test_used_up_attempts_block_the_task():
    last = after(E.TIMEOUT, counted=2, most=3)
    assert last.status is S.BLOCKED
    assert "all 3 attempts" in last.reason


def test_what_orch_did_wrong_waits_longer_each_time_and_is_never_charged():
    pauses = [after(E.LOST, parked=n).not_before - 1000.0 for n in (0, 1, 2, 5, 20)]
    assert pauses == [0.0, 2.0, 4.0, 32.0, 300.0]


@pytest.mark.parametrize(("same", "waits"), [(0, 1.5), (1, 2.0), (4, 16.0), (40, 1800.0)])
def test_a_reset_that_was_stated_wrongly_is_believed_less_each_time(same, waits):
    assert after(E.RATE_LIMIT, same=same, retry_at=1001.5).cooldown == 1000.0 + waits


@pytest.mark.parametrize("error", [E.AUTH, E.BILLING, E.MISSING_TOOL, E.LAUNCH_FAILED])
def test_a_broken_agent_rests_until_it_is_checked(error):
    assert after(error).broken
