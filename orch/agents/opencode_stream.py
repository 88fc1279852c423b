"""opencode's server as a conversation: requests to it as lines, its events as steps.

Measured with opencode 1.18.33 (`opencode serve`, through `orch.session.http_bridge`). A prompt
that is posted while it works becomes a user message at once, and is read with the next request to
the model: the first assistant message whose parent it is (or a later one) is the acknowledgement.
A turn ends with `session.idle`. A request that failed is told as `session.status` of the type
`retry`, and opencode would wait for hours and try for ever: here it is given up after a while.
"""

from __future__ import annotations

import json

from orch.agents import stream
from orch.agents.opencode_parts import Parts
from orch.agents.spoken import Spoken
from orch.agents.stream import (
    Answered,
    Asked,
    Began,
    Failed,
    Finished,
    Heard,
    Limited,
    Noted,
    Retrying,
    Step,
    Unknown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_TRIES = 6
"""Failed tries of one request after which it is given up."""
LONGEST_WAIT = 180.0
"""Seconds until the next try beyond which a request is given up at once."""

SILENT = frozenset(
    {"server.connected", "session.created", "session.updated", "session.diff", "session.deleted",
     "message.removed", "message.part.removed", "message.part.delta", "project.updated",
     "project.directories.updated", "file.edited", "file.watcher.updated", "lsp.updated",
     "lsp.client.diagnostics", "todo.updated", "vcs.branch.updated", "command.executed",
     "plugin.added", "catalog.updated", "integration.updated", "reference.updated",
     "server.heartbeat", "server.instance.disposed", "installation.update-available"}
)  # fmt: skip
"""Events that say nothing a person needs."""

NOBODY = "A person said no."


class OpencodeStream(Spoken):
    """See `stream.Conversation`. `settings`: `permissions` is autonomous or supervised, `worktree`
    the folder that paths are shown relative to, `model` provider/model or '', `title` that of a
    new session, `resume` the session to go on with or '', `tries` other than `MOST_TRIES`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._parts = Parts(settings.get("worktree", ""))
        self._choices: dict[str, int] = {}
        self._waiting: list[tuple[str, str]] = []
        self._posted: list[str] = []
        self._messages: dict[str, str] = {}
        self._roles: dict[str, str] = {}
        self._given_up = False
        self._latest = 0.0

    @property
    def state(self) -> str:
        """See `Conversation.state`."""
        return stream.DONE if self._given_up else super().state

    # ---- to the agent ------------------------------------------------------------------------

    def begin(self, prompt: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.begin`: first a session, then the prompt in it."""
        self._waiting.append((prompt, id))
        if resume := self._settings.get("resume"):
            return _call("open", "GET", f"/session/{resume}")
        return _call("open", "POST", "/session", {"title": self._settings.get("title", "")[:200]})

    def steer(self, text: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.steer`."""
        if not self.session:
            self._waiting.append((text, id))
            return b""
        self._posted.append(id)
        self._interrupted = False
        body: dict[str, Any] = {"parts": [{"type": "text", "text": text}]}
        provider, _, model = self._settings.get("model", "").partition("/")
        if model:
            body["model"] = {"providerID": provider, "modelID": model}
        return _call("prompt", "POST", f"/session/{self.session}/prompt_async", body)

    def interrupt(self) -> bytes:
        """See `Conversation.interrupt`."""
        self._interrupted = True
        self._ended = False
        return _call("interrupt", "POST", f"/session/{self.session}/abort", {})

    def answer(self, question: str, allowed: bool, reason: str) -> bytes:
        """See `Conversation.answer`."""
        asked = self.questions.pop(question, None)
        if asked is None:
            return b""
        if question not in self._choices:
            return _permit(question, allowed, reason)
        others = self._choices.pop(question) - 1
        if not allowed or not reason:
            return _call("question", "POST", f"/question/{question}/reject", {})
        answers = [[reason], *([] for _ in range(others))]
        return _call("question", "POST", f"/question/{question}/reply", {"answers": answers})

    # ---- from the agent ----------------------------------------------------------------------

    def _unread(self) -> bool:
        return bool(self._posted or self._messages)

    def _message(self, message: dict[str, Any]) -> tuple[list[Step], bytes]:
        return self._event(str(message.get("type"))[:40], message["properties"])

    def _event(self, kind: str, given: dict[str, Any]) -> tuple[list[Step], bytes]:
        if kind == "orch.answered":
            return self._answered(given)
        if kind == "permission.asked":
            return self._permission(given)
        if kind == "question.asked":
            return self._question(given)
        if kind in ("permission.replied", "question.replied", "question.rejected"):
            return self._settled(str(given["requestID"]), given), b""
        if kind == "message.part.updated":
            return self._part(given), b""
        if kind in SILENT:
            return [], b""
        if given.get("sessionID") not in ("", None, self.session):
            return [], b""  # a subagent's
        return self._own(kind, given), b""

    def _own(self, kind: str, given: dict[str, Any]) -> list[Step]:
        if kind == "message.updated":
            return self._info(given["info"])
        if kind == "session.status":
            return self._status(given["status"])
        if kind == "session.error":
            return self._error(given.get("error") or {})
        if kind == "session.idle":
            return self._idle()
        if kind == "session.compacted":
            return [Noted("the conversation was compacted")]
        return [Unknown(kind)]

    def _answered(self, given: dict[str, Any]) -> tuple[list[Step], bytes]:
        """What the server answered to a request of ours."""
        call, status = given["call"], int(given["status"])
        fine = 200 <= status < 300
        if call == "open" and fine:
            self.session, self._begun = str(given["body"]["id"]), True
            told = b"".join(self.steer(text, sent) for text, sent in self._waiting)
            self._waiting.clear()
            return [Began(self.session)], told
        if fine:
            return [], b""
        if call == "open" or (call == "prompt" and not self._roles):
            self._given_up = True
            return [Failed(f"the server refuses to begin ({status})")], b""
        return [Noted(f"the server refuses this ({call}, {status})")], b""

    def _info(self, info: dict[str, Any]) -> list[Step]:
        self._at(info.get("time"))
        self._roles[str(info["id"])] = role = str(info.get("role"))
        if role != "assistant":
            return []
        self.model = str(info.get("modelID") or self.model)
        parent = str(info.get("parentID"))
        if parent not in self._messages:
            return []
        self._ended = False
        steps: list[Step] = []
        for message in list(self._messages):
            steps.append(Heard(self._messages.pop(message)))
            if message == parent:
                break
        return steps

    def _part(self, given: dict[str, Any]) -> list[Step]:
        part = given["part"]
        self._at({"at": given.get("time")})
        message = str(part.get("messageID"))
        own = part.get("sessionID") in (None, self.session)
        if self._roles.get(message) == "user":
            said = own and part.get("type") == "text" and not part.get("synthetic")
            if said and message not in self._messages and self._posted:
                self._messages[message] = self._posted.pop(0)
            return []
        if own and part.get("type") == "step-start":
            self._ended = False
        steps = self._parts.take(part, own)
        self.used = self._parts.used
        return steps

    def _permission(self, given: dict[str, Any]) -> tuple[list[Step], bytes]:
        question, name = str(given["id"]), str(given.get("permission"))
        if not self._supervised:
            return [], _permit(question, True, "")
        known = given.get("metadata") or {}
        what = known.get("command") or known.get("filepath") or known.get("url")
        text = str(what or ", ".join(map(str, given.get("patterns") or ())))
        asked = Asked(question, name, self._parts.short(text)[:2000])
        self.questions[question] = asked
        return [asked], b""

    def _question(self, given: dict[str, Any]) -> tuple[list[Step], bytes]:
        question, several = str(given["id"]), list(given["questions"])
        if not self._supervised:
            return [], _call("question", "POST", f"/question/{question}/reject", {})
        first = several[0]
        options = tuple(str(one.get("label")) for one in first.get("options") or ())
        asked = Asked(question, "question", str(first.get("question"))[:2000], options)
        self.questions[question] = asked
        self._choices[question] = len(several)
        return [asked], b""

    def _settled(self, question: str, given: dict[str, Any]) -> list[Step]:
        self._choices.pop(question, None)
        if self.questions.pop(question, None) is None:
            return []
        return [Answered(question, given.get("reply") not in ("reject", None), "elsewhere")]

    def _status(self, status: dict[str, Any]) -> list[Step]:
        if status.get("type") != "retry":
            return []
        reason, until = str(status.get("message") or "failed"), float(status.get("next") or 0) / 1e3
        seconds = max(0.0, until - self._latest) if self._latest else 0.0
        if seconds > LONGEST_WAIT:
            self._given_up = True
            return [Limited(reason, until), Failed(f"{reason}: given up, it would wait too long")]
        tries = int(status.get("attempt") or 0)
        if tries >= int(self._settings.get("tries") or MOST_TRIES):
            self._given_up = True
            return [Failed(f"{reason}: given up after {tries} tries")]
        return [Retrying(reason, seconds)]

    def _error(self, error: dict[str, Any]) -> list[Step]:
        if error.get("name") == "MessageAbortedError":
            return [Failed("interrupted")]
        data = error.get("data")
        said = data.get("message") if isinstance(data, dict) else ""
        if error.get("name") == "ContextOverflowError":
            self._given_up = True  # else it shortens and fails again, for ever
        self._interrupted = False
        return [Failed(str(said or error.get("name") or "failed"))]

    def _idle(self) -> list[Step]:
        if self._ended:
            return []
        self._ended = True
        self.questions.clear()
        self._choices.clear()
        self._interrupted = self._interrupted and not self._parts.finished
        return [Finished(self._parts.text)] if self._parts.finished else []

    def _at(self, times: Any) -> None:
        """Note how late it is, by what the server says (milliseconds since the epoch)."""
        if isinstance(times, dict):
            known = [one / 1e3 for one in times.values() if isinstance(one, int | float)]
            self._latest = max([self._latest, *known])


def _permit(question: str, allowed: bool, reason: str) -> bytes:
    """The answer to a permission; with a message, a refusal does not end the turn."""
    refused = {"reply": "reject", "message": reason or NOBODY}
    body = {"reply": "once"} if allowed else refused
    return _call("permission", "POST", f"/permission/{question}/reply", body)


def _call(call: str, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    request = {"call": call, "method": method, "path": path, "body": body}
    return json.dumps(request).encode() + b"\n"
