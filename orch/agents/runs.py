"""What a recorded run of a vendor's CLI came to, by the CLI's name."""

from __future__ import annotations

from datetime import tzinfo
from typing import Protocol

from msgspec import structs

from orch.agents import answer as answers
from orch.agents import claude_run, codex_run, gemini_run, lines, opencode_run, qwen_run
from orch.agents.contract import Recorded
from orch.agents.stream import LINGERED
from orch.model import ErrorClass, Verdict


class Reader(Protocol):
    """How the run of one CLI is read: see `claude_run.verdict`."""

    def __call__(
        self,
        out: bytes,
        err: bytes,
        code: int | None,
        signal: int | None = None,
        *,
        now: float,
        zone: tzinfo = ...,
        ended_by: str = "exit",
        message: str = "",
    ) -> Verdict:
        """The verdict; never raises, whatever stands in `out` and `err`."""


READERS: dict[str, Reader] = {
    "claude": claude_run.verdict,
    "codex": codex_run.verdict,
    "gemini": gemini_run.verdict,
    "opencode": opencode_run.verdict,
    "qwen": qwen_run.verdict,
}
"""The CLIs whose output is understood, in their one-shot and their streaming forms."""


PRINTED = frozenset({"gemini", "qwen"})
"""The CLIs that run as a `command` (`agents.{name}.reads`), judged by what they print."""


def printed(cli: str, recorded: Recorded) -> Verdict:
    """The verdict on a command that printed what this CLI prints, on a terminal: its lines that are
    no events are its stderr. An answer may be in its output file instead. A command cannot go on
    with a conversation, so none is named."""
    out = recorded.tail.encode()
    told = "\n".join(lines.written(out).prose)
    verdict = judge(cli, structs.replace(recorded, stderr=told), out)
    verdict = structs.replace(verdict, native_session="")
    unread = verdict.ok or verdict.error is ErrorClass.INVALID_RESPONSE
    if not recorded.output.strip() or not unread:
        return verdict
    try:
        answer = answers.read(recorded.output)
    except answers.Unreadable:
        return verdict
    return Verdict(ok=True, answer=answer, usage=verdict.usage)


def judge(cli: str, recorded: Recorded, out: bytes | None = None) -> Verdict:
    """The verdict on a session in which this CLI wrote `recorded.events`, or printed `out`."""
    ended = recorded.result
    lingered = ended.message == LINGERED  # so its end is of our making
    return READERS[cli](
        b"\n".join(recorded.events) if out is None else out,
        recorded.stderr.encode("utf-8", "replace"),
        0 if lingered else ended.exit_code,
        None if lingered else ended.signal,
        now=ended.ended_at,
        zone=recorded.zone,
        ended_by=ended.ended_by,
        message=ended.message,
    )
