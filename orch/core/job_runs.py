"""Runs of jobs: whether one may begin while the last goes on, and what a command's run came to."""

from __future__ import annotations

from typing import NamedTuple

LONGEST_QUEUE = 10
"""Runs of one job that may wait: more would only be done too late."""

SUMMARY_CHARACTERS = 300


class Admission(NamedTuple):
    """What becomes of a due time: `start`, `queue` or `skip`, and why."""

    step: str
    reason: str = ""


class Outcome(NamedTuple):
    """What a command's run came to: done, failed, timeout, cancelled or lost; and in words."""

    outcome: str
    summary: str


def admit(overlap: str, busy: str, waiting: int) -> Admission:
    """What the job's `overlap` says to a due time while `busy` ('' for nothing) goes on and
    `waiting` of its runs have not begun."""
    if not busy or overlap == "allow":
        return Admission("start")
    if overlap != "queue":
        return Admission("skip", f"skipped: {busy} is not finished")
    if waiting >= LONGEST_QUEUE:
        return Admission("skip", f"skipped: {waiting} runs wait already, for {busy}")
    return Admission("queue", f"waits for {busy}")


def outcome(
    ended_by: str, exit_code: int | None, signal: int | None, message: str, last: str
) -> Outcome:
    """How a command's run ended, from the result of its session; `last` is its last line."""
    last = _cut(last)
    if ended_by == "exit" and exit_code == 0:
        return Outcome("done", last or "done")
    if ended_by == "exit":
        how = f"exit code {exit_code}" if signal is None else f"ended by signal {signal}"
        return Outcome("failed", f"{how}: {last}" if last else how)
    if ended_by in ("timeout", "cancelled", "lost"):
        return Outcome(ended_by, _cut(message) or ended_by)
    if ended_by == "hangup":
        return Outcome("cancelled", "its session was ended from outside")
    return Outcome("failed", _cut(message) or ended_by)


def last_line(text: str) -> str:
    """The last line of a text that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_CHARACTERS else f"{line[: SUMMARY_CHARACTERS - 1]}…"
