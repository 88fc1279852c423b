"""Events as sentences, where a list of their keys would not be read; questions as rows."""

from __future__ import annotations

from typing import Any

from orch.cli import show
from orch.core.approval import words
from orch.model import Approval, Event


def said(event: Event) -> str:
    """What an event tells, for people; '' for one that has no sentence of its own."""
    sentence = SENTENCES.get(event.name)
    return sentence(event.task, event.data) if sentence else ""


def questions(found: tuple[Approval, ...]) -> list[tuple[str, str, str, str, str]]:
    """Rows of a table: number, state, by whom, when, and what was asked and told."""
    return [
        (
            str(one.id),
            one.state,
            one.by or "-",
            show.moment(one.asked_at),
            "; ".join(
                filter(None, (words(one.tool, one.text, one.options), one.reason, one.problem))
            ),
        )
        for one in found
    ]


def _asked(task: str, data: dict[str, Any]) -> str:
    options = tuple(str(one) for one in data.get("options") or ())
    asked = words(str(data.get("tool", "")), str(data.get("text", "")), options)
    number = data.get("approval")
    return f"[{number}] {data.get('agent')} asks: {asked} (`orch task approve {task} {number}`)"


def _answered(_task: str, data: dict[str, Any]) -> str:
    why = f": {data['reason']}" if data.get("reason") else ""
    what = f" ({data.get('tool')} {data.get('text')})" if data.get("tool") else ""
    return f"[{data.get('approval')}] {data.get('answer')} by {data.get('by')}{why}{what}"


def _delivered(_task: str, data: dict[str, Any]) -> str:
    return f"[{data.get('approval')}] the agent has the answer"


def _undelivered(_task: str, data: dict[str, Any]) -> str:
    return f"[{data.get('approval')}] the answer did not reach the agent: {data.get('problem')}"


def _expired(_task: str, data: dict[str, Any]) -> str:
    return f"[{data.get('approval')}] needs no answer any more: {data.get('reason')}"


def _held(task: str, data: dict[str, Any]) -> str:
    by, taker = data.get("by") or "somebody", data.get("taken_by") or "somebody"
    return f"a text of {by} waits until {taker} releases {task}: {data.get('text')}"


def _taken(_task: str, data: dict[str, Any]) -> str:
    return f"{data.get('by')} works in {data.get('session')}: what others send waits"


def _released(_task: str, data: dict[str, Any]) -> str:
    who = f" by {data['by']}" if data.get("by") else ""
    why = f" ({data['reason']})" if data.get("reason") else ""
    return f"{data.get('session')} is free again{who}{why}"


SENTENCES = {
    "approval_asked": _asked,
    "approval_answered": _answered,
    "approval_delivered": _delivered,
    "approval_undelivered": _undelivered,
    "approval_expired": _expired,
    "input_held": _held,
    "session_taken": _taken,
    "session_released": _released,
}
