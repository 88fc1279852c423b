"""A request as it came, and what it says, whichever of the four protocols it speaks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

CWD = re.compile(
    r"(?:working (?:in the )?directory|<cwd>|\bcwd)[^/\n]{0,40}(/[^\s<>`\"']+)", re.IGNORECASE
)
IN_PATH = re.compile(r"/models/(?P<model>[^/:]+):\w+\Z")
TITLE = re.compile(r"title generator|thread title|conversation title|session title|title for")
WORKING = "You are opencode"
"""How the system prompt of opencode itself begins, and not that of its helpers."""


@dataclass(frozen=True)
class Message:
    """One entry of the conversation: role is system, user, assistant or tool (a result)."""

    role: str
    text: str


@dataclass
class Asked:
    """One request. `kind` is step, auxiliary, count or other; `number` counts a run's requests."""

    number: int
    kind: str
    protocol: str
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    """Monotonic seconds."""
    ended: str = ""
    """"" while it is being answered; then sent, left (the client went away first) or broken."""
    status: int = 0
    answer: Any = field(default=None, repr=False)
    """The step it was answered with."""

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far, oldest first."""
        return tuple(said(self.body))

    @property
    def text(self) -> str:
        """All that is said in it."""
        return "\n".join(message.text for message in self.messages)

    @property
    def users(self) -> tuple[str, ...]:
        """What came from the person, or in the person's name."""
        return tuple(m.text for m in self.messages if m.role == "user")

    @property
    def results(self) -> tuple[str, ...]:
        """What tools returned."""
        return tuple(m.text for m in self.messages if m.role == "tool")

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools offered to the model."""
        offered = self.body.get("tools") or []
        tools = [one for tool in offered for one in tool.get("functionDeclarations", [tool])]
        return tuple(tool.get("name") or tool.get("function", {}).get("name", "") for tool in tools)

    @property
    def model(self) -> str:
        """The model asked for: in the body, or (Google) in the path."""
        found = IN_PATH.search(self.path)
        return found["model"] if found else str(self.body.get("model", ""))

    @property
    def streamed(self) -> bool:
        """Whether an event stream is wanted."""
        return bool(self.body.get("stream")) or self.path.endswith(":streamGenerateContent")

    @property
    def cwd(self) -> str:
        """The directory the CLI says it works in, or ""."""
        found = CWD.search(self.text)
        return found.group(1).rstrip(".,") if found else ""


def kind(protocol: str, path: str, body: dict[str, Any]) -> str:
    """What a request is for. One that offers tools is a step of the scenario, and so is one that
    offers none, unless it is a helper's: a title, a quota check, a summary."""
    if path.endswith(("/count_tokens", ":countTokens")):
        return "count"
    if not protocol:
        return "other"
    if body.get("tools"):
        return "step"
    system = "\n".join(m.text for m in said(body) if m.role == "system")
    other = protocol == "gemini" or (protocol == "chat" and not system.startswith(WORKING))
    helper = other or body.get("max_tokens") == 1 or TITLE.search(system)
    return "auxiliary" if helper else "step"


def said(body: dict[str, Any]) -> Iterator[Message]:
    """The conversation in a request body of any of the protocols."""
    for name in ("system", "instructions", "systemInstruction"):
        if body.get(name):
            yield Message("system", plain(body[name]))
    for entry in body.get("contents") or []:
        for part in entry.get("parts") or []:
            yield _part(entry.get("role", "user"), part)
    entries = body.get("messages") or body.get("input") or []
    if isinstance(entries, str):
        entries = [{"role": "user", "content": entries}]
    for entry in entries:
        yield from _entry(entry)


def _part(role: str, part: dict[str, Any]) -> Message:
    """A part in Google's form: a text, a call, or what a tool returned."""
    if "functionResponse" in part:
        return Message("tool", plain(part["functionResponse"].get("response")))
    if "functionCall" in part:
        return Message("assistant", json.dumps(part["functionCall"], ensure_ascii=False))
    return Message({"model": "assistant"}.get(role, role), plain(part))


def _entry(entry: dict[str, Any]) -> Iterator[Message]:
    if str(entry.get("type", "")).endswith("_call_output"):
        yield Message("tool", plain(entry.get("output")))
    elif str(entry.get("type", "")).endswith("_call"):
        call = {"name": entry.get("name"), "input": entry.get("arguments") or entry.get("input")}
        yield Message("assistant", json.dumps(call, ensure_ascii=False))
    elif "role" in entry:
        role = {"developer": "system"}.get(entry["role"], entry["role"])
        content = entry.get("content") or []
        if isinstance(content, str):
            yield Message(role, content)
            return
        for block in content:
            if block.get("type") == "tool_result":
                yield Message("tool", plain(block.get("content")))
            else:
                yield Message(role, plain([block]))


def plain(content: Any) -> str:
    """The text of a string, a block, or a list of blocks."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(plain(block) for block in content)
    if isinstance(content, dict):
        for name in ("text", "thinking", "output", "content", "parts"):
            if isinstance(content.get(name), str | list):
                return plain(content[name])
        return json.dumps(content, ensure_ascii=False)
    return ""
