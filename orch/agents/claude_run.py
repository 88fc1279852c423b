"""What a run of claude came to, read from `--output-format json` or `stream-json` (2.1)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Any

from orch.agents import judging, lines, reset_times
from orch.agents.classes import PROVIDERS, Failure, Words, by_status, by_words
from orch.agents.judging import Said
from orch.agents.lines import Event, listing, mapping, text
from orch.model import ErrorClass, Usage, Verdict

E = ErrorClass

WORDS: Words = (
    (r"you've hit your .{0,40}\blimit|claude ai usage limit reached", E.USAGE_LIMIT),
    (r"credit balance is too low|api error: 400 you have reached your specified api", E.BILLING),
    (
        r"invalid api key|not logged in|please run /login|failed to authenticate|"
        r"oauth token (has )?(expired|revoked)|your organization does not have access",
        E.AUTH,
    ),
    (r"there's an issue with the selected model", E.MODEL_UNAVAILABLE),
    (r"prompt is too long|request too large|api error: 413", E.CONTEXT_OVERFLOW),
    (r"api error: claude's response exceeded the \d+ output token maximum", E.OUTPUT_LIMIT),
    (r"api error: claude code is unable to respond to this request", E.REFUSAL),
    (r"api error: request rejected \(429\)|api error: 429\b", E.RATE_LIMIT),
    (r"api error: (5\d\d\b|overloaded)", E.OVERLOADED),
    (
        r"api error: unable to connect|request timed out|api error: connection error|"
        r"api error: .{0,80}\((econn|connectionrefused|etimedout|enotfound|eai_again)|"
        r"api error: api returned an empty or malformed response|unable to connect to anthropic",
        E.NETWORK,
    ),
    (
        r"error: (unknown|option|too many|required|missing) |no conversation found with session|"
        r"error: session id .{1,60} is already in use|error: when using --print|error: invalid|"
        r"error: (input must be|settings file)|.{0,60}cannot be used with root/sudo|error: --",
        E.LAUNCH_FAILED,
    ),
)
"""Beginnings of claude's own error lines, on stderr or as the text of a failed result."""

SUBTYPES = {
    "error_max_turns": E.TURN_LIMIT,
    "error_max_budget_usd": E.BUDGET,
    "error_max_structured_output_retries": E.INVALID_RESPONSE,
}

TERMINAL = {
    "prompt_too_long": E.CONTEXT_OVERFLOW,
    "image_error": E.CONTEXT_OVERFLOW,
    "max_turns": E.TURN_LIMIT,
}
"""Values of `terminal_reason` that say why a failed run ended."""

ERRORS = {
    "authentication_failed": E.AUTH,
    "oauth_org_not_allowed": E.AUTH,
    "billing_error": E.BILLING,
    "rate_limit": E.RATE_LIMIT,
    "overloaded": E.OVERLOADED,
    "model_not_found": E.MODEL_UNAVAILABLE,
    "max_output_tokens": E.OUTPUT_LIMIT,
}
"""Values of `error` of an assistant message or a retry that mean one thing only."""

WHOLE_LIMITS = frozenset({"five_hour", "seven_day"})
"""Values of `rateLimitType` that bind every model of an account; others name one."""

TOKENS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)

MODEL_TOKENS = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens")


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
    """What a run of claude came to: its stdout, stderr, exit code and signal.

    `now` (epoch seconds) and `zone` are those of the run's end; `ended_by` and `message` are how
    its session process saw it end (`Ended`).
    """
    written = lines.written(out)
    ended = judging.end(
        code,
        signal,
        (*lines.prose(err), *written.prose),
        WORDS,
        now=now,
        zone=zone,
        ended_by=ended_by,
        message=message,
    )
    return judging.judge(said(written.events, now), ended)


def said(events: Iterable[Event], now: float) -> Said:
    """What the events of a run say; a live session may ask at any time."""
    run = Run(now)
    for event in events:
        run.take(event)
    return run.said()


class Run:
    """A run of claude, read event by event."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.started = False
        self.session = ""
        self.result: Event | None = None
        self.limited: Event = {}
        self.error = ""
        self.retry: Failure | None = None
        self.texts: list[str] = []
        self.turns: list[Usage] = []
        self.models: Event = {}
        self.usd: float | None = None
        self.messages: dict[str, Usage] = {}
        self.tools: dict[str, str] = {}
        self.used: dict[str, bool] = {}
        self.denials: dict[str, str] = {}
        self.asked: dict[str, Event] = {}
        self.decided: set[str] = set()
        self.interrupted = False

    def take(self, event: Event) -> None:
        """Take the next event; an unknown one changes nothing."""
        kind = event.get("type")
        if kind in ("system", "assistant", "user", "result"):
            self.session = text(event.get("session_id")) or self.session
        if kind == "system":
            self._system(event)
        elif kind == "assistant":
            self._assistant(event)
        elif kind == "user":
            self._user(event)
        elif kind == "stream_event":
            self._partial(mapping(event.get("event")))
        elif kind == "rate_limit_event":
            self.limited = mapping(event.get("rate_limit_info"))
        elif kind == "control_request":
            self.asked[text(event.get("request_id"))] = mapping(event.get("request"))
        elif kind == "control_response":
            self._settled(mapping(event.get("response")))
        elif kind == "result":
            self._result(event)
        elif "orch_sent" in event:
            self._sent(mapping(event.get("orch_sent")))

    def said(self) -> Said:
        """What was said so far."""
        result = self.result
        return Said(
            started=self.started,
            finished=result is not None,
            text=text(result.get("result")) if result else "".join(self.texts),
            structured=result.get("structured_output") if result else None,
            failure=self._failure(result) if result else None,
            retrying=self.retry,
            cut=_cut(result) if result else None,
            denied=self._denied(),
            asking=next((text(one.get("tool_name")) for one in self.asked.values()), ""),
            usage=self._usage(),
            native_session=self.session,
        )

    def _system(self, event: Event) -> None:
        kind = event.get("subtype")
        if kind == "init":
            self._turn_begins()
        elif kind == "api_retry":
            self.started = True
            self.retry = retry(event, self.limited, self.now)
        elif kind == "permission_denied":
            self.denials[text(event.get("tool_use_id"))] = text(event.get("tool_name"))

    def _sent(self, sent: Event) -> None:
        """Something that was sent to claude, as its session process records it."""
        if sent.get("type") == "control_response":
            self._settled(mapping(sent.get("response")))
        elif mapping(sent.get("request")).get("subtype") == "interrupt":
            self.interrupted = True

    def _settled(self, response: Event) -> None:
        """A control request was answered: claude's question, or one to claude (an interrupt)."""
        question = self.asked.pop(text(response.get("request_id")), None)
        if question is not None:
            self.decided.add(text(question.get("tool_use_id")))
        elif self.result is None:
            self.interrupted = True

    def _turn_begins(self) -> None:
        self.started = True
        self.result, self.retry, self.error, self.interrupted = None, None, "", False
        self.texts = []

    def _assistant(self, event: Event) -> None:
        if self.result is not None:
            self._turn_begins()
        self.started = True
        message = mapping(event.get("message"))
        self.error = text(event.get("error"))
        usage = judging.usage_of(mapping(message.get("usage")), TOKENS, inclusive=False)
        if message.get("model") != "<synthetic>":
            self.retry = None
            self.messages[text(message.get("id"))] = usage
        for part in map(mapping, listing(message.get("content"))):
            if part.get("type") == "tool_use":
                self.tools[text(part.get("id"))] = text(part.get("name"))
                self.texts = []
            elif part.get("type") == "text" and not event.get("parent_tool_use_id"):
                self.texts.append(text(part.get("text")))

    def _user(self, event: Event) -> None:
        for part in map(mapping, listing(mapping(event.get("message")).get("content"))):
            name = self.tools.get(text(part.get("tool_use_id")), "")
            if part.get("type") == "tool_result" and name:
                self.used[text(part.get("tool_use_id"))] = part.get("is_error") is not True

    def _partial(self, event: Event) -> None:
        """Token counts of a message whose final count is known before its result."""
        if event.get("type") == "message_delta" and self.messages:
            last = next(reversed(self.messages))
            out = lines.count(mapping(event.get("usage")).get("output_tokens"))
            known = self.messages[last]
            self.messages[last] = Usage(
                input_tokens=known.input_tokens,
                output_tokens=max(out, known.output_tokens),
                cache_read_tokens=known.cache_read_tokens,
                cache_write_tokens=known.cache_write_tokens,
            )

    def _result(self, event: Event) -> None:
        self.started = True
        self.result = event
        self.turns.append(judging.usage_of(mapping(event.get("usage")), TOKENS, inclusive=False))
        self.models = mapping(event.get("modelUsage"))
        self.usd = lines.amount(event.get("total_cost_usd"))
        self.messages = {}
        for denial in map(mapping, listing(event.get("permission_denials"))):
            self.denials[text(denial.get("tool_use_id"))] = text(denial.get("tool_name"))

    def _failure(self, result: Event) -> Failure | None:
        """Why the last turn failed, by its result."""
        kind = text(result.get("subtype"))
        told = _told(result)
        if result.get("is_error") is not True and not kind.startswith("error"):
            return Failure(E.REFUSAL, told) if result.get("stop_reason") == "refusal" else None
        if text(result.get("terminal_reason")).startswith("aborted"):
            by = "a person" if self.interrupted else "a signal"
            error = E.CANCELLED if self.interrupted else E.AGENT_CRASHED
            return Failure(error, f"interrupted by {by} ({text(result.get('terminal_reason'))})")
        refused = self.limited.get("status") == "rejected"
        if refused and by_status(result.get("api_error_status")) is E.RATE_LIMIT:
            return Failure(E.USAGE_LIMIT, told, self._reset(), _whole(self.limited))
        error = classify(result, self.error, told)
        if error is E.USAGE_LIMIT:
            return Failure(error, told, self._reset(), _whole(self.limited))
        return Failure(error, told)

    def _reset(self) -> float | None:
        if self.limited.get("status") != "rejected":
            return None
        return reset_times.instant(self.limited.get("resetsAt"), self.now)

    def _denied(self) -> tuple[str, ...]:
        """The tools that were denied, not by a person, and that no later call used well."""
        order = list(self.used)
        left: list[str] = []
        for call, name in self.denials.items():
            later = order[order.index(call) + 1 :] if call in order else []
            well = any(self.used[other] and self.tools[other] == name for other in later)
            if not well and call not in self.decided:
                left.append(name or "a tool")
        return tuple(dict.fromkeys(left))

    def _usage(self) -> Usage:
        """The tokens of all turns: by model where claude sums them itself (over the process, its
        subagents included), and what a turn without a result has used."""
        if not self.turns:
            return judging.total(self.messages.values()) if self.messages else Usage()
        models = [
            judging.usage_of(mapping(one), MODEL_TOKENS, inclusive=False)
            for one in self.models.values()
        ]
        summed = judging.total(models or self.turns)
        open_turn = judging.total(self.messages.values())
        every = judging.total([summed, open_turn])
        return Usage(
            input_tokens=every.input_tokens,
            output_tokens=every.output_tokens,
            cache_read_tokens=every.cache_read_tokens,
            cache_write_tokens=every.cache_write_tokens,
            usd=self.usd,
        )


def classify(result: Event, error: str, told: str) -> ErrorClass:
    """The class of a failed result, whose last assistant message had this `error`."""
    kind, reason = text(result.get("subtype")), text(result.get("terminal_reason"))
    if kind in SUBTYPES:
        return SUBTYPES[kind]
    if reason in TERMINAL:
        return TERMINAL[reason]
    if result.get("stop_reason") == "refusal":
        return E.REFUSAL
    words = by_words(told, WORDS)
    status = by_status(result.get("api_error_status"))
    if words in (E.USAGE_LIMIT, E.BILLING):
        return words
    found = ERRORS.get(error) or status or words or by_words(told, PROVIDERS)
    return found or (E.OVERLOADED if error == "server_error" else E.AGENT_FAILED)


def retry(event: Event, limited: Event, now: float) -> Failure:
    """What claude is retrying for (`system/api_retry`)."""
    status, error = event.get("error_status"), text(event.get("error"))
    if by_status(status) is E.RATE_LIMIT and limited.get("status") == "rejected":
        at = reset_times.instant(limited.get("resetsAt"), now)
        return Failure(E.USAGE_LIMIT, "retrying at a usage limit", at, _whole(limited))
    found = by_status(status) or ERRORS.get(error)
    if found is None:
        found = E.OVERLOADED if error == "server_error" else E.NETWORK
    tries = f"attempt {lines.count(event.get('attempt'))}"
    shown = f"HTTP {status}" if isinstance(status, int) else "no response"
    return Failure(found, f"retrying ({tries}): {error or 'unknown'}, {shown}")


def _whole(limited: Event) -> bool:
    """Whether a limit is the account's: those of one model are called after it."""
    return limited.get("status") == "rejected" and limited.get("rateLimitType") in WHOLE_LIMITS


def _cut(result: Event) -> Failure | None:
    if result.get("stop_reason") != "max_tokens":
        return None
    return Failure(E.OUTPUT_LIMIT, "the answer was cut at the output token maximum")


def _told(result: Event) -> str:
    """The error message of a failed result."""
    said_so: Any = result.get("result")
    if isinstance(said_so, str) and said_so.strip():
        return text(said_so)
    listed = "; ".join(text(one) for one in listing(result.get("errors")) if text(one))
    return listed or text(result.get("subtype")) or "the run failed"
