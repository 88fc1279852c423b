"""What a run of qwen came to, read from `--output-format json` or `stream-json` (0.15)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo

from orch.agents import judging, lines
from orch.agents.classes import Failure, Words, of_request
from orch.agents.judging import Said
from orch.agents.lines import Event, listing, mapping, text
from orch.model import ErrorClass, Usage, Verdict

E = ErrorClass

API_ERROR = re.compile(r"\[API Error: (?:(\d{3})\b:? ?)?(.*?)\]\s*(?:\n[^\[\]]*)?\Z", re.S)
"""The result of a run whose model request failed, for which qwen sets no error flag; below it may
stand advice of its own."""

CUT = re.compile(r"\[API Error: (?:(\d{3})\b:? ?)?([^\n]*)\]\s*(?:\n[^\[\]\n]*)?\Z")
"""The same behind other text: the answer was cut."""

REQUESTS: Words = (
    (r"model stream ended with empty", E.INVALID_RESPONSE),
    (r"model stream ended without|unexpected token .{0,200}is not valid json", E.NETWORK),
)
"""What it says itself of model requests."""

WORDS: Words = (
    (r"unknown arguments?:|error: unknown|not enough arguments|invalid values", E.LAUNCH_FAILED),
    (r"no (saved )?session found", E.LAUNCH_FAILED),
    (r"no auth type is selected|missing api key", E.AUTH),
)
"""Beginnings of qwen's own error lines on stderr, and of a result that says as much."""

SUBTYPES = {"error_max_turns": E.TURN_LIMIT, "error_max_session_turns": E.TURN_LIMIT}

TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def verdict(
    out: bytes,
    err: bytes,
    code: int | None,
    signal: int | None = None,
    *,
    now: float,
    zone: tzinfo = UTC,
    ended_by: str = "exit",
    message: str = "",
) -> Verdict:
    """What a run of qwen came to; the arguments are those of `claude_run.verdict`."""
    ended = judging.end(
        code,
        signal,
        lines.prose(err),
        WORDS,
        now=now,
        zone=zone,
        ended_by=ended_by,
        message=message,
    )
    return judging.judge(read(lines.written(out).events), ended)


def read(events: Iterable[Event]) -> Said:
    """What the events of a run say. Its tokens count the cached ones among the input."""
    session, result, used, text_ = "", Event(), dict[str, Usage](), ""
    started = False
    for event in events:
        kind = event.get("type")
        if kind not in ("system", "assistant", "user", "result"):
            continue
        started = True
        session = text(event.get("session_id")) or session
        if kind == "result":
            result = event
        elif kind == "assistant":
            message = mapping(event.get("message"))
            tokens = mapping(message.get("usage"))
            used[text(message.get("id"))] = judging.usage_of(tokens, TOKENS, inclusive=True)
            result = {}
    if result:
        text_ = text(result.get("result"))
        usage = judging.usage_of(mapping(result.get("usage")), TOKENS, inclusive=True)
    else:
        usage = judging.total(used.values())
    denials = map(mapping, listing(result.get("permission_denials")))
    return Said(
        started=started,
        finished=bool(result),
        text=text_,
        failure=_failure(result, text_) if result else None,
        cut=_refused(CUT.match(text_, max(text_.rfind("[API Error: "), 0))),
        denied=tuple(dict.fromkeys(text(one.get("tool_name")) or "a tool" for one in denials)),
        usage=usage,
        native_session=session,
    )


def _failure(result: Event, said: str) -> Failure | None:
    """Why the run failed, by its result; None when it did not."""
    kind = text(result.get("subtype"))
    if refused := _refused(API_ERROR.match(said)):
        return refused
    if kind in SUBTYPES:
        return Failure(SUBTYPES[kind], said or kind)
    if result.get("is_error") is True or kind.startswith("error"):
        told = text(mapping(result.get("error")).get("message")) or said or kind
        return Failure(of_request(None, told, words=(*WORDS, *REQUESTS)), told)
    return None


def _refused(found: re.Match[str] | None) -> Failure | None:
    """The failed model request that a text tells of."""
    if found is None:
        return None
    status = int(found[1]) if found[1] else None
    return Failure(of_request(status, found[2], words=REQUESTS), found[0].strip())
