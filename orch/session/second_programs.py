"""Which program follows another in one attempt: the one-shot mode of a CLI after its server that
did not come up, and the next turn of a one-shot mode after the last, for a text that waits."""

from __future__ import annotations

from types import SimpleNamespace

from orch.agents import render, stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from orch.agents.stream import Conversation
    from orch.session.launch import Launch
    from orch.session.program import Program

TOLD = f"{render.YELLOW}[it does not come up as a server: its one-shot mode instead]{render.OFF}\n"


def is_due(launch: Launch, talk: Conversation, ended: Program) -> bool:
    """Whether the other program is to be run: this one left by itself before it said a word that
    its protocol knows. One that was killed is not replaced."""
    known = getattr(launch, "instead", None) is not None
    return known and ended.signal is None and talk.state == stream.STARTING


def order(launch: Launch) -> Launch:
    """The launch order of the other program."""
    other: Any = launch.instead
    return _with(launch, **other, instead=None)


def next_turn(launch: Launch, talk: Conversation, ended: Program) -> str:
    """The text that a one-shot program is to be given now that its turn went well; '' for none."""
    if not isinstance(talk, stream.Oneshot) or ended.code or ended.signal or not talk.session:
        return ""
    texts = list(talk.waiting.values()) if getattr(launch, "again", None) else []
    talk.waiting.clear()
    return "\n\n".join(texts)


def again(launch: Launch, session: str) -> Launch:
    """The launch order of its next turn in the same conversation."""
    return _with(launch, argv=[word.replace("{session}", session) for word in launch.again])


def _with(launch: Launch, **other: Any) -> Launch:
    changed: Any = SimpleNamespace(**{**vars(launch), **other})
    return changed  # type: ignore[no-any-return]
