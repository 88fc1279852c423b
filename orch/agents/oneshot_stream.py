"""One-shot modes as conversations: `codex exec --json` and `opencode run --format json`.

Measured with codex 0.169.0 and opencode 1.18.33. Such a program is given its prompt as its whole
input and reads nothing while it works; the end of its process is the end of its turn. It asks
nobody: what its settings do not allow is refused.
"""

from __future__ import annotations

import re

from orch.agents import stream
from orch.agents.codex_items import Items, tokens
from orch.agents.opencode_parts import Parts
from orch.agents.spoken import Spoken
from orch.agents.stream import (
    Began,
    Failed,
    Finished,
    Heard,
    Noted,
    Step,
    Unknown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

USED = {"input_tokens": "inputTokens", "output_tokens": "outputTokens"} | {
    "cached_input_tokens": "cachedInputTokens",
    "cache_write_input_tokens": "cacheWriteInputTokens",
}
"""The tokens of `exec`, and what the app server calls them."""


class OneshotStream(Spoken, stream.Oneshot):
    """See `stream.Conversation`. `settings["worktree"]` is the folder that paths are shown
    relative to. It works until its process ends: it is never `over` before."""

    def __init__(self, dialect: str, settings: Mapping[str, str]) -> None:
        super().__init__(settings)
        self.model = settings.get("model", "")
        self.waiting: dict[str, str] = {}
        self._first = ""
        self._text = ""
        self._items = Items(settings.get("worktree", ""))
        self._parts = Parts(settings.get("worktree", ""))
        codex = dialect == "codex-exec"
        self._read: Callable[[str, dict[str, Any]], list[Step]] = self._exec if codex else self._run

    # ---- to the agent ------------------------------------------------------------------------

    def begin(self, prompt: str, id: str) -> bytes:  # noqa: A002, ARG002
        """See `Conversation.begin`: the prompt is its input."""
        self._first = id
        return b""

    def steer(self, text: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.steer`: the text waits for the next turn."""
        self.waiting[id] = text
        return b""

    def interrupt(self) -> bytes:
        """See `Conversation.interrupt`: it hears nothing; a signal ends it."""
        return b""

    def answer(self, question: str, allowed: bool, reason: str) -> bytes:  # noqa: ARG002
        """See `Conversation.answer`: it asks nothing."""
        return b""

    # ---- from the agent ----------------------------------------------------------------------

    def _message(self, message: dict[str, Any]) -> tuple[list[Step], bytes]:
        return self._read(str(message.get("type"))[:40], message), b""

    def _begins(self, session: str) -> list[Step]:
        if self.session:
            return []
        self.session, self._begun = session, True
        return [Began(session, self.model), Heard(self._first)]

    def _exec(self, kind: str, event: dict[str, Any]) -> list[Step]:
        """An event of `codex exec --json`."""
        if kind == "thread.started":
            return self._begins(str(event["thread_id"]))
        if kind in ("item.started", "item.completed"):
            return self._item(kind == "item.completed", event["item"])
        if kind == "error":
            return [Noted(str(event.get("message") or "error"))]
        if kind == "turn.failed":
            return [Failed(str((event.get("error") or {}).get("message") or "the turn failed"))]
        if kind == "turn.completed":
            told = event.get("usage") or {}
            self.used = tokens({USED.get(name, name): count for name, count in told.items()})
            return [self.used, Finished(self._text)]
        return [] if kind == "turn.started" else [Unknown(kind)]

    def _item(self, done: bool, item: dict[str, Any]) -> list[Step]:
        """An item, whose names are those of the app server in another spelling."""
        item = {_camel(name): value for name, value in item.items()}
        item["type"] = _camel(str(item.get("type")))
        if item["type"] == "error":
            return [Noted(str(item.get("message") or "error"))] if done else []
        if not done:
            return self._items.started(item)
        if item["type"] == "agentMessage":
            self._text = str(item.get("text") or "")
        if item["type"] == "todoList":
            return []
        return list(self._items.completed(_changes_named(item)))

    def _run(self, kind: str, event: dict[str, Any]) -> list[Step]:
        """An event of `opencode run --format json`: a part of a message, or an error."""
        steps = self._begins(str(event["sessionID"])) if event.get("sessionID") else []
        if kind == "error":
            error = event.get("error") or {}
            data = error.get("data") or {}
            return [*steps, Failed(str(data.get("message") or error.get("name") or "failed"))]
        part = event["part"]
        steps += self._parts.take(part, own=True)
        self.used = self._parts.used
        if part.get("type") == "step-finish" and self._parts.finished:
            steps.append(Finished(self._parts.text))
        return steps


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _changes_named(item: dict[str, Any]) -> dict[str, Any]:
    """An item whose changes tell their kind as a word, in the app server's form."""
    changes = item.get("changes")
    if not isinstance(changes, list):
        return item
    named = [
        {**one, "kind": {"type": one.get("kind")}} if isinstance(one.get("kind"), str) else one
        for one in changes
    ]
    return {**item, "changes": named}
