"""The answer an agent gives: found in a file, an envelope, a fenced block or after prose."""

from __future__ import annotations

import json
import re
from typing import Any

from orch.model import Answer

STATUSES = {"done", "in_progress", "blocked", "needs_review"}

DECISIONS = {"approve", "request_changes", "reject"}
"""What a reviewer's answer says instead of a status (`core.review.read`)."""

ENVELOPES = ("structured_output", "result", "answer", "response", "output")
"""Keys under which a program may wrap the answer, as an object or as text."""

FENCE = re.compile(
    r"^[ \t]*(```+|~~~+)[ \t]*(?:json\w*)?[ \t]*\n(.*?)^[ \t]*\1", re.M | re.S | re.I
)

MOST_CHARS = 128 * 1024
"""How much of the end of a text is searched."""

MOST_DEPTH = 8
"""How deeply a delegation may be nested; what lies deeper is kept as its text."""

MOST_TRIES = 2000
"""How many opening braces are tried."""


class Unreadable(Exception):
    """There is an answer, but it cannot be read; the message says why."""


def read(text: str) -> Answer:
    """The answer that `text`, an output file, holds. Raises `Unreadable` without one."""
    found = find(text)
    if found is None:
        raise Unreadable(_why(text))
    return found


def find(text: str) -> Answer | None:
    """The last answer in a text; None when there is none.

    Raises `Unreadable` when the text ends in a fenced block that was meant to be one.
    """
    text = text[-MOST_CHARS:].strip().lstrip("\ufeff")
    objects = _objects(text)
    for value in reversed(objects):
        answer = _answer(value)
        if answer is not None:
            return answer
    blocks = FENCE.findall(text)
    last = blocks[-1][1] if blocks else ""
    if ('"status"' in last and '"summary"' in last) or '"decision"' in last:
        raise Unreadable(_why(last.strip()))
    return None


def objects(text: str) -> list[Any]:
    """The outermost JSON objects in what an agent said, in order; prose and fences around them."""
    return _objects(text[-MOST_CHARS:])


def _objects(text: str) -> list[Any]:
    """The outermost JSON objects in a text, in order."""
    decoder = json.JSONDecoder()
    found: list[Any] = []
    at, tries = text.find("{"), 0
    while at >= 0 and tries < MOST_TRIES:
        tries += 1
        try:
            value, after = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            after = at + 1
        else:
            found.append(value)
            tries = 0
        at = text.find("{", after)
    return found


def _answer(value: Any, depth: int = 0) -> Answer | None:
    """The answer that an object is, or wraps."""
    if not isinstance(value, dict) or depth > 3:
        return None
    status = value.get("status")
    if isinstance(status, str):
        word = re.sub(r"[\s-]+", "_", status.strip().lower())
        if word in STATUSES:
            return _filled(word, value)
    if isinstance(value.get("decision"), str):
        word = re.sub(r"[\s-]+", "_", value["decision"].strip().lower())
        if word in DECISIONS:
            return _filled("done", value)
    for key in ENVELOPES:
        inner = value.get(key)
        if isinstance(inner, str) and "{" in inner:
            objects = _objects(inner[-MOST_CHARS:])
            inner = objects[-1] if objects else None
        answer = _answer(inner, depth + 1)
        if answer is not None:
            return answer
    return None


def _filled(status: str, value: dict[str, Any]) -> Answer:
    delegations = value.get("delegations")
    entries = delegations if isinstance(delegations, list) else []
    return Answer(
        status=status,
        summary=_text(value.get("summary")),
        accomplished=_texts(value.get("accomplished")),
        remaining=_texts(value.get("remaining")),
        files_changed=_texts(value.get("files_changed")),
        blockers=_texts(value.get("blockers")),
        reason=_text(value.get("reason")),
        learnings=_texts(value.get("learnings")),
        delegations=tuple(_plain(entry) for entry in entries if isinstance(entry, dict)),
        review=_plain(value) if isinstance(value.get("decision"), str) else {},
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def _plain(value: Any, depth: int = 0) -> Any:
    """The value in a form that every encoding can take: no half characters, no huge numbers."""
    if isinstance(value, dict) and depth < MOST_DEPTH:
        return {_text(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < MOST_DEPTH:
        return [_plain(item, depth + 1) for item in value]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return _text(value)


def _texts(value: Any) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    return tuple(_text(item) for item in value) if isinstance(value, list) else (_text(value),)


def _why(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        return f"the answer is no JSON: {error}"
    except RecursionError:
        return "the answer is nested too deeply"
    if not isinstance(value, dict):
        return "the answer is no JSON object"
    if "status" not in value:
        return "the answer has no status"
    words = ", ".join(sorted(STATUSES))
    return f"the answer's status is {value['status']!r}, not one of {words}"
