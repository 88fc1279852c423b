"""Hooks: which events fire which, and what a hook's command is told of its event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from orch.model import Event, Task

FIRED_BY: dict[str, dict[str, tuple[str, ...]]] = {
    "on_task_created": {"task_added": ()},
    "on_task_routed": {"task_routed": ()},
    "on_task_started": {"attempt_started": ()},
    "on_task_completed": {"task_changed": ("done",)},
    "on_task_blocked": {"task_changed": ("blocked",)},
    "on_task_failed": {"task_changed": ("needs_review",)},
    "on_worktree_created": {"worktree_created": ()},
    "on_session_started": {"session_started": ()},
    "on_session_ended": {"session_ended": ()},
    "on_job_fired": {"job_fired": ()},
    "on_service_started": {"service_ready": ()},
    "on_service_stopped": {"service_stopped": (), "service_crashed": ()},
    "on_approval_asked": {"approval_asked": ()},
    "on_notice_given": {"notice_given": ()},
}
"""By hook, the events that fire it, and with which status (empty: any)."""

TOLD = (
    "attempt",
    "agent",
    "session",
    "status",
    "reason",
    "job",
    "service",
    "level",
    "text",
    "approval",
    "tool",
)
"""What an event may say that a hook finds in its environment, as `ORCH_{NAME}`."""

MOST_VALUE = 4000
"""Characters of one variable; the whole is on stdin."""


def names(hook: str) -> tuple[str, ...]:
    """The names of the events that may fire a hook."""
    return tuple(FIRED_BY[hook])


def fires(hook: str, event: Event) -> bool:
    """Whether an event fires a hook."""
    statuses = FIRED_BY[hook].get(event.name)
    return statuses is not None and (not statuses or event.data.get("status") in statuses)


def environment(
    hook: str, event: Event, task: Task | None, inherited: Mapping[str, str]
) -> dict[str, str]:
    """A hook's environment: what is inherited, and what happened as `ORCH_*`. Texts from outside
    are values of variables, never part of a command."""
    told: dict[str, object] = {
        "HOOK": hook, "EVENT": event.name, "SEQ": event.seq, "TIME": _rfc3339(event.at),
        "TASK": event.task,
    }  # fmt: skip
    if task is not None:
        told.update(
            PROJECT=task.project, TITLE=task.title, STATUS=task.status.value, AGENT=task.agent,
            BRANCH=task.branch, WORKTREE=task.worktree,
        )  # fmt: skip
    told.update({name.upper(): event.data[name] for name in TOLD if event.data.get(name)})
    kept = {name: value for name, value in inherited.items() if name not in _OWN}
    return kept | {f"ORCH_{name}": _value(value) for name, value in told.items() if value != ""}


_OWN = frozenset({"ORCH_FDS", "ORCH_SERVICE", "ORCH_RUN"})
"""Variables of the engine's own that no hook should take for its own."""


def document(hook: str, event: Event, task: Task | None) -> bytes:
    """The event as the JSON that a hook reads on its stdin."""
    about = None
    if task is not None:
        about = {
            "id": task.key, "project": task.project, "title": task.title, "body": task.body,
            "labels": task.labels, "status": task.status, "agent": task.agent,
            "model": task.model, "branch": task.branch, "worktree": task.worktree,
            "parent": task.parent, "summary": task.summary, "source": task.source,
            "author": task.author,
        }  # fmt: skip
    told = {
        "hook": hook, "event": event.name, "seq": event.seq, "time": _rfc3339(event.at),
        "task": about, "data": event.data,
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _value(value: Any) -> str:
    text = str(value).replace("\0", "")
    return text.encode("utf-8", "replace").decode()[:MOST_VALUE]


def _rfc3339(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")
