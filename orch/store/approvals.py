"""Rows of agents' questions and their answers: one function, one statement."""

from __future__ import annotations

from typing import Any

from orch.errors import NotFound
from orch.model import Approval, ApprovalState, Question
from orch.store.db import Store, packed, unpacked

_SELECT = (
    "SELECT p.id, p.task, a.n, p.session, a.agent, p.question, p.tool, p.text, p.options,"
    ' p.asked_at, p.state, p."by", p.reason, p.answered_at, p.delivered, p.problem'
    " FROM approvals p JOIN attempts a ON a.id = p.attempt"
)


def _approval(row: dict[str, Any]) -> Approval:
    row["options"] = tuple(unpacked(row["options"]))
    row["state"] = ApprovalState(row["state"])
    row["delivered"] = bool(row["delivered"])
    return Approval(**row)


def ask(
    store: Store, task: str, attempt: int, session: str, question: Question, now: float
) -> int | None:
    """Keep what an agent asks; returns its number, None when it is known already."""
    row = store.one(
        "INSERT OR IGNORE INTO approvals (task, attempt, session, question, tool, text, options,"
        " asked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            task, attempt, session, question.question, question.tool, question.text,
            packed(question.options), now,
        ),
    )  # fmt: skip
    return int(row[0]) if row else None


def get(store: Store, approval: int) -> Approval:
    """One question; raises `NotFound`."""
    rows = store.rows(f"{_SELECT} WHERE p.id = ?", (approval,))
    if not rows:
        raise NotFound(f"there is no question {approval}")
    return _approval(rows[0])


def of_attempt(store: Store, attempt: int) -> dict[str, Approval]:
    """The questions of an attempt, by the agent's ids, oldest first."""
    rows = store.rows(f"{_SELECT} WHERE p.attempt = ? ORDER BY p.id", (attempt,))
    return {row["question"]: _approval(row) for row in rows}


def of_task(store: Store, task: str, limit: int = 50) -> list[Approval]:
    """A task's questions, oldest first (the newest `limit`)."""
    rows = store.rows(f"{_SELECT} WHERE p.task = ? ORDER BY p.id DESC LIMIT ?", (task, limit))
    return [_approval(row) for row in reversed(rows)]


def waiting(store: Store, limit: int = 1000) -> list[Approval]:
    """The questions that wait for an answer, oldest first."""
    rows = store.rows(f"{_SELECT} WHERE p.state = 'asked' ORDER BY p.id LIMIT ?", (limit,))
    return [_approval(row) for row in rows]


def update(store: Store, approval: int, **columns: Any) -> None:
    """Set columns of a question."""
    names = ", ".join(f'"{name}" = :{name}' for name in columns)
    values = {
        name: value.value if isinstance(value, ApprovalState) else value
        for name, value in columns.items()
    }
    store.execute(
        f"UPDATE approvals SET {names} WHERE id = :row_id", {**values, "row_id": approval}
    )
