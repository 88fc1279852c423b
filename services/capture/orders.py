"""What capture does for the engine: effects, by kind, each safe to repeat."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from orch.errors import Malformed, Unknown
from orch.hosts import Host
from orch.messages import Delivered, SendInput
from orch.model import Effect, Session
from services.capture.hands import ENDED, Answer, Outcome, answer, deliver

Locate = Callable[[str], Session]
"""Finds a session as the engine has it now; raises `NotFound`, `Unavailable`."""


class Type(msgspec.Struct):
    """The payload of a `send` effect: a text to be typed."""

    session: str
    text: str
    submit: bool = True
    by: str = ""


class Bring(msgspec.Struct):
    """The payload of an `answer` effect (`core.approval.order`)."""

    session: str
    question: str
    allowed: bool
    reason: str = ""
    by: str = ""


class Tell(msgspec.Struct):
    """The payload of a `takeover` effect: the session hears who works in it now."""

    session: str


ORDERS: dict[str, type[Type | Bring | Tell]] = {"send": Type, "answer": Bring, "takeover": Tell}
"""The kinds of effects that capture knows."""


class Orders:
    """Does effects, in any thread; takeovers one after another, so that the last truth stays."""

    def __init__(self, host: Host, locate: Locate) -> None:
        self._host = host
        self._locate = locate
        self._turn = threading.Lock()

    def do(self, effect: Effect) -> Outcome:
        """Do one effect and say what became of it. Raises `Malformed`, `NotFound`."""
        if effect.kind not in ORDERS:
            raise Malformed(f"capture cannot do {effect.kind!r} with {sorted(effect.payload)}")
        try:
            order = msgspec.convert(effect.payload, ORDERS[effect.kind])
        except msgspec.ValidationError as error:
            raise Malformed(f"capture cannot do this {effect.kind!r}: {error}") from error
        if isinstance(order, Tell):
            return self._tell(order.session)
        session = self._locate(order.session)
        if isinstance(order, Bring):
            told = Answer(order.question, order.allowed, order.reason, order.by)
            return answer(self._host, session, told, effect.key)
        text = SendInput(order.session, order.text, order.submit, order.by, effect.key)
        return deliver(self._host, session, text)

    def _tell(self, name: str) -> Outcome:
        with self._turn:
            session = self._locate(name)
            try:
                if session.ended or self._host.finished(Path(session.folder)) is not None:
                    return ENDED
                if self._host.take(name, session.taken_by):
                    return Outcome(Delivered("submitted"), sure=True)
            except Unknown as error:
                return Outcome(Delivered("refused", str(error)), sure=False)
        return Outcome(Delivered("refused", "the session does not listen yet"), sure=False)
