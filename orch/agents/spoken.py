"""What the conversations of all dialects share: their state, and JSON objects line by line."""

from __future__ import annotations

import json

from orch.agents import stream
from orch.agents.stream import Asked, Step, TokensUsed, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

STRANGE = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What a field of another form than expected leads to."""


class Spoken:
    """The common part of a `stream.Conversation`; see there. A dialect adds what it says, and
    `_message`: what a JSON object of the agent means."""

    names = "type"
    """The field that names the kind of a message."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.session = ""
        self.model = ""
        self.questions: dict[str, Asked] = {}
        self.used: TokensUsed | None = None
        self._settings = settings
        self._supervised = settings.get("permissions") == "supervised"
        self._begun = self._ended = self._interrupted = False

    @property
    def state(self) -> str:
        """See `Conversation.state`."""
        if not self._begun:
            return stream.STARTING
        if self.questions:
            return stream.ASKING
        if not self._ended or self._unread():
            return stream.WORKING
        return stream.WAITING if self._interrupted else stream.DONE

    @property
    def over(self) -> bool:
        """See `Conversation.over`."""
        return self._ended

    def closing(self) -> bytes:
        """See `Conversation.closing`: the end of its input is all that it needs."""
        return b""

    def feed(self, line: bytes) -> tuple[list[Step], bytes]:
        """See `Conversation.feed`."""
        if not line.strip():
            return [], b""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return [Unknown("no JSON")], b""
        if not isinstance(message, dict):
            return [Unknown(type(message).__name__)], b""
        try:
            return self._message(message)
        except STRANGE:
            return [Unknown(str(message.get(self.names))[:40])], b""

    def _message(self, message: dict[str, Any]) -> tuple[list[Step], bytes]:
        """The steps that a message means, and what is to be said because of it."""
        raise TypeError(f"nobody knows what {message} means")

    def _unread(self) -> bool:
        """Whether the agent has a text that it has not read yet."""
        return False


def line(message: dict[str, Any]) -> bytes:
    """A message as the agent reads it."""
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
