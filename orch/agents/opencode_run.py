"""What a run of opencode came to, read from `run --format json` or the events of `serve` (1.18)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

from orch.agents import judging, lines, reset_times
from orch.agents.classes import LIMITS, PROVIDERS, Failure, Words, by_code, by_words, of_request
from orch.agents.judging import Said
from orch.agents.lines import Event, mapping, text
from orch.model import ErrorClass, Usage, Verdict

E = ErrorClass

LOGGED = re.compile(r'timestamp=(\S+) level=ERROR .*?error\.error="?(?:\w+: )?(.*?)"?$')
"""A line of `--print-logs` on a model request that failed: when, and the provider's message."""

FAILED = "model request failed: "

WORDS: Words = (
    (r"error: no such program", E.MISSING_TOOL),
    (r"!? ?permission requested: .{0,300}; auto-rejecting", E.PERMISSION_DENIED),
    (r"error: session not found|opencode run \[message|error: unknown (arg|opt)", E.LAUNCH_FAILED),
    (r"error: (invalid|no such|not enough|missing) |error: failed to change dir", E.LAUNCH_FAILED),
    (r".{0,20}\b(ProviderModelNotFoundError|model not found)", E.MODEL_UNAVAILABLE),
    *((f"{FAILED}(failed after .{{0,30}} error: )?({words})", error) for words, error in PROVIDERS),
)
"""Beginnings of opencode's own lines on stderr."""

MESSAGES: Words = (
    (r"model not found", E.MODEL_UNAVAILABLE),
    (r"json parsing failed|unexpected end of json", E.NETWORK),
    (r"cannot connect to api|unable to connect", E.NETWORK),
)

NAMES = {
    "ContextOverflowError": E.CONTEXT_OVERFLOW,
    "ContentFilterError": E.REFUSAL,
    "ProviderAuthError": E.AUTH,
    "ProviderModelNotFoundError": E.MODEL_UNAVAILABLE,
    "MessageOutputLengthError": E.OUTPUT_LIMIT,
    "MessageAbortedError": E.CANCELLED,
    "PermissionRejectedError": E.PERMISSION_DENIED,
}
"""Values of `error.name` that mean one thing only."""

REJECTED = "The user rejected permission"
"""How the error of a tool call begins that was not allowed."""

OWN_PAUSE_SECONDS = 60.0
"""opencode waits 2, 4, 10, 20 and 38 s before it tries again, unless the vendor says more."""

SERVER_ERROR = "Unexpected server error"
"""What `run` says of a model it does not know, before any step."""


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
    """What a run of opencode came to; the arguments are those of `claude_run.verdict`."""
    events = lines.written(out).events
    stamps = [lines.amount(event.get("timestamp")) or 0.0 for event in events]
    ended = judging.end(
        code,
        signal,
        own_lines(lines.prose(err), max(stamps, default=0.0) / 1000),
        WORDS,
        now=now,
        zone=zone,
        ended_by=ended_by,
        message=message,
    )
    return judging.judge(read(events, now), ended)


def own_lines(errors: Iterable[str], after: float) -> list[str]:
    """The lines on stderr; of logged failures those later than `after` (epoch seconds), in words:
    an event that came after one shows that opencode got over it."""
    kept: list[str] = []
    for line in errors:
        logged = LOGGED.match(line)
        if logged is None:
            kept.append(line)
        elif _instant(logged[1]) > after:
            kept.append(FAILED + logged[2])
    return kept


def read(events: Iterable[Event], now: float) -> Said:
    """What the events of a run say; a live session may ask at any time."""
    run = Run(now)
    for event in events:
        run.take(event)
    return run.said()


class Run:
    """A run of opencode, read event by event."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.session = ""
        self.stepped = False
        self.served = self.idle = False
        self.reason = ""
        self.failure: Failure | None = None
        self.retrying: Failure | None = None
        self.compacting = False
        self.roles: dict[str, str] = {}
        self.texts: dict[str, tuple[str, str]] = {}
        self.steps: dict[str, Usage] = {}
        self.denied: dict[str, None] = {}
        self.asked: dict[str, str] = {}
        self.calls: dict[str, str] = {}
        self.refused: set[str] = set()
        self.parts: set[str] = set()
        self.message = ""

    def take(self, event: Event) -> None:
        """Take the next event of either form; an unknown one changes nothing."""
        kind = text(event.get("type"))
        if isinstance(event.get("properties"), dict):
            self._served(kind, event["properties"])
            return
        decided = mapping(event.get("orch_decided"))
        if decided.get("allowed") is False:
            self.refused.add(self.calls.get(text(decided.get("question")), ""))
        self.session = self.session or text(event.get("sessionID"))
        if kind == "error":
            self._error(mapping(event.get("error")), lines.amount(event.get("timestamp")))
        elif kind in ("step_start", "tool_use", "text", "step_finish"):
            self._part(
                mapping(event.get("part")), kind.replace("_", "-").replace("tool-use", "tool")
            )

    def said(self) -> Said:
        """What was said so far."""
        finals = [said for message, said in self.texts.values() if message == self.message]
        stopped = self.idle if self.served else self.reason not in ("", "tool-calls")
        return Said(
            started=bool(self.session),
            finished=(stopped or self.failure is not None) and self.retrying is None,
            text="".join(finals),
            failure=self.failure,
            retrying=self.retrying,
            cut=CUTS.get(self.reason),
            denied=tuple(self.denied),
            asking=next(iter(self.asked.values()), ""),
            usage=self._usage(),
            native_session=self.session,
        )

    def _served(self, kind: str, given: Event) -> None:
        """An event of `opencode serve`."""
        self.served = True
        info = mapping(given.get("info"))
        opened = info.get("id") if kind == "session.created" else None
        self.session = self.session or text(given.get("sessionID") or opened)
        own = text(given.get("sessionID")) == self.session
        if kind == "message.updated":
            self.roles[text(info.get("id"))] = text(info.get("role"))
        elif kind == "message.part.updated":
            part = mapping(given.get("part"))
            if self.roles.get(text(part.get("messageID"))) != "user":
                self._part(part, text(part.get("type")), own=own)
        elif kind == "permission.asked":
            self.asked[text(given.get("id"))] = text(given.get("permission")) or "a tool"
            self.calls[text(given.get("id"))] = text(mapping(given.get("tool")).get("callID"))
        elif kind == "permission.replied":
            self.asked.pop(text(given.get("requestID")), None)
        elif own and kind == "session.error":
            self._error(mapping(given.get("error")), None)
        elif own and kind == "session.status":
            self._status(mapping(given.get("status")))
        elif own and kind == "session.idle":
            self.idle = True

    def _status(self, status: Event) -> None:
        if status.get("type") == "retry":
            told = text(status.get("message")) or "retrying"
            body = lines.parsed(told) if told.startswith("{") else {}  # a provider's, as it came
            told = text(body.get("message")) or told
            coded = by_code(body.get("code"), body.get("type"))
            error = coded or by_words(told, MESSAGES, PROVIDERS) or E.OVERLOADED
            at = reset_times.instant(status.get("next"), self.now) if error in LIMITS else None
            if at is not None and at - self.now < OWN_PAUSE_SECONDS:
                at = None  # its own pause, not what the vendor said
            self.retrying, self.idle = Failure(error, told, at), False
        elif status.get("type") == "idle":
            self.idle = True

    def _part(self, part: Event, kind: str, *, own: bool = True) -> None:
        """A part of a message; `serve` repeats one as it grows, `own` unless a subagent's."""
        key = text(part.get("id")) or str(len(self.parts))
        fresh = key not in self.parts
        self.parts.add(key)
        if kind == "step-finish":
            self._step(key, part, own)
        elif kind == "tool":
            self._tool(part, text(part.get("tool")), mapping(part.get("state")))
        elif not own:
            return
        elif kind == "step-start" and fresh:
            self.stepped, self.reason, self.idle = True, "", False
        elif kind == "text" and part.get("synthetic") is True:
            if mapping(part.get("metadata")).get("compaction_continue") is True:
                self.compacting = False
        elif kind == "text":
            self.message = text(part.get("messageID"))
            self.texts[key] = (self.message, text(part.get("text")))

    def _step(self, key: str, part: Event, own: bool) -> None:
        tokens = mapping(part.get("tokens"))
        cache = mapping(tokens.get("cache"))
        used = Usage(
            input_tokens=lines.count(tokens.get("input")),
            output_tokens=lines.count(tokens.get("output")) + lines.count(tokens.get("reasoning")),
            cache_read_tokens=lines.count(cache.get("read")),
            cache_write_tokens=lines.count(cache.get("write")),
            usd=lines.amount(part.get("cost")),
        )
        self.steps[key] = used
        if own:
            self.reason = text(part.get("reason"))
            self.message = text(part.get("messageID")) or self.message
            self.retrying = None
            if not self.compacting:
                self.failure = REFUSED if self.reason == "content-filter" else None

    def _tool(self, part: Event, name: str, state: Event) -> None:
        call = text(part.get("callID"))
        if call and call in self.refused:
            return  # by a person: it is their decision
        if state.get("status") == "completed":
            self.denied.pop(name, None)
        elif state.get("status") == "error" and text(state.get("error")).startswith(REJECTED):
            self.denied[name or "a tool"] = None

    def _error(self, error: Event, stamp: float | None) -> None:
        """An error of the session; what a finished step follows was none in the end."""
        at = stamp / 1000 if stamp else self.now
        self.failure = failure(error, at, stepped=self.stepped)
        self.retrying = None
        self.compacting = self.failure.error is E.CONTEXT_OVERFLOW
        self.reason = ""

    def _usage(self) -> Usage:
        """The sum of the steps. A cost of nothing for tokens used is a price nobody knows."""
        every = judging.total(self.steps.values())
        used = every.input_tokens + every.output_tokens + every.cache_read_tokens
        if every.usd == 0 and used:
            return judging.priceless(every)
        return every


def _instant(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


CUTS = {"length": Failure(E.OUTPUT_LIMIT, "the answer was cut at the output token maximum")}

REFUSED = Failure(E.REFUSAL, "the model refused (content filter)")


def failure(error: Event, at: float, *, stepped: bool) -> Failure:
    """Why a session failed: the `error` of an event that came at `at` (epoch seconds)."""
    data = mapping(error.get("data"))
    told = text(data.get("message")) or text(error.get("name")) or "the session failed"
    body = mapping(lines.parsed(data.get("responseBody")).get("error"))
    codes = (body.get("code"), body.get("type"))
    found = NAMES.get(text(error.get("name")))
    if found is None:
        found = of_request(data.get("statusCode"), told, *codes, words=MESSAGES)
    if found is E.AGENT_FAILED and told.startswith(SERVER_ERROR) and not stepped:
        found = E.MODEL_UNAVAILABLE
    headers = mapping(data.get("responseHeaders"))
    retry_at = reset_times.retry_after(headers.get("retry-after"), at)
    return Failure(found, told, retry_at)
