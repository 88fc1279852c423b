"""Answers are found wherever agents put them, and never made up."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orch.agents.answer import Unreadable, find, read

DONE = {"status": "done", "summary": "added it"}
TEXT = json.dumps(DONE)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        json.dumps(DONE, indent=2),
        f"\ufeff  {TEXT}\n\n",
        f"I did it.\n\n```json\n{TEXT}\n```\nGood bye!",
        f"~~~\n{TEXT}\n~~~",
        f"Some {{braces}} and {{ broken json: }} before {TEXT} and prose after {{x}}",
        json.dumps({"type": "result", "result": TEXT}),
        json.dumps({"result": f"Done!\n```json\n{TEXT}\n```"}),
        json.dumps({"structured_output": DONE, "result": "prose"}),
        json.dumps({"answer": {"response": DONE}}),
        f'{{"status": "blocked", "summary": "first"}}\nno, wait\n{TEXT}',
        json.dumps({**DONE, "parts": [{"status": "blocked"}]}),
        json.dumps({"status": " Done ", "summary": "added it"}),
    ],
)
def test_an_answer_is_found(text):
    answer = find(text)
    assert answer
    assert (answer.status, answer.summary) == ("done", "added it")
    assert read(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        *("", "all done", "{", "{}" * 50, '{"status": "ok"}', '{"status": 1}', '"done"'),
        *("{" * 100_000, "[" * 5000 + "{", '{"a":' * 5000),
        *('{"status": "done"', "```sh\necho {}\n```"),
    ],
)
def test_what_is_no_answer_is_none(text):
    assert find(text) is None
    with pytest.raises(Unreadable):
        read(text)


def test_a_block_that_was_meant_as_the_answer_but_is_broken_is_unreadable():
    with pytest.raises(Unreadable, match="no JSON"):
        find('well\n```json\n{"status": "done", "summary": "it is "quoted""}\n```\n')


@pytest.mark.parametrize(
    "text, why",
    [
        ("not json", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"summary": "x"}', "no status"),
        ('{"status": "finished"}', "'finished', not one of blocked, done"),
    ],
)
def test_why_an_answer_cannot_be_read_is_told(text, why):
    with pytest.raises(Unreadable, match=why):
        read(text)


def test_every_field_is_taken_in_the_shapes_agents_write():
    answer = read(
        json.dumps(
            {
                "status": "in-progress",
                "summary": None,
                "accomplished": ["a", 2, {"b": 1}],
                "remaining": "one thing",
                "blockers": [],
                "reason": ["x"],
                "delegations": [{"title": "t"}, "rubbish"],
                "unknown": 1,
            }
        )
    )
    assert answer.status == "in_progress"
    assert answer.summary == ""
    assert answer.accomplished == ("a", "2", '{"b": 1}')
    assert answer.remaining == ("one thing",)
    assert answer.blockers == ()
    assert answer.reason == '["x"]'
    assert answer.delegations == ({"title": "t"},)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_but_never_an_error(text):
    try:
        find(text)
    except Unreadable:
        return


@given(prose=st.text(max_size=200), after=st.text(alphabet="abc .\n", max_size=50))
def test_an_answer_after_any_prose_is_found_unless_the_prose_swallows_it(prose, after):
    answer = find(f"{prose.replace('{', '')}\n{TEXT}\n{after}")
    assert answer
    assert answer.summary == "added it"
