"""A run told in short, from its record: for whoever goes on with the work of another agent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from orch.agents import stream
from orch.agents.plain import strip_ansi

MOST_BYTES = 8 * 1024
"""How long a summary may be: its end is kept."""

WORDS, DETAIL = 600, 200
"""Characters kept of what an agent said, and of a tool's call or complaint."""


def of_events(dialect: str, lines: Iterable[bytes], most: int = MOST_BYTES) -> str:
    """What a structured run (`events.jsonl`) did, a line a step, its last `most` bytes."""
    try:
        told = list(_told(stream.conversation(dialect, {}), lines))
    except ValueError:
        return ""
    return _end(told, most)


def of_output(text: str, most: int = MOST_BYTES) -> str:
    """The end of what any other run printed."""
    lines = [line.rstrip() for line in strip_ansi(text).splitlines()]
    return _end([line for line in lines if line], most)


def _told(talk: stream.Conversation, lines: Iterable[bytes]) -> Iterator[str]:
    prompted = False
    for line in lines:
        if b'"orch_sent"' in line[:20]:
            for text in _texts(_sent(line)):
                if prompted:
                    yield f"it was told: {_short(text, WORDS)}"
                prompted = True
            continue
        for step in talk.feed(line)[0]:
            yield from _lines(step)


def _lines(step: stream.Step) -> Iterator[str]:
    if isinstance(step, stream.Said):
        yield f"it said: {_short(step.text, WORDS)}"
    elif isinstance(step, stream.ToolCalled):
        yield f"- {step.name} {_short(step.summary, DETAIL)}".rstrip()
    elif isinstance(step, stream.ToolAnswered) and step.failed:
        yield f"  that failed: {_short(step.text, DETAIL)}"
    elif isinstance(step, stream.Edited):
        added = sum(line.startswith("+") for line in step.lines)
        gone = sum(line.startswith("-") for line in step.lines)
        yield f"- changed {step.path} (+{added} -{gone})"
    elif isinstance(step, stream.Failed):
        yield f"it ended with: {_short(step.text, WORDS)}"


def _sent(line: bytes) -> Any:
    try:
        return json.loads(line).get("orch_sent")
    except (ValueError, AttributeError, RecursionError):
        return None


def _texts(sent: Any) -> Iterator[str]:
    """The texts in a message that the agent was sent."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            if key == "text" and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)
    elif isinstance(sent, list):
        for one in sent:
            yield from _texts(one)


def _short(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _end(lines: list[str], most: int) -> str:
    """The last lines that fit."""
    kept: list[str] = []
    size = 0
    for line in reversed(lines):
        size += len(line.encode("utf-8", "replace")) + 1
        if size > most:
            kept.append("… (what came before is left out)")
            break
        kept.append(line)
    return "\n".join(reversed(kept))
