"""Whether a job's run may begin while the last goes on, and what a command's run came to."""

from __future__ import annotations

import pytest

from orch.core.job_runs import LONGEST_QUEUE, SUMMARY_CHARACTERS, admit, last_line, outcome


@pytest.mark.parametrize(
    ("overlap", "busy", "waiting", "step"),
    [
        ("skip", "", 0, "start"),
        ("queue", "", 0, "start"),
        ("allow", "", 0, "start"),
        ("skip", "int-1", 0, "skip"),
        ("queue", "int-1", 0, "queue"),
        ("queue", "int-1", LONGEST_QUEUE - 1, "queue"),
        ("queue", "int-1", LONGEST_QUEUE, "skip"),
        ("allow", "int-1", 99, "start"),
    ],
)
def test_overlap_decides_while_the_last_run_goes_on(
    overlap: str, busy: str, waiting: int, step: str
) -> None:
    admission = admit(overlap, busy, waiting)
    assert admission.step == step
    assert bool(admission.reason) == (step != "start")
    assert busy in admission.reason or step == "start"


@pytest.mark.parametrize(
    ("ended_by", "code", "signal", "message", "last", "expected"),
    [
        ("exit", 0, None, "", "all good", ("done", "all good")),
        ("exit", 0, None, "", "", ("done", "done")),
        ("exit", 3, None, "", "no such file", ("failed", "exit code 3: no such file")),
        ("exit", 1, None, "", "", ("failed", "exit code 1")),
        ("exit", None, 9, "", "working", ("failed", "ended by signal 9: working")),
        ("timeout", None, 9, "3 s are over", "x", ("timeout", "3 s are over")),
        ("cancelled", None, 2, "", "x", ("cancelled", "cancelled")),
        ("hangup", None, 1, "", "x", ("cancelled", "its session was ended from outside")),
        ("launch_failed", None, None, "no such folder", "", ("failed", "no such folder")),
    ],
)  # fmt: skip
def test_a_run_is_told_in_a_word_and_a_line(ended_by, code, signal, message, last, expected):
    assert outcome(ended_by, code, signal, message, last) == expected


def test_a_summary_is_one_line_of_limited_length() -> None:
    said = outcome("exit", 0, None, "", "word " * 1000)
    assert len(said.summary) == SUMMARY_CHARACTERS
    assert last_line("one\n  two \n\n \n") == "two"
    assert last_line(" \n") == ""
