"""The JSON of tasks, attempts, sessions and events (`spec: cli, JSON contract`)."""

from __future__ import annotations

from typing import Any

from orch.cli.show import rfc3339
from orch.messages import TaskDetail
from orch.model import Approval, Attempt, Event, Review, Session, Takeover, Task, Usage


def task(found: Task) -> dict[str, Any]:
    """A task as an item of `orch task list --json`."""
    return {
        "id": found.key,
        "project": found.project,
        "title": found.title,
        "status": found.status,
        "agent": found.agent,
        "model": found.model,
        "complexity": found.complexity,
        "branch": found.branch,
        "worktree": found.worktree,
        "pull_request": found.pull_request,
        "summary": found.summary,
        "last_error": found.last_error,
        "blocked_reason": found.blocked_reason,
        "created_at": rfc3339(found.created_at),
        "updated_at": rfc3339(found.updated_at),
        "labels": found.labels,
        "source": found.source,
        "author": found.author,
        "parent": found.parent,
        "after": found.after,
        "attempt_count": found.attempts,
    }


def detail(found: TaskDetail) -> dict[str, Any]:
    """A task with its attempts, as `orch task get --json` prints it."""
    return {
        **task(found.task),
        "body": found.task.body,
        "route_reason": found.task.route_reason,
        "route_warnings": found.task.route_warnings,
        "wanted_agent": found.task.wanted_agent,
        "profile": {
            "role": found.task.profile.role,
            "skills": found.task.profile.skills,
            "tools": found.task.profile.tools,
            "constraints": found.task.profile.constraints,
        },
        "waiting_for": found.waiting_for,
        "children": found.children,
        "reviews": [review(one) for one in found.reviews],
        "merged": found.merged,
        "attempts": [attempt(one) for one in found.attempts],
        "approvals": [approval(one) for one in found.approvals],
        "taken": taken(found.taken),
    }


def review(found: Review) -> dict[str, Any]:
    """What a reviewer said."""
    return {
        "head": found.head,
        "reviewer": found.reviewer,
        "decision": found.decision,
        "notes": found.notes,
        "test_results": found.test_results,
        "issues": list(found.issues),
        "time": rfc3339(found.at),
    }


def approval(found: Approval) -> dict[str, Any]:
    """A question of an agent, with its answer."""
    return {
        "number": found.id,
        "task": found.task,
        "attempt": found.n,
        "session": found.session,
        "agent": found.agent,
        "question": found.question,
        "tool": found.tool,
        "text": found.text,
        "options": found.options,
        "asked_at": rfc3339(found.asked_at),
        "state": found.state,
        "by": found.by,
        "reason": found.reason,
        "answered_at": rfc3339(found.answered_at),
        "delivered": found.delivered,
        "problem": found.problem,
    }


def taken(found: Takeover | None) -> dict[str, Any] | None:
    """Who works in a session; null when nobody does."""
    return {"by": found.by, "since": rfc3339(found.at)} if found else None


def attempt(found: Attempt) -> dict[str, Any]:
    """One attempt of a task."""
    return {
        "n": found.n,
        "kind": found.kind,
        "phase": found.phase,
        "outcome": found.outcome,
        "agent": found.agent,
        "model": found.model,
        "used_model": found.used_model,
        "session": found.session,
        "folder": found.folder,
        "started_at": rfc3339(found.started_at),
        "ended_at": rfc3339(found.ended_at),
        "exit_code": found.exit_code,
        "error_class": found.error_class,
        "usage": usage(found.usage),
        "error": found.error,
        "branch": found.branch,
        "base": found.base,
        "worktree": found.worktree,
    }


def usage(found: Usage) -> dict[str, Any]:
    """Tokens and money; `usd` is null where no price is known."""
    return {
        "input_tokens": found.input_tokens,
        "output_tokens": found.output_tokens,
        "cache_read_tokens": found.cache_read_tokens,
        "cache_write_tokens": found.cache_write_tokens,
        "usd": found.usd,
    }


def session(found: Session) -> dict[str, Any]:
    """A session, as in `orch status --json` and `orch task live --json`."""
    return {
        "session": found.session,
        "task": found.task,
        "attempt": found.attempt,
        "agent": found.agent,
        "started_at": rfc3339(found.started_at),
        "bytes": found.size,
        "asks": found.asks,
        "taken_by": found.taken_by,
    }


def event(found: Event) -> dict[str, Any]:
    """A row of the events log as a line of `orch tail --json`; its data beside the fixed keys."""
    fixed = {
        "kind": "event",
        "seq": found.seq,
        "name": found.name,
        "task": found.task,
        "time": rfc3339(found.at),
    }
    return {**fixed, **{key: value for key, value in found.data.items() if key not in fixed}}
