"""What a scripted model does: a scenario is a list of steps, the same for all four protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

FOREVER = 0
"""As a step's `times`: for every request from here on."""


@dataclass(frozen=True)
class Say:
    """Text for the person."""

    text: str


@dataclass(frozen=True)
class Think:
    """A thought before the text (thinking block, reasoning item, reasoning_content)."""

    text: str


@dataclass(frozen=True)
class Shell:
    """Run a shell command with the CLI's own tool."""

    command: str


@dataclass(frozen=True)
class Read:
    """Read a file (claude and opencode want that before an edit). Relative to the CLI's cwd."""

    path: str


@dataclass(frozen=True)
class Write:
    """Write a whole file with the CLI's own tool: Write, apply_patch, write, or its shell."""

    path: str
    text: str


@dataclass(frozen=True)
class Edit:
    """Replace `old`, which are whole lines without the last line's end, by `new` in a file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Use:
    """Call any tool by the name it has in that CLI."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


Part: TypeAlias = Say | Think | Shell | Read | Write | Edit | Use


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer. `fresh` input was not in a cache; reasoning is part of `output`."""

    fresh: int = 400
    cache_read: int = 800
    cache_write: int = 0
    output: int = 50
    reasoning: int = 0

    @property
    def input(self) -> int:
        """All input tokens, cached or not: what the OpenAI protocols call input."""
        return self.fresh + self.cache_read + self.cache_write


@dataclass(frozen=True)
class Turn:
    """An answer. `stop` is "" (as the parts say), "length" or "refusal"."""

    parts: tuple[Part, ...] = ()
    usage: Usage = Usage()
    stop: str = ""
    gate: str = ""
    """Held back, before anything is sent, until the test calls `run.open(gate)`."""
    pause_seconds: float = 0.0
    """Between the pieces of the stream: text then comes in words."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """More headers of the answer: x-codex-*, anthropic-ratelimit-unified-*."""
    times: int = 1


def turn(*parts: Part, **more: Any) -> Turn:
    """A `Turn` of these parts."""
    return Turn(parts, **more)


@dataclass(frozen=True)
class Fail:
    """A refusal in the provider's own words: a name from `failures.NAMES`."""

    name: str
    retry_after: int | None = None
    """Seconds; `usage_limit` says its reset time so far ahead, too."""
    times: int = FOREVER


@dataclass(frozen=True)
class Respond:
    """Any answer at all: status, headers, body."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = FOREVER


@dataclass(frozen=True)
class Hang:
    """Nothing, not even a status line, until the client goes away."""

    times: int = FOREVER


@dataclass(frozen=True)
class Broken:
    """A stream that begins and then breaks.

    `how` is "cut" (the connection closes in the middle), "stall" (open, but nothing more comes),
    "malformed" (lines that are no events, then an end) or "reset" (a TCP reset instead of any
    answer: in the middle of one, what the client still reads would be a matter of luck).
    """

    how: str = "cut"
    parts: tuple[Part, ...] = (Say("I am going to say something lo"),)
    times: int = FOREVER


Step: TypeAlias = Turn | Fail | Respond | Hang | Broken
Script: TypeAlias = Sequence[Step]
Scenario: TypeAlias = Script | Mapping[str, Script]
"""Steps in order; or, by a text that stands in the conversation (the first that does; "" always
does), steps in order, so that several conversations can use one address."""


class Place:
    """How far a script has been played. The last step stays for ever."""

    def __init__(self, script: Script) -> None:
        self.script = tuple(script)
        self.index = 0
        self.played = 0

    def step(self) -> Step:
        """The step for the next request."""
        if not self.script:
            return turn(Say("Nothing was scripted for this request."))
        current = self.script[self.index]
        self.played += 1
        if current.times != FOREVER and self.played >= current.times:
            self.played = 0
            self.index = min(self.index + 1, len(self.script) - 1)
        return current
