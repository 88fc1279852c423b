"""Texts and answers into sessions: in threads beside the loop, asked again when none answers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from orch.errors import Unknown
from orch.hosts import Host
from orch.messages import Delivered, SendInput
from orch.model import Session
from orch.session.launch import State

TRIES = 8
"""How often a session that does not answer, or has only just begun, is asked."""

PAUSE = 0.25
"""Seconds between two tries."""

SECONDS = 12.0
"""After so long no further try is made."""


class Outcome(NamedTuple):
    """What became of a text; `sure` unless the session may still take it, or take it later."""

    delivered: Delivered
    sure: bool


ENDED = Outcome(Delivered("refused", "the session has ended"), sure=True)


class Answer(NamedTuple):
    """A person's answer to what an agent asks."""

    question: str
    allowed: bool
    reason: str
    by: str


def deliver(host: Host, session: Session, text: SendInput) -> Outcome:
    """Type a text into the session, once per `key`, and say what became of it.

    For a thread: it may take `SECONDS` and the time that typing takes.
    """
    if session.ended:
        return ENDED
    deadline = time.monotonic() + SECONDS
    for _ in range(TRIES):
        outcome = _typed(host, session, text)
        if outcome.sure or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    return outcome


def answer(host: Host, session: Session, told: Answer, key: str) -> Outcome:
    """Bring an answer to the session, once per `key`, and say what became of it. What the session
    has written down holds, also after its end. For a thread: it may take seconds."""
    found = _settled(host, session, told.question, key)
    if found is not None:
        return found
    return ENDED if session.ended else _answered(host, session, told, key)


def _typed(host: Host, session: Session, text: SendInput) -> Outcome:
    folder = Path(session.folder)
    try:
        told = Delivered(*host.send(session.session, text.text, text.submit, text.key, by=text.by))
        if told.state != "refused":
            return Outcome(told, sure=True)
        if host.finished(folder) is not None:
            return ENDED
        just_beginning = host.size(folder) == 0
        return Outcome(told, sure=not just_beginning)
    except Unknown as error:
        reason = f"the session does not answer, it may still take the text: {error}"
        return Outcome(Delivered("refused", reason), sure=False)


def _answered(host: Host, session: Session, told: Answer, key: str) -> Outcome:
    try:
        said = Delivered(
            *host.answer(session.session, told.question, told.allowed, told.reason, key, by=told.by)
        )
    except Unknown as error:
        said = Delivered("refused", f"the session does not answer: {error}")
    if said.state != "refused":
        return Outcome(said, sure=True)
    found = _settled(host, session, told.question, key)
    if found is not None:
        return found
    try:
        if host.finished(Path(session.folder)) is not None:
            return ENDED
        state = host.state(Path(session.folder))
    except Unknown:
        return Outcome(said, sure=False)
    return Outcome(said, sure=state is not None and not _open(state, told.question))


def _settled(host: Host, session: Session, question: str, key: str) -> Outcome | None:
    """What the session itself says of a question that it knows to be settled."""
    try:
        state = host.state(Path(session.folder))
    except Unknown:
        return None
    for one in reversed(state.settled if state else ()):
        if one.get("question") != question:
            continue
        if one.get("key") == key:
            return Outcome(Delivered("submitted"), sure=True)
        if one.get("allowed") is None:
            reason = "the agent does not ask that any more"
        else:
            how = "allowed" if one["allowed"] else "denied"
            reason = f"it was {how} in the session first"
        return Outcome(Delivered("refused", reason), sure=True)
    return None


def _open(state: State, question: str) -> bool:
    asked = state.questions or ((state.question,) if state.question else ())
    return any(one.get("question") == question for one in asked)
