"""What a run of gemini came to, read from `--output-format json` or `stream-json` (0.61)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo

from orch.agents import judging, lines
from orch.agents.classes import Failure, Words, by_status, of_request
from orch.agents.judging import Said
from orch.agents.lines import Event, mapping, text
from orch.model import ErrorClass, Usage, Verdict

E = ErrorClass

WORDS: Words = (
    (r"unknown arguments?:|not enough (non-option )?arguments|invalid values", E.LAUNCH_FAILED),
    (r"error resuming session|no previous sessions|invalid session", E.LAUNCH_FAILED),
    (r"please set an auth method|when using gemini api", E.AUTH),
    (r"gemini cli is not running in a trusted directory", E.LAUNCH_FAILED),
)
"""Beginnings of gemini's own error lines on stderr."""

QUOTA: Words = (
    (
        r"you exceeded your current quota|you have exhausted your (daily|capacity)|quota exceeded",
        E.USAGE_LIMIT,
    ),
)
"""Gemini's quotas come back by themselves, with a day or sooner."""

CODES = {
    41: E.AUTH,
    42: E.LAUNCH_FAILED,
    44: E.LAUNCH_FAILED,
    52: E.LAUNCH_FAILED,
    53: E.TURN_LIMIT,
}
"""gemini's own exit codes: login, input, sandbox, config, turns."""

FOLDED = {status % 256: status for status in (400, 401, 403, 404, 429, 500, 502, 503)}
"""HTTP statuses by the exit codes that are left of them: 401 becomes 145."""

RETRY = re.compile(r"Attempt \d+ failed with status (\d{3})\. Retrying with backoff")

TOKENS = ("input_tokens", "output_tokens", "cached", "")


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
    """What a run of gemini came to; the arguments are those of `claude_run.verdict`."""
    errors = lines.prose(err)
    said = read(lines.written(out).events, errors, code)
    ended = judging.end(
        None if code in FOLDED and said.failure else code,
        signal,
        errors,
        WORDS,
        now=now,
        zone=zone,
        ended_by=ended_by,
        message=message,
    )
    return judging.judge(said, ended)


def read(events: Iterable[Event], errors: tuple[str, ...], code: int | None) -> Said:
    """What the events of a run say, and what its retries on stderr and its exit code add."""
    session, text_, stats = "", "", Event()
    started = finished = worked = False
    failed: Failure | None = None
    for event in events:
        kind = event.get("type")
        started = True
        session = text(event.get("session_id")) or session
        if kind is None and ("response" in event or "stats" in event or "session_id" in event):
            finished = "response" in event or "error" in event
            text_ = text(event.get("response"))
            failed = _failure(mapping(event.get("error")))
            stats = mapping(event.get("stats"))
        elif kind == "message" and event.get("role") == "assistant":
            delta = event.get("delta") is True
            text_ = (text_ if delta else "") + text(event.get("content"))
            worked = True
        elif kind == "tool_use":
            text_, worked = "", True
        elif kind == "result":
            finished, stats = True, mapping(event.get("stats"))
            failed = _failure(mapping(event.get("error"))) if _bad(event) else None
    if not finished and failed is None and code in (CODES.keys() | FOLDED.keys()):
        failed = _coded(code or 0, errors)
    return Said(
        started=started,
        finished=finished,
        text=text_,
        failure=failed,
        retrying=None if worked or finished else _retry(errors),
        usage=_usage(stats),
        native_session=session,
    )


def _bad(event: Event) -> bool:
    return event.get("status") not in (None, "success") or bool(mapping(event.get("error")))


def _failure(error: Event) -> Failure | None:
    """Why a run failed, by an `error` object; None for an empty one."""
    if not error:
        return None
    told = text(error.get("message")) or text(error.get("type")) or "the run failed"
    coded = CODES.get(lines.count(error.get("code")))
    return Failure(coded or classify(told, error.get("code")), told)


def classify(told: str, status: object = None) -> ErrorClass:
    """The class of a message, which may hold the error body of the API."""
    start = told.find("{")
    body = mapping(lines.parsed(told[start:]).get("error")) if start >= 0 else Event()
    inner = text(body.get("message")) or told.removeprefix("[API Error: ")
    status = body.get("code") or status
    return of_request(status, inner, body.get("status"), words=QUOTA)


def _retry(errors: tuple[str, ...]) -> Failure | None:
    """What gemini is retrying for: the last of its lines on that."""
    for line in reversed(errors):
        found = RETRY.match(line)
        if found:
            return Failure(classify(line, int(found[1])), line)
    return None


def _coded(code: int, errors: tuple[str, ...]) -> Failure:
    told = errors[-1] if errors else f"exit code {code}"
    if code in CODES:
        return Failure(CODES[code], told)
    return Failure(by_status(FOLDED[code]) or E.AGENT_FAILED, told)


def _usage(stats: Event) -> Usage:
    """The tokens of a run: of a stream's result as one sum, of the JSON form by model."""
    if "input_tokens" in stats:
        return judging.usage_of(stats, TOKENS, inclusive=True)
    models = [mapping(mapping(one).get("tokens")) for one in mapping(stats.get("models")).values()]
    return judging.total(
        Usage(
            input_tokens=max(lines.count(one.get("prompt")) - lines.count(one.get("cached")), 0),
            output_tokens=lines.count(one.get("candidates")) + lines.count(one.get("thoughts")),
            cache_read_tokens=lines.count(one.get("cached")),
        )
        for one in models
    )
