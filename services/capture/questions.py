"""What the agents of live sessions ask: seen in their sessions' state, told to the engine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from orch.errors import Unknown
from orch.hosts import Host
from orch.messages import ReportQuestions
from orch.model import Question, Session, Settled
from orch.session.launch import STATE, State

Key = tuple[str, int]

MOST = 50
"""Questions of one session that are told together."""

LONGEST = 4000
"""Characters of any text of them."""


class Questions:
    """Looks at the states of sessions, and knows which reports the engine has not taken yet."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._stamps: dict[Key, int] = {}
        self._seen: dict[Key, ReportQuestions] = {}
        self._told: dict[Key, ReportQuestions] = {}

    def asks(self, session: Session) -> bool:
        """Whether its agent asked something when we last looked."""
        seen = self._seen.get(_key(session))
        return bool(seen and seen.asked)

    def look(self, session: Session) -> None:
        """See what a session's agent asks now. A state that cannot be read is looked at again."""
        key, folder = _key(session), Path(session.folder)
        try:
            self._stamps[key] = self._host.stamp(folder, STATE)
            state = self._host.state(folder)
        except Unknown:
            self._stamps.pop(key, None)
            return
        if state is not None:
            self._seen[key] = report(session, state)

    def look_at_all(self, sessions: Iterable[Session]) -> None:
        """Look at those whose state was written since; forget all others."""
        keys = set()
        for session in sessions:
            keys.add(_key(session))
            if self._changed(session):
                self.look(session)
        for known in (self._stamps, self._seen, self._told):
            for key in known.keys() - keys:
                del known[key]

    def waiting(self) -> list[ReportQuestions]:
        """The reports that the engine has not taken yet."""
        return [
            seen
            for key, seen in self._seen.items()
            if (seen.asked or seen.settled) and self._told.get(key) != seen
        ]

    def told(self, reports: Iterable[ReportQuestions]) -> None:
        """The engine has taken these."""
        for one in reports:
            self._told[one.session, one.attempt] = one

    def _changed(self, session: Session) -> bool:
        try:
            return self._host.stamp(Path(session.folder), STATE) != self._stamps.get(_key(session))
        except Unknown:
            return False


def report(session: Session, state: State) -> ReportQuestions:
    """A session's state as the engine is told it."""
    asked = state.questions or ((state.question,) if state.question else ())
    return ReportQuestions(
        session.session,
        session.attempt,
        tuple(_question(one) for one in asked[:MOST]),
        tuple(_settled(one) for one in state.settled[-MOST:]),
    )


def _question(one: dict[str, Any]) -> Question:
    told = one.get("options")
    options = told[:MOST] if isinstance(told, list) else []
    return Question(
        question=_text(one, "question"),
        tool=_text(one, "title"),
        text=_text(one, "text"),
        options=tuple(str(option)[:LONGEST] for option in options),
    )


def _settled(one: dict[str, Any]) -> Settled:
    allowed = one.get("allowed")
    return Settled(
        question=_text(one, "question"),
        allowed=allowed if isinstance(allowed, bool) else None,
        by=_text(one, "by"),
        reason=_text(one, "reason"),
        key=_text(one, "key"),
    )


def _text(one: dict[str, Any], name: str) -> str:
    return str(one.get(name) or "")[:LONGEST]


def _key(session: Session) -> Key:
    return session.session, session.attempt
