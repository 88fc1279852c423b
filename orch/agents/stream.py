"""Talking with an agent over its machine protocol: the steps it takes, and who says what, pure.

A `Conversation` turns what people do (a prompt, a correction, an interrupt, the answer to a
question) into lines for the agent, and the agent's lines into steps. It does no I/O and knows no
clock, so a recorded run gives the same steps as a live one. The session process does the I/O:
for an agent on pipes the lines are its standard input and output as they are.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Began(NamedTuple):
    """The agent is there: the id by which its conversation can be resumed, and its model."""

    session: str
    model: str = ""


class Said(NamedTuple):
    """Text of the agent."""

    text: str


class Thought(NamedTuple):
    """The agent's reasoning, as far as it shows it."""

    text: str


class ToolCalled(NamedTuple):
    """A tool begins: its name, and in one line what for."""

    id: str
    name: str
    summary: str = ""


class ToolPrinted(NamedTuple):
    """Live output of a tool that runs."""

    id: str
    text: str


class ToolAnswered(NamedTuple):
    """A tool has ended; `text` is what it gave back (without what was printed live)."""

    id: str
    text: str
    failed: bool = False


class Edited(NamedTuple):
    """A file was changed: lines of a unified diff, each with its `+`, `-`, blank or `@@`."""

    path: str
    lines: tuple[str, ...]


class Asked(NamedTuple):
    """The agent asks and waits: whether it may (`options` empty), or which of the options."""

    question: str
    title: str
    text: str
    options: tuple[str, ...] = ()


class Answered(NamedTuple):
    """A question is settled, by a person or because the agent took it back."""

    question: str
    allowed: bool
    by: str = ""


class Heard(NamedTuple):
    """The agent has read the text that was sent under this id."""

    id: str


class TokensUsed(NamedTuple):
    """All that this run has used so far; `usd` is None where nobody says."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0
    usd: float | None = None

    def plus(self, more: TokensUsed) -> TokensUsed:
        """With more tokens added; the money stays as it is."""
        return TokensUsed(
            self.input + more.input,
            self.output + more.output,
            self.cache_read + more.cache_read,
            self.cache_write + more.cache_write,
            self.usd,
        )


class Retrying(NamedTuple):
    """A request failed and is tried again after so many seconds."""

    reason: str
    seconds: float


class Limited(NamedTuple):
    """A limit of the vendor is reached; `until` is when it ends (epoch seconds), if told."""

    reason: str
    until: float | None = None


class Noted(NamedTuple):
    """Something else that a person wants to see."""

    text: str


class Finished(NamedTuple):
    """A turn ended well, with this last text."""

    text: str


class Failed(NamedTuple):
    """A turn ended badly, and how."""

    text: str


class Unknown(NamedTuple):
    """A message that this version does not know; it stays in the raw record."""

    kind: str


Step = (
    Began | Said | Thought | ToolCalled | ToolPrinted | ToolAnswered | Edited | Asked | Answered
    | Heard | TokensUsed | Retrying | Limited | Noted | Finished | Failed | Unknown
)  # fmt: skip

STARTING, WORKING, ASKING, WAITING, DONE = "starting", "working", "asking", "waiting", "done"
"""States of a conversation. `waiting`: interrupted, and for a person to go on; `done`: nothing is
left to be read or said, so the agent may be told to leave."""


BRIDGE = "orch:http_bridge"
"""In the argv of a structured agent that is a server on loopback: the program that runs what
follows and speaks HTTP with it (`orch.session.http_bridge`)."""

LINGERED = "the agent did not leave after its last message"
"""Why a session process ended an agent that had said all."""


ONESHOT = frozenset({"codex-exec", "opencode-run"})
"""Dialects of programs that read their whole input first, and nothing while they work."""


class Oneshot:
    """Marks the conversation with such a program: a text waits for the end of its turn, and is
    all that the next one is given."""

    waiting: dict[str, str]
    """The texts that wait, by their ids."""


class Conversation(Protocol):
    """One agent's protocol. Methods that say something return the bytes to be written."""

    session: str
    """The id by which the agent can resume this conversation; '' until it is known."""
    model: str
    """The model that answers, as the agent names it."""
    questions: dict[str, Asked]
    """What the agent waits to be told, oldest first."""
    used: TokensUsed | None
    """What was used so far."""

    @property
    def state(self) -> str:
        """One of this module's states."""

    @property
    def over(self) -> bool:
        """Whether the last turn has ended, though something may be unread yet."""

    def begin(self, prompt: str, id: str) -> bytes:  # noqa: A002
        """Open the conversation and give the agent its work."""

    def feed(self, line: bytes) -> tuple[list[Step], bytes]:
        """Take a line of the agent (without its newline): the steps it means, and what is to be
        written because of it (handshakes, questions that need no person). Never raises."""

    def steer(self, text: str, id: str) -> bytes:  # noqa: A002
        """A person's text for the running agent; a `Heard` with this id says that it was read."""

    def interrupt(self) -> bytes:
        """Stop what the agent does now; it then waits for a text."""

    def answer(self, question: str, allowed: bool, reason: str) -> bytes:
        """Settle an open question; `reason` is told to the agent, or is the chosen option."""

    def closing(self) -> bytes:
        """The last words, before the agent's input is closed."""


def conversation(dialect: str, settings: Mapping[str, str]) -> Conversation:
    """A new conversation in an agent's dialect; `settings` are those of `Plan.settings`.

    Raises `ValueError` on a dialect that this version does not speak.
    """
    if dialect == "claude":
        from orch.agents.claude_stream import ClaudeStream  # noqa: PLC0415 - only what is spoken

        return ClaudeStream(settings)
    if dialect == "codex":
        from orch.agents.codex_stream import CodexStream  # noqa: PLC0415 - only what is spoken

        return CodexStream(settings)
    if dialect == "opencode":
        from orch.agents.opencode_stream import OpencodeStream  # noqa: PLC0415

        return OpencodeStream(settings)
    if dialect in ONESHOT:
        from orch.agents.oneshot_stream import OneshotStream  # noqa: PLC0415

        return OneshotStream(dialect, settings)
    raise ValueError(f"unknown dialect {dialect!r}")
