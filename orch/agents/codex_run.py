"""What a run of codex came to, read from `codex exec --json` or `codex app-server` (0.169)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo

from orch.agents import judging, lines, reset_times
from orch.agents.classes import PROVIDERS, Failure, Words, by_code, by_status, by_words
from orch.agents.judging import Said
from orch.agents.lines import Event, mapping, text
from orch.model import ErrorClass, Usage, Verdict

E = ErrorClass

NETWORK = (
    r"stream disconnected before completion|reconnecting\.\.\. waiting for network|"
    r"connection failed|error sending request|timeout waiting for|idle timeout"
)

CUT = r"(stream disconnected before completion: )?"
"""What codex 0.169 says first also where the stream was whole, and the answer was not."""

WORDS: Words = (
    (r"you've hit your usage limit", E.USAGE_LIMIT),
    (r"quota exceeded", E.BILLING),
    (r"codex ran out of room", E.CONTEXT_OVERFLOW),
    (f"{CUT}incomplete response returned, reason: max_output_tokens", E.OUTPUT_LIMIT),
    (f"{CUT}incomplete response returned, reason: content_filter", E.REFUSAL),
    (r"we're currently experiencing high demand|selected model is at capacity", E.OVERLOADED),
    (r"rate limit exceeded", E.RATE_LIMIT),
    (r"missing environment variable|not logged in|please (run|log ?in)|token data is", E.AUTH),
    (NETWORK, E.NETWORK),
    (
        r"error: (unexpected|invalid|the following|a value|no such|unrecognized) |"
        r"error: thread/(resume|start)|error: (failed to|error) (load|parse|read|load)|"
        r"not inside a trusted directory|error: no .{0,40}session|error: no rollout",
        E.LAUNCH_FAILED,
    ),
)
"""Beginnings of codex's own error messages and of its error lines on stderr."""

STATUS_LED = ("unexpected status ", "exceeded retry limit, last status: ")
"""What stands before the HTTP status in codex's messages."""

WAITING = "Reading additional input from stdin..."
"""What codex always prints when its stdin is no terminal."""

TITLE = "session id: "
"""What stands before the session's id in the heading of a run without `--json`."""

RETRYING = "Reconnecting... "

INFOS = {
    "usageLimitExceeded": E.USAGE_LIMIT,
    "contextWindowExceeded": E.CONTEXT_OVERFLOW,
    "modelNotFound": E.MODEL_UNAVAILABLE,
    "serverOverloaded": E.OVERLOADED,
    "internalServerError": E.OVERLOADED,
    "unauthorized": E.AUTH,
    "responseStreamDisconnected": E.NETWORK,
    "responseStreamConnectionFailed": E.NETWORK,
    "httpConnectionFailed": E.NETWORK,
    "responseTooManyFailedAttempts": E.NETWORK,
    "sandboxError": E.PERMISSION_DENIED,
}
"""`codexErrorInfo` of the app-server, a word or an object of one key; a status in it wins."""

TOKENS = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_input_tokens")

APP_TOKENS = ("inputTokens", "outputTokens", "cachedInputTokens", "cacheWriteInputTokens")


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
    before: Usage | None = None,
) -> Verdict:
    """What a run of codex came to; the arguments are those of `claude_run.verdict`.

    codex counts the tokens of the whole conversation: `before` is what it had counted when a
    resumed run began, so that nothing is counted twice.
    """
    written = lines.written(out)
    errors = tuple(line for line in lines.prose(err) if line != WAITING)
    said = read(written.events, now, before or Usage())
    if not said.started:
        said = plain(out, errors, finished=code == 0) or said
    ended = judging.end(
        code, signal, errors, WORDS, now=now, zone=zone, ended_by=ended_by, message=message
    )
    return judging.judge(said, ended)


def read(events: Iterable[Event], now: float, before: Usage) -> Said:
    """What the events of a run say; a live session may ask at any time."""
    run = Run(now, before)
    for event in events:
        run.take(event)
    return run.said()


def plain(out: bytes, errors: tuple[str, ...], *, finished: bool) -> Said | None:
    """A run without `--json`: the final text on stdout, the session's id on stderr. None when
    there is no such id."""
    ids = [line.removeprefix(TITLE) for line in errors if line.startswith(TITLE)]
    if not ids:
        return None
    final = out[-judging.KEPT * 32 :].decode("utf-8", "replace")
    return Said(started=True, finished=finished, text=final, native_session=ids[0])


class Run:
    """A run of codex, read event by event."""

    def __init__(self, now: float, before: Usage) -> None:
        self.now = now
        self.before = before
        self.started = self.turned = self.finished = False
        self.session = ""
        self.final = ""
        self.failure: Failure | None = None
        self.retrying: Failure | None = None
        self.denied: dict[str, None] = {}
        self.asked: dict[str, str] = {}
        self.items: dict[str, str] = {}
        self.refused: set[str] = set()
        self.usage: Usage | None = None
        self.resets: float | None = None

    def take(self, event: Event) -> None:
        """Take the next event of either form; an unknown one changes nothing."""
        if isinstance(event.get("method"), str):
            self._notice(text(event["method"]), mapping(event.get("params")), event.get("id"))
        elif isinstance(event.get("type"), str):
            self._line(text(event["type"]), event)
        elif "id" in event:
            self._reply(event)
        elif mapping(event.get("orch_decided")).get("allowed") is False:
            question = text(mapping(event["orch_decided"]).get("question"))
            self.refused.add(self.items.get(question, ""))

    def said(self) -> Said:
        """What was said so far."""
        return Said(
            started=self.started,
            finished=self.finished,
            text=self.final,
            failure=self.failure,
            retrying=self.retrying,
            denied=tuple(self.denied),
            asking=next(iter(self.asked.values()), ""),
            usage=judging.since(self.usage, self.before) if self.usage else Usage(),
            native_session=self.session,
        )

    def _line(self, kind: str, event: Event) -> None:
        """An event of `codex exec --json`."""
        if kind == "thread.started":
            self.started = True
            self.session = text(event.get("thread_id")) or self.session
        elif kind == "turn.started":
            self._turn_begins()
        elif kind in ("item.started", "item.completed"):
            self._item(mapping(event.get("item")), done=kind == "item.completed")
        elif kind == "turn.completed":
            self.usage = judging.usage_of(mapping(event.get("usage")), TOKENS, inclusive=True)
            self._turn_ends(None)
        elif kind == "turn.failed":
            self._turn_ends(self._failure(mapping(event.get("error"))))
        elif kind == "error":
            self.started = True
            self.retrying = self._failure(event)

    def _notice(self, kind: str, params: Event, question: object) -> None:
        """A notification of the app-server, or a question to its client."""
        thread = text(params.get("threadId"))
        self.session = self.session or thread
        if thread and thread != self.session and question is None:
            return  # of an agent that it started itself
        if kind == "thread/started":
            self.started = True
            self.session = self.session or text(mapping(params.get("thread")).get("id"))
        elif kind == "turn/started":
            self._turn_begins()
        elif kind in ("item/started", "item/completed"):
            self._item(mapping(params.get("item")), done=kind == "item/completed")
        elif kind == "thread/tokenUsage/updated":
            sums = mapping(mapping(params.get("tokenUsage")).get("total"))
            self._tokens(judging.usage_of(sums, APP_TOKENS, inclusive=True))
        elif kind == "account/rateLimits/updated":
            self._limits(mapping(params.get("rateLimits")))
        elif kind == "error":
            self.retrying = self._failure(mapping(params.get("error")))
        elif kind == "turn/completed":
            self._turn_completed(mapping(params.get("turn")))
        elif kind == "serverRequest/resolved":
            self.asked.pop(str(params.get("requestId")), None)
        elif question is not None and kind.endswith("requestApproval"):
            self.asked[str(question)] = text(params.get("command")) or kind.split("/")[1]
            self.items[str(question)] = text(params.get("itemId"))

    def _tokens(self, usage: Usage) -> None:
        """The sum of the whole thread; what it says before any turn was used before this run."""
        if self.turned:
            self.usage = usage
        else:
            self.before = usage

    def _reply(self, event: Event) -> None:
        """The app-server's reply to a request; only a refusal before any turn says something."""
        error = mapping(event.get("error"))
        if error and not self.turned:
            self.failure = Failure(E.LAUNCH_FAILED, text(error.get("message")) or "refused")

    def _item(self, item: Event, *, done: bool) -> None:
        self.started = True
        kind = text(item.get("type"))
        if kind in ("error", "userMessage", "user_message"):
            return
        self.retrying = None
        if done and kind in ("agent_message", "agentMessage"):
            self.final = text(item.get("text"))
        status = item.get("status")
        if done and status == "declined":
            if not item.get("id") or text(item.get("id")) not in self.refused:
                self.denied[kind] = None  # by a rule; what a person refused is their decision
        elif done and status == "completed":
            self.denied.pop(kind, None)

    def _turn_begins(self) -> None:
        self.started, self.turned, self.finished = True, True, False
        self.final, self.failure, self.retrying = "", None, None

    def _turn_completed(self, turn: Event) -> None:
        status = turn.get("status")
        if status == "interrupted":
            self._turn_ends(Failure(E.CANCELLED, "interrupted by a person"))
        elif status == "failed":
            self._turn_ends(self._failure(mapping(turn.get("error"))))
        else:
            self._turn_ends(None)

    def _turn_ends(self, failure: Failure | None) -> None:
        self.started = self.finished = True
        self.retrying, self.failure = None, failure

    def _limits(self, limits: Event) -> None:
        """The latest end of those windows that are used up."""
        windows = [mapping(limits.get(name)) for name in ("primary", "secondary")]
        used_up = [one for one in windows if (lines.amount(one.get("usedPercent")) or 0) >= 100]
        ends = [reset_times.instant(one.get("resetsAt"), self.now) for one in used_up]
        self.resets = max((end for end in ends if end is not None), default=self.resets)

    def _failure(self, error: Event) -> Failure:
        told = text(error.get("message")) or "the turn failed"
        found = classify(told, error.get("codexErrorInfo"))
        return Failure(found, told, self.resets if found is E.USAGE_LIMIT else None)


def classify(message: str, info: object = None) -> ErrorClass:
    """The class of codex's error message, with the app-server's `codexErrorInfo` if there is."""
    if message.startswith(RETRYING) and message.endswith(")") and "(" in message:
        message = message[message.index("(") + 1 : -1]
    words = by_words(message, WORDS)
    if words in (E.BILLING, E.USAGE_LIMIT):
        return words
    name, status = _named(info)
    found = by_status(status) or _body(message) or INFOS.get(name)
    return found or by_status(_status(message)) or words or _provider(message)


def _named(info: object) -> tuple[str, object]:
    """The name and the HTTP status in a `codexErrorInfo`."""
    if isinstance(info, dict) and info:
        name = next(iter(info))
        return text(name), mapping(info[name]).get("httpStatusCode")
    return text(info), None


def _status(message: str) -> int | None:
    for led in STATUS_LED:
        number = message.removeprefix(led)[:3]
        if message.startswith(led) and number.isascii() and number.isdigit():
            return int(number)
    return None


def _body(message: str) -> ErrorClass | None:
    """The class of a message that is a provider's error body as it came."""
    body = lines.parsed(message) if message.lstrip().startswith("{") else {}
    error = mapping(body.get("error")) or body
    return by_code(error.get("code"), error.get("type")) if error else None


def _provider(message: str) -> ErrorClass:
    """The class of a provider's own message, which codex passes on bare."""
    return by_words(message, PROVIDERS) or E.AGENT_FAILED
