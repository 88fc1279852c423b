"""What a person is told of, and in which words: made of the events that the log holds anyway."""

from __future__ import annotations

from typing import Any

import msgspec

ERROR, WARNING = "error", "warning"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person must know: `error` when nothing goes on without them, else `warning`.

    `about` names what is told once only, until it is settled; '' is told each time. `approval` is
    the number of the question that it tells of (0: none).
    """

    level: str
    text: str
    about: str = ""
    approval: int = 0


def of(name: str, task: str, data: dict[str, Any]) -> Notice | None:
    """The notice that an event calls for; None for most."""
    if name == "task_changed":
        return _task_changed(task, data)
    if name == "agent_broken":
        agent, why = str(data.get("agent", "")), str(data.get("reason", ""))
        account = str(data.get("account", ""))
        whole = f", nor any other of its account {account}" if account else ""
        text = (
            f"the agent {agent} cannot be used{whole} ({why}), until `orch agents --check` passes"
        )
        return Notice(level=ERROR, text=text, about=f"agent:{account or agent}")
    if name == "approval_asked":
        what = f"may use {data.get('tool')}: {data.get('text')}"
        asked = data.get("text") if data.get("options") else f"whether it {what}"
        number = data.get("approval", 0)
        text = f"{task} asks {asked}; `orch task approve {task} {number}`, or deny"
        return Notice(level=ERROR, text=text, approval=number)
    if name == "budget_warned":
        return Notice(level=WARNING, text=str(data.get("text", "")))
    if name == "budget_spent":
        return Notice(level=ERROR, text=str(data.get("text", "")))
    if name == "price_missed":
        return Notice(level=WARNING, text=str(data.get("text", "")))
    if name == "job_ended" and data.get("type") != "task" and not _went_well(data):
        about = f"job:{data.get('project')}:{data.get('job')}"
        text = f"the job {data.get('job')} came to {data.get('outcome')}: {data.get('summary')}"
        return Notice(level=WARNING, text=text, about=about)
    if name == "service_failing":
        inner = data.get("data") if isinstance(data.get("data"), dict) else data
        text = f"the service {(inner or {}).get('service', '')} keeps failing; see `orch status`"
        return Notice(level=ERROR, text=text)
    return None


def settled(name: str, data: dict[str, Any]) -> str | None:
    """What an event settles, so that it is told again when it comes back: an `about`, or the
    beginning of several that ends in `*`; None for nothing."""
    if name == "attempt_ended" and data.get("error_class") is None and data.get("agent"):
        return f"agent:{data['agent']}"
    if name == "job_ended" and _went_well(data):
        return f"job:{data.get('project')}:{data.get('job')}"
    if name in ("cooldowns_cleared", "agent_mended"):
        return f"agent:{data.get('account') or data.get('agent') or '*'}"
    return None


def wanted(level: str, notice: Notice) -> bool:
    """Whether a notice is told at this `notifications.level`."""
    return level == "all" or (level == "errors_only" and notice.level == ERROR)


def _went_well(data: dict[str, Any]) -> bool:
    """Whether a job's run came to what it should."""
    return data.get("outcome") in ("done", "no_issues")


def _task_changed(task: str, data: dict[str, Any]) -> Notice | None:
    reason = str(data.get("reason") or "no reason was given")
    if data.get("status") == "needs_review":
        return Notice(level=ERROR, text=f"{task} needs a look: {reason}")
    by_person = data.get("by") or reason.startswith(("stopped by ", "closed by "))
    if data.get("status") == "blocked" and not by_person and not reason.startswith("waits for "):
        return Notice(level=ERROR, text=f"{task} is blocked: {reason}")
    return None
