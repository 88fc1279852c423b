"""What a run of gemini came to, read from `--output-format json` or `stream-json` (0.61)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, tzinfo

from orch.agents import judging, lines
from orch.agents.classes import Failure, Words, by_status, by_words, of_request
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

REQUESTS: Words = (
    (
        r"you exceeded your current quota|you have exhausted your (daily|capacity)|quota exceeded",
        E.USAGE_LIMIT,
    ),
    (r"the model returned an empty response", E.INVALID_RESPONSE),
    (r"incomplete json segment", E.NETWORK),
)
"""What it says of model requests. Google's quotas come back by themselves, with a day or sooner."""

CODES = {
    41: E.AUTH,
    42: E.LAUNCH_FAILED,
    44: E.LAUNCH_FAILED,
    52: E.LAUNCH_FAILED,
    53: E.TURN_LIMIT,
    55: E.LAUNCH_FAILED,
}
"""gemini's own exit codes: login, input, sandbox, config, turns, a folder that is not trusted."""

FOLDED = {status % 256: status for status in (400, 401, 403, 404, 429, 500, 502, 503)}
"""HTTP statuses by the exit codes that are left of them: 401 becomes 145."""

RETRY = re.compile(
    r"Attempt \d+ failed(?: with status (?P<status>\d{3})\. Retrying with backoff"
    r"|: (?P<said>.+)|\. Retrying with backoff\.\.\. (?P<thrown>.+))"
)
"""Its lines on a model request that failed and that it tries again."""

BRACKETED = re.compile(r"\[API Error: (.*?)\](?:\n.*)?\Z", re.S)
"""The message of a result: what the provider said, and below it advice of its own."""

NAMED = re.compile(r"(?:exception |\w*Error: )+")
"""What it puts before the words of an error that was thrown."""

SUMS = ("input", "output", "total")
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
    session, text_, stats, told = "", "", Event(), ""
    started = finished = worked = False
    failed: Failure | None = None
    for event in events:
        kind = event.get("type")
        started = True
        session = text(event.get("session_id")) or session
        if kind is None and ("response" in event or "stats" in event or "session_id" in event):
            finished = "response" in event or "error" in event
            text_ = text(event.get("response"))
            failed = _failure(mapping(event.get("error")), code)
            stats = mapping(event.get("stats"))
        elif kind == "message" and event.get("role") == "assistant":
            delta = event.get("delta") is True
            text_ = (text_ if delta else "") + text(event.get("content"))
            worked = True
        elif kind == "tool_use":
            text_, worked = "", True
        elif kind == "error":
            told = text(event.get("message"))
        elif kind == "result":
            finished, stats = True, mapping(event.get("stats"))
            error = mapping(event.get("error")) or {"message": told}
            failed = _failure(error, code) if _bad(event) else None
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


def _failure(error: Event, exited: int | None) -> Failure | None:
    """Why a run failed, by an `error` object and its exit code; None for an empty one."""
    if not error:
        return None
    told = text(error.get("message")) or text(error.get("type")) or "the run failed"
    own = CODES.get(lines.count(error.get("code"))) or CODES.get(exited or 0)
    if own is not None:
        return Failure(own, told)
    status = error.get("code") or FOLDED.get(exited or 0)
    return Failure(classify(told, status), bare(told))


def classify(told: str, status: object = None) -> ErrorClass:
    """The class of a message, which may hold the error body of the API."""
    body = _body(told)
    status = body.get("code") or status
    return of_request(status, bare(told), body.get("status"), words=REQUESTS)


def bare(told: str) -> str:
    """What the provider said, without what gemini puts around it."""
    found = BRACKETED.match(told)
    inner = text(_body(told).get("message")) or (found[1] if found else told)
    return NAMED.sub("", inner, count=1) if NAMED.match(inner) else inner


def _body(told: str) -> Event:
    """The error object in a message that holds the API's answer."""
    start = told.find("{")
    return mapping(lines.parsed(told[start:]).get("error")) if start >= 0 else Event()


def _retry(errors: tuple[str, ...]) -> Failure | None:
    """What gemini is retrying for: the last of its lines on that."""
    for line in reversed(errors):
        found = RETRY.match(line)
        if found:
            status = int(found["status"]) if found["status"] else None
            told = found["said"] or found["thrown"] or line
            return Failure(classify(told, status), line)
    return None


def _coded(code: int, errors: tuple[str, ...]) -> Failure:
    known = (line for line in reversed(errors) if by_words(line, WORDS))
    told = next(known, errors[-1] if errors else f"exit code {code}")
    if code in CODES:
        return Failure(CODES[code], told)
    return Failure(by_status(FOLDED[code]) or E.AGENT_FAILED, told)


def _usage(stats: Event) -> Usage:
    """The tokens of a run: of a stream's result as one sum, of the JSON form by model. Thoughts are
    output; a stream's result counts them in its total alone."""
    if "input_tokens" in stats:
        given, out, both = (lines.count(stats.get(f"{of}_tokens")) for of in SUMS)
        out = max(out, both - given)
        return judging.usage_of({**stats, "output_tokens": out}, TOKENS, inclusive=True)
    models = [mapping(mapping(one).get("tokens")) for one in mapping(stats.get("models")).values()]
    return judging.total(
        Usage(
            input_tokens=max(lines.count(one.get("prompt")) - lines.count(one.get("cached")), 0),
            output_tokens=lines.count(one.get("candidates")) + lines.count(one.get("thoughts")),
            cache_read_tokens=lines.count(one.get("cached")),
        )
        for one in models
    )
