"""The errors people and callers meet, grouped by what the catcher will do about them."""

from __future__ import annotations

from typing import ClassVar


class OrchError(Exception):
    """An expected failure, worded for the reader; `hint` is the next step to take."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Refused(OrchError):
    """The request is understood but not allowed now (an illegal move, a limit, a wrong owner)."""


class Malformed(OrchError):
    """What came in cannot be read: a message, a field, a number out of range."""

    exit_code = 2


class NotFound(OrchError):
    """Nothing goes by that name."""

    exit_code = 4


class Ambiguous(OrchError):
    """Several things go by that name; the message lists them."""

    exit_code = 4


class Unavailable(OrchError):
    """The service that owns the answer did not give it within the deadline."""

    exit_code = 3


class NotRunning(Unavailable):
    """No orchd runs on this home."""


class ConfigError(OrchError):
    """A configuration file is wrong; the message starts with `file:line: key:`."""


class ToolFailed(OrchError):
    """A program outside orch (git, tmux) said no; the message holds what it said."""


class Unknown(OrchError):
    """A question could not be answered. Unknown is not empty: conclude nothing from it."""


BY_NAME: dict[str, type[OrchError]] = {
    cls.__name__: cls
    for cls in (
        OrchError,
        Refused,
        Malformed,
        NotFound,
        Ambiguous,
        Unavailable,
        NotRunning,
        ConfigError,
        ToolFailed,
        Unknown,
    )
}
"""How an error travels: a `Failed` reply carries the class name, the client raises the class."""
