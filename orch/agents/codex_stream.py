"""codex's app server (JSON-RPC, one message a line, without the `jsonrpc` key) as a conversation.

Measured with codex 0.169.0 (`codex app-server`; its own `generate-json-schema --experimental`).
The handshake is `initialize`, `initialized`, `thread/start` or `thread/resume`, then `turn/start`
with the prompt. A text for a running turn goes by `turn/steer`, and comes back as a `userMessage`
item with our `clientId` when the agent has read it, before its next model request. An interrupt
drops what was not read, and leaves the running command alone: so that text begins a turn of its
own, and the command is ended by `thread/backgroundTerminals/clean`. Permission questions are
requests of the server whose method ends in `requestApproval`.
"""

from __future__ import annotations

from orch import __version__
from orch.agents import codex_approvals
from orch.agents.codex_items import Items, since, tokens
from orch.agents.codex_rules import Rules
from orch.agents.spoken import Spoken
from orch.agents.spoken import line as _line
from orch.agents.stream import (
    Answered,
    Began,
    Failed,
    Finished,
    Heard,
    Limited,
    Noted,
    Step,
    TokensUsed,
    Unknown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

UNWANTED = (
    "item/agentMessage/delta", "item/plan/delta", "item/reasoning/summaryTextDelta",
    "item/reasoning/summaryPartAdded", "item/reasoning/textDelta", "turn/diff/updated",
)  # fmt: skip
"""Notifications that codex need not send: the items' ends say it all again."""

SILENT = ("account/", "app/", "deprecationNotice", "fs/", "hook/", "item/autoApprovalReview/",
          "item/commandExecution/terminalInteraction", "item/fileChange/", "item/mcpToolCall/",
          "mcpServer/", "model/", "modelProvider/", "project/", "remoteControl/", "skills/",
          "thread/", "turn/", "windows")  # fmt: skip
"""Beginnings of notifications that say nothing a person needs."""

GRANULAR = {
    "granular": {"sandbox_approval": False, "rules": True, "mcp_elicitations": True}
    | {"skill_approval": False, "request_permissions": False}
}
"""The approval policy that asks about dangerous commands, and never to leave the sandbox."""

UNKNOWN_METHOD = -32601
"""JSON-RPC 2.0, 5.1: the method does not exist."""

Message = dict[str, "Any"]


class CodexStream(Spoken):
    """See `stream.Conversation`. `settings` are those of `Codex.plan`, and `system` is the text
    of its `system_file`."""

    names = "method"

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._items = Items(settings.get("worktree", ""))
        self._rules = Rules(settings.get("allowed", ""), settings.get("disallowed", ""))
        self._requests: dict[int, tuple[str, str]] = {}
        self._asked: dict[str, Message] = {}
        self._unheard: dict[str, str] = {}
        self._unsent: list[str] = []
        self._before = TokensUsed(0, 0)
        self._turn = self._text = ""
        self._number = self._reasons = 0
        self._starting = self._stopping = self._limited = False

    # ---- to the agent ------------------------------------------------------------------------

    def begin(self, prompt: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.begin`: the prompt is sent once the thread is there."""
        self._unheard[id] = prompt
        self._unsent.append(id)
        client = {"name": "orch", "title": "orch", "version": __version__}
        able = {"experimentalApi": True, "optOutNotificationMethods": list(UNWANTED)}
        return self._request("initialize", {"clientInfo": client, "capabilities": able})

    def steer(self, text: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.steer`."""
        self._unheard[id] = text
        self._unsent.append(id)
        return self._send()

    def interrupt(self) -> bytes:
        """See `Conversation.interrupt`."""
        self._interrupted = True
        if self._turn:
            return self._request("turn/interrupt", self._here(turnId=self._turn))
        self._stopping = True  # as soon as the turn has a name
        return b""

    def answer(self, question: str, allowed: bool, reason: str) -> bytes:
        """See `Conversation.answer`: a refusal has no place for its reason, which is a text."""
        self.questions.pop(question, None)
        message = self._asked.pop(question, None)
        if message is None:
            return b""
        said = _line(
            {"id": message["id"], "result": codex_approvals.reply(message, allowed, reason)}
        )
        if not allowed and reason:
            self._reasons += 1
            said += self.steer(reason, f"orch-reason-{self._reasons}")
        return said

    def _request(self, method: str, params: Message, about: str = "") -> bytes:
        self._number += 1
        self._requests[self._number] = (method, about)
        return _line({"id": self._number, "method": method, "params": params})

    def _here(self, **more: Any) -> Message:
        return {"threadId": self.session, **more}

    def _open(self) -> bytes:
        """Begin a thread, or go on with the one to be resumed: in the folder that codex was started
        in. Were it named here, codex would note in the person's settings that it is trusted."""
        settings = self._settings
        policy = settings.get("approvals") or "never"
        params: Message = {
            "approvalPolicy": GRANULAR if policy == "granular" else policy,
            "sandbox": settings.get("sandbox") or "workspace-write",
            "developerInstructions": settings.get("system") or None,
            "model": settings.get("model") or None,
            "ephemeral": settings.get("ephemeral") == "1" or None,
        }
        params = {name: value for name, value in params.items() if value}
        resume = settings.get("resume")
        if resume:
            params |= {"threadId": resume, "excludeTurns": True}
        return self._request("thread/resume" if resume else "thread/start", params)

    def _send(self) -> bytes:
        """Send the texts that can be sent now: into the running turn, or as a new one."""
        said = b""
        while self._unsent and self.session and not self._starting:
            id_ = self._unsent.pop(0)
            text = [{"type": "text", "text": self._unheard[id_]}]
            params = self._here(input=text, clientUserMessageId=id_)
            if self._turn:
                params["expectedTurnId"] = self._turn
                said += self._request("turn/steer", params, id_)
            else:
                self._starting, self._ended = True, False
                said += self._request("turn/start", params, id_)
        return said

    # ---- from the agent ----------------------------------------------------------------------

    def _unread(self) -> bool:
        return bool(self._unheard)

    def _message(self, message: Message) -> tuple[list[Step], bytes]:
        if "method" not in message:
            return self._reply(message)
        method, params = str(message["method"]), message.get("params") or {}
        if "id" in message:
            return self._question(message)
        thread = params.get("threadId")
        if thread and self.session and thread != self.session:
            return [], b""  # of an agent that it started itself
        if method.startswith("item/"):
            return self._item(method, params), b""
        if method == "turn/started":
            return self._turn_started(params["turn"])
        if method == "turn/completed":
            return self._turn_completed(params["turn"])
        return self._notice(method, params), b""

    def _reply(self, message: Message) -> tuple[list[Step], bytes]:
        method, about = self._requests.pop(message["id"], ("", ""))
        error = message.get("error")
        if isinstance(error, dict):
            return self._refused(method, about, str(error.get("message") or "refused"))
        if method == "initialize":
            return [], _line({"method": "initialized"}) + self._open()
        if method in ("thread/start", "thread/resume"):
            result = message["result"]
            self.session, self.model = str(result["thread"]["id"]), str(result.get("model") or "")
            return [Began(self.session, self.model)], self._send()
        return [], b""

    def _refused(self, method: str, about: str, why: str) -> tuple[list[Step], bytes]:
        if method == "turn/steer" and about in self._unheard:
            self._unsent.append(about)  # the turn has ended: it begins the next one
            return [], b"" if self._turn else self._send()
        if method in ("initialize", "thread/start", "thread/resume", "turn/start"):
            self._over()
            return [Failed(why)], b""
        return [], b""

    def _turn_started(self, turn: Message) -> tuple[list[Step], bytes]:
        self._begun, self._starting, self._ended = True, False, False
        self._turn, self._text = str(turn["id"]), ""
        if self._stopping:
            self._stopping = False
            return [], self.interrupt()
        return [], self._send()

    def _turn_completed(self, turn: Message) -> tuple[list[Step], bytes]:
        status, self._turn = turn.get("status"), ""
        self._ended, self._starting = True, False
        self.questions.clear()
        self._asked.clear()
        if status == "failed":
            error = turn.get("error") or {}
            self._over()
            return [Failed(str(error.get("message") or "the turn failed"))], b""
        said = b""
        self._interrupted = status == "interrupted"
        if self._interrupted:
            said = self._request("thread/backgroundTerminals/clean", self._here())
        self._unsent = list(self._unheard)
        said += self._send()
        return [Failed("interrupted") if self._interrupted else Finished(self._text)], said

    def _over(self) -> None:
        """Nothing more will be read."""
        self._begun = self._ended = True
        self._starting = self._interrupted = False
        self._unheard.clear()
        self._unsent.clear()

    def _item(self, method: str, params: Message) -> list[Step]:
        if method == "item/commandExecution/outputDelta":
            return self._items.printed(str(params["itemId"]), str(params["delta"]))
        if method not in ("item/started", "item/completed"):
            return [] if method.startswith((*SILENT, *UNWANTED)) else [Unknown(method[:40])]
        item = params["item"]
        if item.get("type") == "userMessage":
            return self._heard(item)
        if method == "item/started":
            return self._items.started(item)
        if item.get("type") == "agentMessage":
            self._text = str(item.get("text") or "")
        return list(self._items.completed(item))

    def _heard(self, item: Message) -> list[Step]:
        """A text was read: ours if it has our id, or where it has none, our words."""
        id_ = str(item.get("clientId") or "")
        if not id_:
            words = "".join(str(one.get("text") or "") for one in item.get("content") or ())
            id_ = next((one for one, text in self._unheard.items() if text == words), "")
        if self._unheard.pop(id_, None) is None:
            return []
        self._interrupted = False
        return [Heard(id_)]

    def _notice(self, method: str, params: Message) -> list[Step]:
        if method == "thread/tokenUsage/updated":
            total = tokens(params["tokenUsage"]["total"])
            if not self._begun:  # what a resumed thread had used before
                self._before = total
                return []
            self.used = since(total, self._before)
            return [self.used]
        if method == "error":
            message = str((params.get("error") or {}).get("message") or "error")
            return [Noted(f"{message}; it tries again")] if params.get("willRetry") else []
        if method == "account/rateLimits/updated":
            return self._limits(params.get("rateLimits") or {})
        if method == "serverRequest/resolved":
            question = str(params["requestId"])
            self._asked.pop(question, None)
            if self.questions.pop(question, None) is None:
                return []
            return [Answered(question, False, "taken back")]
        if method in ("warning", "guardianWarning"):
            return [Noted(str(params.get("message") or ""))]
        if method == "configWarning" or method.startswith(SILENT):
            return []
        return [Unknown(method[:40])]

    def _limits(self, limits: Message) -> list[Step]:
        """A window that is used up, told once."""
        windows = [limits.get(name) or {} for name in ("primary", "secondary")]
        used_up = [one for one in windows if (one.get("usedPercent") or 0) >= 100]
        if not used_up or self._limited:
            return []
        self._limited = True
        ends = [one["resetsAt"] for one in used_up if isinstance(one.get("resetsAt"), int | float)]
        return [Limited("the usage limit is reached", max(ends, default=None))]

    def _question(self, message: Message) -> tuple[list[Step], bytes]:
        """A request of the server: rules settle it, or a person does."""
        method = str(message["method"])
        asked = codex_approvals.asked(message, self._items)
        if asked is None:
            error = {"code": UNKNOWN_METHOD, "message": f"not known here: {method}"}
            return [Unknown(method[:40])], _line({"id": message["id"], "error": error})
        decided = codex_approvals.decided(message, self._rules)
        if decided is None and not self._supervised:
            decided = not asked.options
        if decided is None:
            self.questions[asked.question] = asked
            self._asked[asked.question] = message
            return [asked], b""
        result = codex_approvals.reply(message, decided, "")
        return [], _line({"id": message["id"], "result": result})
