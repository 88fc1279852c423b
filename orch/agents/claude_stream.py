"""claude's machine protocol, stream-json both ways (one JSON object a line), as a conversation.

Measured with claude 2.1.197 (`-p --input-format stream-json --output-format stream-json --verbose
--replay-user-messages --permission-prompt-tool stdio`). A user line is read before the agent's
next model request, and then echoed with its `uuid`: that is the acknowledgement. After `result`
the agent waits for the next line and leaves when its input ends. Permission questions are
`control_request`s with the subtype `can_use_tool`.
"""

from __future__ import annotations

import difflib
import json

from orch.agents.claude_asked import SEVERAL, Request, asked, choices, text
from orch.agents.claude_usage import Requests, total
from orch.agents.spoken import Spoken
from orch.agents.spoken import line as _line
from orch.agents.stream import (
    Answered,
    Asked,
    Began,
    Edited,
    Failed,
    Finished,
    Heard,
    Limited,
    Noted,
    Retrying,
    Said,
    Step,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    Unknown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MOST_CALLS = 1000
"""Tool calls that are remembered until their answer comes."""

EDITORS = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"})
"""Tools whose answer is shown as a diff."""

SILENT = frozenset(
    {"status", "thinking_tokens", "task_started", "task_progress", "task_notification",
     "task_updated", "permission_denied", "hook_started", "hook_response", "hook_progress"}
)  # fmt: skip
"""`system` messages that say nothing a person needs: what they tell comes otherwise, too."""

NOBODY = "Nobody can be asked here. Decide it yourself, and tell of it in your answer."


class ClaudeStream(Spoken):
    """See `stream.Conversation`. `settings["permissions"]` is autonomous or supervised;
    `settings["worktree"]` is the folder that paths are shown relative to."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(settings)
        self._worktree = settings.get("worktree", "").rstrip("/") + "/"
        self._open: dict[str, Request] = {}
        """The requests that wait, by the ids of their questions."""

        self._calls: dict[str, tuple[str, dict[str, Any]]] = {}
        self._unheard: list[str] = []
        self._spent = TokensUsed(0, 0)
        self._requests = Requests()
        self._orders = 0

    # ---- to the agent ------------------------------------------------------------------------

    def begin(self, prompt: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.begin`."""
        return self.steer(prompt, id)

    def steer(self, text: str, id: str) -> bytes:  # noqa: A002
        """See `Conversation.steer`."""
        self._unheard.append(id)
        content = [{"type": "text", "text": text}]
        message = {"role": "user", "content": content}
        return _line({"type": "user", "message": message, "uuid": id})

    def interrupt(self) -> bytes:
        """See `Conversation.interrupt`."""
        self._interrupted = True
        self._orders += 1
        request = {"subtype": "interrupt"}
        return _line(
            {"type": "control_request", "request_id": f"orch-{self._orders}", "request": request}
        )

    def answer(self, question: str, allowed: bool, reason: str) -> bytes:
        """See `Conversation.answer`."""
        request = self._open.pop(question, None)
        if request is None:
            return b""
        del self.questions[question]
        request.settle(question, allowed, reason)
        return b"" if request.parts else _decision(request.id, request.decision)

    # ---- from the agent ----------------------------------------------------------------------

    def _unread(self) -> bool:
        return bool(self._unheard)

    def _message(self, message: dict[str, Any]) -> tuple[list[Step], bytes]:
        kind = message.get("type")
        if kind == "control_request":
            return self._question(message)
        if kind == "assistant":
            return self._assistant(message), b""
        if kind == "user":
            return self._user(message), b""
        if kind == "result":
            return self._result(message), b""
        if kind == "system":
            return self._system(message), b""
        if kind == "rate_limit_event":
            return _limit(message.get("rate_limit_info") or {}), b""
        if kind == "control_cancel_request":
            return self._withdrawn(str(message.get("request_id"))), b""
        if kind == "stream_event":
            used = self._count(self._requests.streamed(message))
            return [used] if used else [], b""
        if kind in ("control_response", "keep_alive"):
            return [], b""
        return [Unknown(str(kind)[:40])], b""

    def _system(self, message: dict[str, Any]) -> list[Step]:
        subtype = message.get("subtype")
        if subtype == "init":
            self._begun, self._ended = True, False
            session, self.model = name(message.get("session_id")), name(message.get("model"))
            known, self.session = self.session, session
            return [] if known == session else [Began(session, self.model)]
        if subtype == "api_retry":
            seconds = float(message.get("retry_delay_ms") or 0) / 1000
            status = message.get("error_status")
            reason = f"{message.get('error') or 'error'}{f' ({status})' if status else ''}"
            return [Retrying(reason, seconds)]
        if subtype == "compact_boundary":
            return [Noted("the conversation was compacted")]
        return [] if subtype in SILENT else [Unknown(f"system/{str(subtype)[:40]}")]

    def _assistant(self, message: dict[str, Any]) -> list[Step]:
        self._begun, self._ended = True, False
        body = message["message"]
        steps: list[Step] = []
        for block in body.get("content") or ():
            kind = block.get("type")
            if kind == "text" and block.get("text"):
                if not message.get("error"):  # else the result says it
                    steps.append(Said(str(block["text"])))
            elif kind == "thinking" and block.get("thinking"):
                steps.append(Thought(str(block["thinking"])))
            elif kind in ("tool_use", "server_tool_use"):
                given = block.get("input") if isinstance(block.get("input"), dict) else {}
                name, call = str(block.get("name")), str(block.get("id"))
                if len(self._calls) < MOST_CALLS:
                    self._calls[call] = (name, given)
                steps.append(ToolCalled(call, name, self._short(summary(name, given))))
        used = self._count(self._requests.seen(body))
        return [*steps, used] if used else steps

    def _count(self, more: TokensUsed | None) -> TokensUsed | None:
        """All that was used, now that a request has used more."""
        if more is not None:
            self.used = (self.used or self._spent).plus(more)
        return self.used if more is not None else None

    def _user(self, message: dict[str, Any]) -> list[Step]:
        content = message["message"].get("content")
        if message.get("isReplay"):
            heard = str(message.get("uuid"))
            if heard in self._unheard:
                self._unheard.remove(heard)
                self._ended = self._interrupted = False
                return [Heard(heard)]
            return []
        blocks = content if isinstance(content, list) else ()
        steps: list[Step] = []
        for block in blocks:
            if block.get("type") == "tool_result":
                steps += self._tool_answered(block, message.get("tool_use_result"))
        return steps

    def _tool_answered(self, block: dict[str, Any], detail: Any) -> list[Step]:
        call, failed = str(block.get("tool_use_id")), bool(block.get("is_error"))
        name, given = self._calls.pop(call, ("", {}))
        text = plain(block.get("content"))
        if name in EDITORS and not failed:
            lines = changes(detail) or intended(given)
            if lines:
                path = str(given.get("file_path") or given.get("notebook_path") or "")
                return [Edited(self._short(path), lines), ToolAnswered(call, "")]
        return [ToolAnswered(call, text, failed)]

    def _result(self, message: dict[str, Any]) -> list[Step]:
        self._begun = self._ended = True
        self.questions.clear()
        self._open.clear()
        self.session = name(message.get("session_id")) or self.session
        self.used = total(message, self._spent)
        self._spent = self.used
        self._requests.clear()
        if message.get("is_error") or message.get("subtype") != "success":
            errors = message.get("errors")
            said = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
            if str(message.get("terminal_reason")).startswith("aborted"):
                return [self.used, Failed("interrupted")]
            self._interrupted = False
            return [self.used, Failed(str(message.get("result") or said or "failed"))]
        self._interrupted = False  # it came too late
        return [self.used, Finished(str(message.get("result") or ""))]

    def _question(self, message: dict[str, Any]) -> tuple[list[Step], bytes]:
        request, question = message["request"], str(message["request_id"])
        if request.get("subtype") != "can_use_tool":
            error = f"not known here: {request.get('subtype')}"
            response = {"subtype": "error", "request_id": question, "error": error}
            return [Unknown("control_request")], _line(
                {"type": "control_response", "response": response}
            )
        given = request.get("input") if isinstance(request.get("input"), dict) else {}
        name = str(request.get("tool_name"))
        if not self._supervised:
            if name == SEVERAL:
                return [], _decision(question, {"behavior": "deny", "message": NOBODY})
            return [], _decision(question, {"behavior": "allow", "updatedInput": given})
        opened = Request(question, name, given)
        for part, one in opened.parts.items():
            said = flat(text(one)) if one else summary(name, given)
            self.questions[part] = Asked(part, name, self._short(said), choices(one))
            self._open[part] = opened
        return [self.questions[part] for part in opened.parts], b""

    def _short(self, text: str) -> str:
        return text.replace(self._worktree, "") if len(self._worktree) > 1 else text

    def _withdrawn(self, question: str) -> list[Step]:
        parts = [part for part, request in self._open.items() if request.id == question]
        for part in parts:
            del self.questions[part], self._open[part]
        return [Answered(part, False, "taken back") for part in parts]


def name(value: Any) -> str:
    """A session's or model's name as plain text; '' for anything else."""
    return value.encode("utf-8", "replace").decode()[:200] if isinstance(value, str) else ""


def summary(tool: str, given: dict[str, Any]) -> str:
    """In one line, what a tool is called for."""
    for key in ("command", "file_path", "notebook_path", "pattern", "url", "query", "description"):
        if isinstance(given.get(key), str) and given[key].strip():
            found = given[key]
            break
    else:
        found = " · ".join(text(one) for one in asked(given)) if tool == SEVERAL else ""
        found = found or (json.dumps(given, ensure_ascii=False) if given else "")
    return flat(found)


def flat(text: str) -> str:
    """Text in one line."""
    return " ⏎ ".join(line.strip() for line in text.strip().splitlines() if line.strip())[:2000]


def plain(content: Any) -> str:
    """The text of a tool's answer, which is text or a list of blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        str(b.get("text") or "") if b.get("type") == "text" else f"({b.get('type')})"
        for b in content
    )


def changes(detail: Any) -> tuple[str, ...]:
    """The diff that claude gives with the answer of a tool that edits; () without one."""
    if not isinstance(detail, dict):
        return ()
    lines: list[str] = []
    for hunk in detail.get("structuredPatch") or ():
        old, new = hunk.get("oldStart", 0), hunk.get("newStart", 0)
        lines.append(f"@@ -{old},{hunk.get('oldLines', 0)} +{new},{hunk.get('newLines', 0)} @@")
        lines += [str(line) for line in hunk.get("lines") or ()]
    if not lines and detail.get("type") == "create":
        lines = [f"+{line}" for line in str(detail.get("content") or "").splitlines()]
    return tuple(lines)


def intended(given: dict[str, Any]) -> tuple[str, ...]:
    """The diff as it follows from what the tool was told, for programs that give none."""
    if isinstance(given.get("content"), str):
        return tuple(f"+{line}" for line in given["content"].splitlines())
    several = given.get("edits")
    edits = several if isinstance(several, list) else [given]
    lines: list[str] = []
    for edit in edits:
        old, new = edit.get("old_string"), edit.get("new_string")
        if isinstance(old, str) and isinstance(new, str):
            diff = difflib.ndiff(old.splitlines()[:500], new.splitlines()[:500])
            lines += [f"{line[0]}{line[2:]}" for line in diff if line[0] in "+- "]
    return tuple(lines)


def _limit(info: dict[str, Any]) -> list[Step]:
    if info.get("status") != "rejected":
        return []
    until = info.get("resetsAt")
    reason = f"the {str(info.get('rateLimitType') or 'usage').replace('_', ' ')} limit is reached"
    return [Limited(reason, float(until) if isinstance(until, int | float) else None)]


def _decision(question: str, response: dict[str, Any]) -> bytes:
    inner = {"subtype": "success", "request_id": question, "response": response}
    return _line({"type": "control_response", "response": inner})
