"""Hooks: what fires them, and what they are told."""

from __future__ import annotations

import json

import pytest

from orch.config.schema import LATER, Hooks
from orch.core import hooks
from orch.model import Event, Status, Task

TASK = Task(key="int-1", project="o/r", title="a\0b 'ü", status=Status.DONE, branch="orch/int-1")


def event(name: str, **data: object) -> Event:
    return Event(seq=7, at=1714564800.5, name=name, task="int-1", data=data)


@pytest.mark.parametrize(
    "hook, happened, fires",
    [
        ("on_task_created", event("task_added"), True),
        ("on_task_created", event("task_routed"), False),
        ("on_task_completed", event("task_changed", status="done"), True),
        ("on_task_completed", event("task_changed", status="blocked"), False),
        ("on_task_blocked", event("task_changed", status="blocked"), True),
        ("on_task_failed", event("task_changed", status="needs_review"), True),
        ("on_task_failed", event("task_changed"), False),
        ("on_service_stopped", event("service_crashed"), True),
        ("on_service_stopped", event("service_stopped"), True),
    ],
)
def test_what_fires_a_hook(hook, happened, fires):
    assert hooks.fires(hook, happened) is fires


def test_every_hook_of_the_schema_has_its_events_and_the_others_are_refused():
    events = {name for name in Hooks.__struct_fields__ if name.startswith("on_")}
    assert events == set(hooks.FIRED_BY)
    assert not {f"hooks.{name}" for name in events} & LATER


def test_a_hook_is_told_in_its_environment_and_not_of_the_engines_own():
    inherited = {"PATH": "/bin", "ORCH_FDS": "req=4", "ORCH_SERVICE": "engine", "ORCH_RUN": "x"}
    told = hooks.environment(
        "on_job_fired", event("job_fired", job="nightly", reason="r" * 9000), TASK, inherited
    )
    assert told["PATH"] == "/bin"
    assert (told["ORCH_HOOK"], told["ORCH_EVENT"], told["ORCH_SEQ"]) == (
        "on_job_fired", "job_fired", "7",
    )  # fmt: skip
    assert told["ORCH_TIME"] == "2024-05-01T12:00:00.500Z"
    assert (told["ORCH_TASK"], told["ORCH_TITLE"], told["ORCH_JOB"]) == (
        "int-1", "ab 'ü", "nightly",
    )  # fmt: skip
    assert len(told["ORCH_REASON"]) == hooks.MOST_VALUE
    assert not {"ORCH_FDS", "ORCH_SERVICE", "ORCH_RUN"} & told.keys()
    assert all("\0" not in value for value in told.values())


def test_a_service_event_names_the_service():
    told = hooks.environment(
        "on_service_stopped", event("service_crashed", service="web"), None, {}
    )
    assert told["ORCH_SERVICE"] == "web"


def test_a_hook_reads_the_event_as_json():
    told = json.loads(hooks.document("on_task_created", event("task_added", a=1), TASK))
    assert told["task"]["id"] == "int-1"
    assert told["data"] == {"a": 1}
    assert json.loads(hooks.document("on_service_started", event("x"), None))["task"] is None
