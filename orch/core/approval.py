"""An agent's question on its way to people and back: which is meant, what it says, what holds."""

from __future__ import annotations

from typing import Any

from orch.errors import Ambiguous, Malformed, NotFound, Refused
from orch.model import Approval, ApprovalState, Question, Settled

S = ApprovalState

PREFIX = 6
"""Characters of an agent's own id that are enough to name a question, where no other has them."""

SHORT = 300
"""Characters of a question in a sentence."""

MOST_TEXT, MOST_ID, MOST_OPTIONS = 4000, 400, 50
"""Characters of a question's text and of its id, and options, that are kept."""

SOMEBODY = "somebody in the session"
"""Who gave an answer that was typed in the session."""


def key(approval: int) -> str:
    """The key of the one answer that a question gets."""
    return f"answer:{approval}"


def number(key: str) -> int | None:
    """The question that an answer's key belongs to."""
    word, _, digits = key.partition(":")
    return int(digits) if word == "answer" and digits.isdecimal() else None


def kept(question: Question) -> Question:
    """A question as it is kept: of bounded size, without characters that are no text."""
    return Question(
        question=_text(question.question, MOST_ID),
        tool=_text(question.tool, MOST_ID),
        text=_text(question.text, MOST_TEXT),
        options=tuple(_text(one, MOST_ID) for one in question.options[:MOST_OPTIONS]),
    )


def words(tool: str, text: str, options: tuple[str, ...]) -> str:
    """What an agent asks, as a sentence of one line."""
    line = " ⏎ ".join(text.split("\n")).strip()
    line = line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"
    if options:
        return f"{line} ({', '.join(options)})"
    return f"may it use {tool}: {line}?" if line else f"may it use {tool}?"


def waiting_for(task: str, rows: list[Approval]) -> str:
    """What a task waits for whose agent asks, and how to answer; or that an answer has yet to
    reach the agent; '' for neither."""
    asked = [row for row in rows if row.state is S.ASKED]
    under_way = [row for row in rows if row.answered_at and not (row.delivered or row.problem)]
    if not asked:
        return f"the agent to be told: {how(under_way[-1])}" if under_way else ""
    if len(asked) == 1:
        one = asked[0]
        said = words(one.tool, one.text, one.options)
        choice = f" --choose '{one.options[0]}'" if one.options else ""
        return (
            f"an answer: {said} (`orch task approve {task}{choice}`,"
            f" or `orch task deny {task} REASON`)"
        )
    last = asked[-1].id
    return (
        f"{len(asked)} answers: {listed(asked)} (`orch task approve {task} {last}`,"
        f" or `orch task deny {task} --question {last} REASON`)"
    )


def listed(asked: list[Approval]) -> str:
    """Several questions in one line, each with its number."""
    return "; ".join(f"[{one.id}] {words(one.tool, one.text, one.options)}" for one in asked)


def choose(task: str, rows: list[Approval], question: str) -> Approval:
    """The waiting question that is meant ('' for the only one); `rows` are the task's, oldest
    first. Raises `Ambiguous`, `NotFound`, and `Refused` for one that needs no answer any more."""
    asked = [row for row in rows if row.state is S.ASKED]
    if question:
        meant = _named(asked, question)
        if len(meant) == 1:
            return meant[0]
        if not meant:
            raise _not_waiting(task, rows, asked, question)
        asked = meant
    if len(asked) == 1:
        return asked[0]
    if asked:
        raise Ambiguous(
            f"{task} waits for {len(asked)} answers: {listed(asked)}",
            "say which, by its number: `orch task approve ID NUMBER`, `orch task deny ID"
            " --question NUMBER`",
        )
    last = f"; its last question was {how(rows[-1])}" if rows else ""
    raise Refused(f"{task} asks nothing now{last}", f"`orch task get {task}` shows how it is")


def answered(rows: list[Approval], before: int) -> tuple[tuple[str, str], ...]:
    """What people answered in the attempts before number `before`: each question as a sentence,
    and the answer with its reason. What the next attempt is told, so that it need not ask again."""
    return tuple(
        (words(row.tool, row.text, row.options), f"{row.state}: {row.reason}".rstrip(": "))
        for row in rows
        if row.n < before and row.state in (S.ALLOWED, S.DENIED)
    )


def how(row: Approval) -> str:
    """How a question was settled, with its words."""
    said = words(row.tool, row.text, row.options)
    if row.state is S.EXPIRED:
        return f"never answered: {said} ({row.problem or 'the attempt has ended'})"
    by = f" by {row.by}" if row.by else ""
    late = f"; it did not reach the agent: {row.problem}" if row.problem else ""
    return f"{row.state}{by}: {said}{late}"


def reason_of(row: Approval, allowed: bool, reason: str) -> str:
    """The reason as the agent is told it. Raises `Malformed` when a choice is missing."""
    if not (row.options and allowed):
        return reason
    exact = [one for one in row.options if one.casefold() == reason.strip().casefold()]
    if not reason.strip():
        raise Malformed(
            f"question {row.id} wants a choice: {words(row.tool, row.text, row.options)}",
            f"`orch task approve {row.task} {row.id} --choose '{row.options[0]}'`",
        )
    return exact[0] if exact else reason


def order(row: Approval) -> dict[str, Any]:
    """What capture is told to bring to the session: the payload of an `answer` effect."""
    return {
        "session": row.session,
        "question": row.question,
        "allowed": row.state is S.ALLOWED,
        "reason": row.reason,
        "by": row.by,
    }


def settled(row: Approval, seen: Settled) -> dict[str, Any]:
    """What changes in a row when its session saw the question end so; {} for nothing new. The
    session decides: whichever answer came first is the one that holds."""
    if row.delivered:
        return {}
    if seen.key == key(row.id):
        return {"delivered": True, "problem": ""}
    if seen.allowed is None:
        if row.state is S.EXPIRED or row.problem:
            return {}
        why = seen.reason or "the agent does not ask it any more"
        return {"state": S.EXPIRED if row.state is S.ASKED else row.state, "problem": why}
    return {
        "state": S.ALLOWED if seen.allowed else S.DENIED,
        "by": seen.by or SOMEBODY,
        "reason": seen.reason,
        "delivered": True,
        "problem": "",
    }


def _named(rows: list[Approval], name: str) -> list[Approval]:
    """Rows that a name means: by number, by the agent's own id, by its beginning."""
    if name.isdecimal():
        return [row for row in rows if row.id == int(name)]
    exact = [row for row in rows if row.question == name]
    if exact or len(name) < PREFIX:
        return exact
    return [row for row in rows if row.question.startswith(name)]


def _not_waiting(
    task: str, rows: list[Approval], asked: list[Approval], question: str
) -> Refused | NotFound:
    known = _named(rows, question)
    if known:
        hint = f"`orch task get {task}` shows how it is"
        return Refused(f"question {known[-1].id} of {task} was {how(known[-1])}", hint)
    there = ", ".join(str(one.id) for one in asked) or "none"
    return NotFound(
        f"{task} asks no question {question[:80]!r}", f"questions that wait for an answer: {there}"
    )


def _text(text: str, most: int) -> str:
    clean = text.replace("\0", "")
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"
