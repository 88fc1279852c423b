"""What a CLI wrote, as events: JSON lines, whatever else stands between them, however broken."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from orch.model import Value

Event = dict[str, Any]
"""One JSON object as a CLI wrote it. Nothing in it is certain: read it with the functions here."""

MOST_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is not read."""

MOST_PROSE_LINES, MOST_PROSE_CHARS = 400, 2000
"""How many lines that are no events are kept (the last), and how much of each."""

MOST_TRIES = 20
"""How often an event is looked for inside one broken line."""

MOST_COUNT = 2**53
"""Counts above cannot be meant."""

ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


class Written(Value, frozen=True, kw_only=True):
    """An output, read: its events, and its lines that are none (without colours), in order."""

    events: tuple[Event, ...] = ()
    prose: tuple[str, ...] = ()


def written(data: bytes) -> Written:
    """Everything in an output: one event a line, or one JSON document over many. Never raises.

    A line that holds an event and something else (stderr that got in between) gives both.
    """
    events: list[Event] = []
    lines: list[str] = []
    for raw in data.split(b"\n"):
        line = raw.strip()
        if line and len(line) <= MOST_LINE_BYTES:
            found, rest = _line(line)
            events.extend(found)
            lines.extend(rest)
    if not events:
        events.extend(_document(data))
    return Written(events=tuple(events), prose=tuple(lines[-MOST_PROSE_LINES:]))


def prose(data: bytes) -> tuple[str, ...]:
    """The last lines of a plain text (stderr), without colours and empty lines."""
    lines = data[-MOST_PROSE_LINES * MOST_PROSE_CHARS :].decode("utf-8", "replace").splitlines()
    plain = (ESCAPE.sub("", line).strip() for line in lines[-MOST_PROSE_LINES:])
    return tuple(line[:MOST_PROSE_CHARS] for line in plain if line)


def text(value: Any) -> str:
    """A text that can be written anywhere: '' for anything else, lone surrogates replaced."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def mapping(value: Any) -> Event:
    """An object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def listing(value: Any) -> list[Any]:
    """A list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def count(value: Any) -> int:
    """A count of something; 0 for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        return 0
    return int(value) if 0 <= value <= MOST_COUNT else 0


def amount(value: Any) -> float | None:
    """An amount of money or time; None for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        return None
    return float(value) if value >= 0 else None


def parsed(source: Any) -> Event:
    """The JSON object that a text holds; an empty one when it holds none."""
    return next(iter(_objects(source)), {}) if isinstance(source, str) else {}


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _line(line: bytes) -> tuple[list[Event], list[str]]:
    """The events in one line, and what else stands in it."""
    source = line.decode("utf-8", "replace")
    try:
        value = json.loads(source)
    except (ValueError, RecursionError):
        return _broken(source)
    found = [item for item in (value if isinstance(value, list) else [value]) if _is_event(item)]
    return (found, []) if found else ([], [ESCAPE.sub("", source)[:MOST_PROSE_CHARS].strip()])


def _broken(line: str) -> tuple[list[Event], list[str]]:
    """The events inside a line that is not JSON as a whole."""
    decoder = json.JSONDecoder()
    found: list[Event] = []
    rest: list[str] = []
    start, at = 0, line.find('{"')
    for _ in range(MOST_TRIES):
        if at < 0:
            break
        try:
            value, after = decoder.raw_decode(line, at)
        except (ValueError, RecursionError):
            value, after = None, at + 2
        if _is_event(value):
            found.append(value)
            rest.append(line[start:at])
            start = after
        at = line.find('{"', after)
    rest.append(line[start : start + MOST_PROSE_CHARS])
    plain = (ESCAPE.sub("", part)[:MOST_PROSE_CHARS].strip() for part in rest)
    return found, [part for part in plain if part]


def _is_event(value: Any) -> bool:
    """Whether it has the form of an event, a notification, a reply (JSON-RPC), or is what a
    session process noted of what it sent, or of what a person decided."""
    if not isinstance(value, dict):
        return False
    named = any(isinstance(value.get(key), str) for key in ("type", "method"))
    if named or "orch_sent" in value or "orch_decided" in value:
        return True
    return "id" in value and ("result" in value or "error" in value)


def _document(data: bytes) -> Iterator[Event]:
    """The JSON object that the output as a whole is, with or without text before it."""
    source = data[:MOST_LINE_BYTES].decode("utf-8", "replace")
    yield from _objects(source)


def _objects(source: str) -> Iterator[Event]:
    """The first object that begins a line of a text (or the text), and nothing after it."""
    decoder = json.JSONDecoder()
    tries = 0
    for start in re.finditer(r"^[ \t\r]*(?=[{\[])", source, re.M):
        tries += 1
        if tries > MOST_TRIES:
            return
        try:
            value, _ = decoder.raw_decode(source, start.end())
        except (ValueError, RecursionError):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield item
        return
