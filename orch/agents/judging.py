"""From what a CLI said of its run, and how its process ended, to the verdict: once for all CLIs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import tzinfo
from typing import Any

from orch.agents import answer as answers
from orch.agents import reset_times
from orch.agents.classes import LIMITS, RETRIED, Failure, Words, by_words
from orch.agents.lines import Event, count
from orch.model import Answer, ErrorClass, Usage, Value, Verdict

E = ErrorClass

KEPT = 4000
"""Characters of an unreadable answer, or of an error, that are kept in the message."""

TIMED_OUT_CODE = 124
"""The exit code of `timeout` (GNU coreutils, timeout(1)) when it ended the program."""

NOT_FOUND_CODE = 127
"""What a shell exits with, or a wrapper, when it finds no such program (POSIX, 2.8.2)."""

INTERRUPTED = frozenset({E.AGENT_CRASHED, E.CANCELLED})
"""What a CLI says of itself when it is interrupted, as a session process does at a time limit."""

SIGNALLED = frozenset({129, 130, 131, 134, 135, 137, 139, 143})
"""Exit codes that stand for a signal (128 + HUP, INT, QUIT, ABRT, BUS, KILL, SEGV, TERM)."""


class Said(Value, frozen=True, kw_only=True):
    """What a run said of itself.

    `started`: there was any event. `finished`: its last turn ended. `text`, `structured`: the
    final answer. `failure`: an error that ended it. `retrying`: what it was still trying again
    for. `cut`: why the answer may be incomplete. `denied`: tools it was not allowed to use, and
    did not use otherwise afterwards. `asking`: the tool about which it waits for somebody.
    """

    started: bool = False
    finished: bool = False
    text: str = ""
    structured: Any = None
    failure: Failure | None = None
    retrying: Failure | None = None
    cut: Failure | None = None
    denied: tuple[str, ...] = ()
    asking: str = ""
    usage: Usage = Usage()
    native_session: str = ""


class End(Value, frozen=True, kw_only=True):
    """How a run's process ended (`Ended`, with `signal` also read from 128 + n), and its stderr.

    `words` tells its CLI's own error lines apart; `now` and `zone` are those of the run's end.
    """

    code: int | None
    signal: int | None
    ended_by: str
    message: str
    lines: tuple[str, ...]
    words: Words
    now: float
    zone: tzinfo


def end(
    code: int | None,
    signal: int | None,
    lines: Iterable[str],
    words: Words,
    *,
    now: float,
    zone: tzinfo,
    ended_by: str = "exit",
    message: str = "",
) -> End:
    """The end of a run: a negative code is a signal, as is a code above 128 that shells give."""
    exited = code or 0
    if signal is None and (exited < 0 or exited in SIGNALLED):
        code, signal = None, -exited if exited < 0 else exited - 128
    return End(
        code=code,
        signal=signal,
        ended_by=ended_by,
        message=message,
        lines=tuple(lines),
        words=words,
        now=now,
        zone=zone,
    )


def judge(said: Said, ended: End) -> Verdict:
    """The verdict on a run. Only one that finished, without error or denial, ended well and has a
    readable answer is ok; of the others the first reason in that order counts."""
    answer, unreadable = _answer(said)
    failure = _failed(said, ended, answer) or (unreadable and (said.cut or unreadable))
    usage, session = said.usage, said.native_session
    if failure is None:
        return Verdict(ok=True, answer=answer, usage=usage, native_session=session, text=said.text)
    retry_at = failure.retry_at
    if retry_at is None and failure.error in LIMITS:
        retry_at = reset_times.said(failure.message, ended.now, ended.zone)
    return Verdict(
        ok=False,
        error=failure.error,
        message=failure.message[:KEPT].strip() or failure.error.value,
        retry_at=retry_at if failure.error in {*LIMITS, E.BUDGET} else None,
        whole_account=failure.whole and failure.error in LIMITS,
        answer=answer,
        usage=usage,
        native_session=session,
        text=said.text,
    )


def usage_of(tokens: Event, names: tuple[str, str, str, str], *, inclusive: bool) -> Usage:
    """The usage in an object whose keys for input, output, cache reads and cache writes are
    `names`. Where the input counts the cached part too (`inclusive`), that is taken out of it."""
    given, out, read, write = (count(tokens.get(name)) for name in names)
    if inclusive:
        given = max(given - read - write, 0)
    return Usage(
        input_tokens=given, output_tokens=out, cache_read_tokens=read, cache_write_tokens=write
    )


def total(usages: Iterable[Usage]) -> Usage:
    """The sum; of money too where every figure is known."""
    every = list(usages)
    known = [usage.usd for usage in every if usage.usd is not None]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in every),
        output_tokens=sum(usage.output_tokens for usage in every),
        cache_read_tokens=sum(usage.cache_read_tokens for usage in every),
        cache_write_tokens=sum(usage.cache_write_tokens for usage in every),
        usd=sum(known) if known and len(known) == len(every) else None,
    )


def priceless(usage: Usage) -> Usage:
    """The same tokens, for an unknown price."""
    return Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )


def since(usage: Usage, before: Usage) -> Usage:
    """What was used after `before`, of a figure that counts a whole conversation."""
    return Usage(
        input_tokens=max(usage.input_tokens - before.input_tokens, 0),
        output_tokens=max(usage.output_tokens - before.output_tokens, 0),
        cache_read_tokens=max(usage.cache_read_tokens - before.cache_read_tokens, 0),
        cache_write_tokens=max(usage.cache_write_tokens - before.cache_write_tokens, 0),
        usd=None if usage.usd is None else max(usage.usd - (before.usd or 0.0), 0.0),
    )


def _failed(said: Said, ended: End, answer: Answer | None) -> Failure | None:
    """Why the run failed, its answer aside; None when all is well."""
    if ended.ended_by != "exit":
        return _stopped(said, ended)
    if said.failure is not None:
        return said.failure
    if not said.finished:
        return _unfinished(said, ended)
    if said.denied:
        return _denied(said)
    if ended.signal is not None or ended.code:
        # it said that all is well, and then did not end well: only "done" needs more than a word
        if answer is not None and answer.status != "done":
            return None
        return _crashed(ended)
    return None


def _stopped(said: Said, ended: End) -> Failure:
    """The class of a run that its session process did not see exit by itself."""
    message = ended.message
    if ended.ended_by == "launch_failed":
        missing = "no such program" in message or "No such file" in message
        elsewhere = message.startswith("cannot work in")
        error = E.MISSING_TOOL if missing and not elsewhere else E.LAUNCH_FAILED
        return Failure(error, message or "the agent could not be started")
    if ended.ended_by == "timeout":
        ours = said.failure is not None and said.failure.error in INTERRUPTED
        cause = (None if ours else said.failure) or said.retrying or _told(ended, RETRIED)
        if cause is not None:
            return cause
        if said.asking:
            waited = f"nobody had answered whether it may use {said.asking}"
            return Failure(E.WAITING_FOR_INPUT, f"{message or 'the time limit is over'}: {waited}")
        return Failure(E.TIMEOUT, message or "the time limit is over")
    if ended.ended_by == "cancelled":
        return Failure(E.CANCELLED, message or "cancelled")
    if ended.ended_by in ("budget", "budget_day"):
        again = ended.now if ended.ended_by == "budget_day" else None  # when the day allows it
        return Failure(E.BUDGET, message or "stopped at its budget", again)
    return Failure(E.LOST, message or "the session was lost")


def _unfinished(said: Said, ended: End) -> Failure:
    """The class of a run without a final event: by what stderr says, then by how it ended."""
    if ended.code == TIMED_OUT_CODE:
        cause = said.retrying or _told(ended, RETRIED)
        return cause or Failure(E.TIMEOUT, "ended at a time limit (exit code 124)")
    if ended.signal is not None:
        return _crashed(ended)
    if said.retrying is not None:
        return said.retrying
    told = _told(ended)
    if told is not None and not (said.started and told.error is E.LAUNCH_FAILED):
        return told
    if said.denied:
        return _denied(said)
    if ended.code == NOT_FOUND_CODE and not said.started:
        return Failure(E.MISSING_TOOL, ended.lines[-1] if ended.lines else "no such program")
    if ended.code or said.started:
        return _crashed(ended, midway=said.started)
    return Failure(E.INVALID_RESPONSE, "the agent said nothing")


def _crashed(ended: End, midway: bool = False) -> Failure:
    """The class of a bad exit; `midway` when the run had begun and its final event is missing."""
    last = ended.lines[-1] if ended.lines else ""
    told = f": {last[:400]}" if last else ""
    if ended.signal is not None:
        return Failure(E.AGENT_CRASHED, f"ended by signal {ended.signal}{told}")
    if midway:
        how = f" (exit code {ended.code})" if ended.code is not None else ""
        return Failure(E.AGENT_CRASHED, f"ended without a final event{how}{told}")
    return Failure(E.AGENT_FAILED, f"exit code {ended.code}{told}")


def _denied(said: Said) -> Failure:
    return Failure(E.PERMISSION_DENIED, "not allowed to use " + ", ".join(said.denied))


def _told(ended: End, among: frozenset[ErrorClass] | None = None) -> Failure | None:
    """The last error line of the CLI's own on stderr that is known."""
    for line in reversed(ended.lines):
        error = by_words(line, ended.words)
        if error is not None and (among is None or error in among):
            return Failure(error, line)
    return None


def _answer(said: Said) -> tuple[Answer | None, Failure | None]:
    """The final answer if it can be read, and what is wrong if it cannot."""
    try:
        if isinstance(said.structured, dict | list):
            found = answers.find(json.dumps(said.structured))
        else:
            found = answers.find(said.text)
    except (answers.Unreadable, ValueError, RecursionError) as error:
        return None, Failure(E.INVALID_RESPONSE, f"{error}\n{said.text[:KEPT]}")
    if found is None:
        said_so = f"\n{said.text.strip()[-KEPT:]}" if said.text.strip() else ""
        return None, Failure(E.INVALID_RESPONSE, f"the agent gave no answer{said_so}")
    return found, None
