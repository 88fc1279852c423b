"""What an agent is told about its task: the message, from the task and what is known of it."""

from __future__ import annotations

from typing import Any

import msgspec

from orch.model import Task

MEMORY_CHARACTERS = 2000
"""How much of one remembered attempt is told."""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds a task: attempt number, what earlier attempts taught, what the branch holds,
    and the summaries of children that are done."""

    attempt: int
    parent: Task | None = None
    memory: tuple[dict[str, Any], ...] = ()
    files: tuple[str, ...] = ()
    children: tuple[tuple[str, str], ...] = ()


def message(task: Task, known: Known) -> str:
    """The user message: title, body, and what is known, as Markdown sections."""
    parts = [f"# {one_line(task.title)}", task.body.strip()]
    if known.parent is not None:
        part = f"{known.parent.key}: {one_line(known.parent.title)}"
        whole = quoted(known.parent.body.strip()[:MEMORY_CHARACTERS])
        parts.append(f"## This is a part of {part}\n\n{whole}".rstrip())
    if known.children:
        lines = [f"- {key}: {one_line(said)}" for key, said in known.children]
        parts.append("## What the subtasks did\n\n" + "\n".join(lines))
    if known.files:
        parts.append("## Already changed on this branch\n\n" + _bullets(known.files))
    if known.attempt > 1:
        parts.append(f"## This is attempt {known.attempt}\n\n{_memory(known.memory)}".rstrip())
    return "\n\n".join(part for part in parts if part) + "\n"


def one_line(text: str, limit: int = 300) -> str:
    """Text as a single line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def quoted(text: str) -> str:
    """Text that is told but is no instruction, as a Markdown quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def commit_message(task: Task, summary: str) -> str:
    """The message of the commit that keeps what an agent left: subject, summary, task."""
    subject = one_line(task.title, 72) or task.key
    body = summary.strip()[:MEMORY_CHARACTERS]
    return "\n\n".join(part for part in (subject, body, f"Task: {task.key}") if part) + "\n"


def _memory(memory: tuple[dict[str, Any], ...]) -> str:
    told: list[str] = []
    for row in memory:
        lines = [
            f"Attempt {row['n']} ({row['agent']}, {round(row['seconds'])} s): {row['outcome']}"
        ]
        if row["error"]:
            lines.append(f"It ended with: {one_line(row['error'], MEMORY_CHARACTERS)}")
        if row["approach"]:
            lines.append(f"What it did: {one_line(row['approach'], MEMORY_CHARACTERS)}")
        if row["learnings"]:
            lines.append("It learned:\n" + _bullets(row["learnings"]))
        told.append("\n".join(lines))
    return "\n\n".join(told)


def _bullets(items: Any) -> str:
    shown = [f"- {one_line(str(item))}" for item in items]
    more = len(shown) - 50
    return "\n".join(shown[:50] + ([f"- … and {more} more"] if more > 0 else []))
