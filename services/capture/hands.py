"""Input into sessions: typed in threads beside the loop, asked again when no answer came."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from orch.errors import Unknown
from orch.hosts import Host
from orch.messages import Delivered
from orch.model import Session

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


def deliver(host: Host, session: Session, text: str, submit: bool, key: str) -> Outcome:
    """Type the text into the session, once per `key`, and say what became of it.

    For a thread: it may take `SECONDS` and the time that typing takes.
    """
    if session.ended:
        return ENDED
    deadline = time.monotonic() + SECONDS
    for _ in range(TRIES):
        outcome = _once(host, session, text, submit, key)
        if outcome.sure or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    return outcome


def _once(host: Host, session: Session, text: str, submit: bool, key: str) -> Outcome:
    folder = Path(session.folder)
    try:
        told = Delivered(*host.send(session.session, text, submit, key))
        if told.state != "refused":
            return Outcome(told, sure=True)
        if host.finished(folder) is not None:
            return ENDED
        just_beginning = host.size(folder) == 0
        return Outcome(told, sure=not just_beginning)
    except Unknown as error:
        reason = f"the session does not answer, it may still take the text: {error}"
        return Outcome(Delivered("refused", reason), sure=False)
