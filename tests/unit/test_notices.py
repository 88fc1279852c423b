"""Notices: of what a person is told, how loudly, and how often."""

from __future__ import annotations

import pytest

from orch.core import notices


@pytest.mark.parametrize(
    "name, data, level, text",
    [
        ("task_changed", {"status": "needs_review", "reason": "3 of 3"}, "error",
         "int-1 needs a look: 3 of 3"),
        ("task_changed", {"status": "blocked", "reason": "all 10 attempts are used up"}, "error",
         "int-1 is blocked: all 10 attempts are used up"),
        ("task_changed", {"status": "blocked", "reason": "stopped by ada"}, "", ""),
        ("task_changed", {"status": "blocked", "reason": "later", "by": "ada"}, "", ""),
        ("task_changed", {"status": "blocked", "reason": "waits for its subtasks int-2"}, "", ""),
        ("task_changed", {"status": "done"}, "", ""),
        ("agent_broken", {"agent": "claude", "reason": "auth: 401"}, "error",
         "the agent claude cannot be used (auth: 401), until `orch agents --check` passes"),
        ("agent_broken", {"agent": "claude", "account": "team", "reason": "auth: 401"}, "error",
         "the agent claude cannot be used, nor any other of its account team (auth: 401), "
         "until `orch agents --check` passes"),
        ("attempt_ended", {"error_class": "auth", "agent": "claude"}, "", ""),
        ("attempt_ended", {"error_class": "timeout", "agent": "claude"}, "", ""),
        ("approval_asked", {"approval": 3, "tool": "Bash", "text": "make", "options": []}, "error",
         "int-1 asks whether it may use Bash: make; `orch task approve int-1 3`, or deny"),
        ("approval_asked", {"approval": 3, "tool": "x", "text": "Tabs?", "options": ["a"]}, "error",
         "int-1 asks Tabs?; `orch task approve int-1 3`, or deny"),
        ("budget_warned", {"text": "80 of 100"}, "warning", "80 of 100"),
        ("budget_spent", {"text": "today"}, "error", "today"),
        ("price_missed", {"text": "what does it cost"}, "warning", "what does it cost"),
        ("service_failing", {"service": "web"}, "error",
         "the service web keeps failing; see `orch status`"),
        ("job_ended", {"type": "bash", "job": "j", "outcome": "lost", "summary": "gone"}, "warning",
         "the job j came to lost: gone"),
        ("job_ended", {"type": "bash", "job": "j", "outcome": "done", "summary": "ok"}, "", ""),
        ("job_ended", {"type": "task", "job": "j", "outcome": "blocked", "summary": "x"}, "", ""),
        ("output_seen", {}, "", ""),
    ],
)  # fmt: skip
def test_what_a_person_is_told(name, data, level, text):
    found = notices.of(name, "int-1", data)
    assert (found.level, found.text) == (level, text) if level else found is None


@pytest.mark.parametrize(
    "level, error, warning",
    [("all", True, True), ("errors_only", True, False), ("none", False, False)],
)
def test_the_level_chooses(level, error, warning):
    assert notices.wanted(level, notices.Notice(level="error", text="")) is error
    assert notices.wanted(level, notices.Notice(level="warning", text="")) is warning


def test_a_broken_agent_is_told_of_once_until_it_works_or_may_try_again():
    told = notices.of("agent_broken", "", {"agent": "codex", "reason": "billing"})
    assert told is not None
    assert told.about == "agent:codex"
    ended = {"agent": "codex", "error_class": None}
    assert notices.settled("attempt_ended", ended) == "agent:codex"
    assert notices.settled("attempt_ended", ended | {"error_class": "auth"}) is None
    assert notices.settled("agent_mended", {"agent": "codex"}) == "agent:codex"
    shared = {"agent": "codex", "account": "team"}
    told = notices.of("agent_broken", "", shared | {"reason": "billing"})
    assert told is not None
    assert told.about == notices.settled("agent_mended", shared) == "agent:team"
    assert notices.settled("cooldowns_cleared", {"agent": ""}) == "agent:*"
    assert notices.settled("cooldowns_cleared", {"agent": "codex"}) == "agent:codex"


def test_a_job_that_fails_each_time_is_told_of_once_until_it_goes_well():
    run = {"type": "bash", "project": "o/r", "job": "j", "outcome": "failed", "summary": "exit 1"}
    told = notices.of("job_ended", "", run)
    assert told is not None
    assert told.about == "job:o/r:j"
    assert notices.settled("job_ended", run) is None
    assert notices.settled("job_ended", run | {"outcome": "done"}) == told.about
