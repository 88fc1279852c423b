"""Input into sessions: typed in threads beside the loop, asked again when no answer came."""

from __future__ import annotations

import time
from pathlib import Path

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


def deliver(host: Host, session: Session, text: str, submit: bool, key: str) -> Delivered:
    """Type the text into the session, once per `key`, and say what became of it.

    For a thread: it may take `SECONDS` and the time that typing takes.
    """
    deadline = time.monotonic() + SECONDS
    outcome = Delivered("refused", "the session has ended")
    for _ in range(0 if session.ended else TRIES):
        try:
            outcome = Delivered(*host.send(session.session, text, submit, key))
            again = outcome.state == "refused" and _begins(host, session)
        except Unknown as error:
            reason = f"the session does not answer, it may still take the text: {error}"
            outcome, again = Delivered("refused", reason), True
        if not again or time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    return outcome


def _begins(host: Host, session: Session) -> bool:
    """Whether the session is about to begin: nothing shown yet, and not ended."""
    folder = Path(session.folder)
    try:
        return host.size(folder) == 0 and host.finished(folder) is None
    except Unknown:
        return False
