"""The parts of opencode's messages as steps: its words, its tools, and what they used."""

from __future__ import annotations

import json

from orch.agents.stream import (
    Edited,
    Said,
    Step,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    ToolPrinted,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ABOUT = ("command", "filePath", "pattern", "url", "query", "path", "description")
"""Keys of a tool's input that say what it is called for."""
MOST_DIFF = 1000
"""Lines of a diff that are passed on."""


class Parts:
    """The parts of a conversation so far. A part comes again as it grows: each says once what it
    has to say. `finished`: the last step ended the turn, with `text`."""

    def __init__(self, worktree: str) -> None:
        self.used: TokensUsed | None = None
        self.finished = False
        self.text = ""
        self._worktree = worktree.rstrip("/") + "/"
        self._said: set[str] = set()
        self._printed: dict[str, str] = {}

    def take(self, part: dict[str, Any], own: bool) -> list[Step]:
        """The steps that a part means now; of a subagent's (not `own`) only what it used."""
        kind, key = part.get("type"), str(part.get("id"))
        if kind == "step-finish":
            return self._finished(key, part, own)
        if not own:
            return []
        if kind == "step-start":
            self.finished = False
        elif kind == "tool":
            return self._tool(key, str(part.get("tool")), part["state"])
        elif kind in ("text", "reasoning"):
            return self._words(key, part, kind == "text")
        return []

    def short(self, text: str) -> str:
        """A text with paths of the worktree relative to it."""
        return text.replace(self._worktree, "") if len(self._worktree) > 1 else text

    def _words(self, key: str, part: dict[str, Any], aloud: bool) -> list[Step]:
        text = str(part.get("text") or "")
        whole = bool((part.get("time") or {}).get("end"))
        if not whole or not text.strip() or part.get("synthetic") or not self._once(key):
            return []
        if not aloud:
            return [Thought(text)]
        self.text = text
        return [Said(text)]

    def _finished(self, key: str, part: dict[str, Any], own: bool) -> list[Step]:
        if own:
            self.finished = part.get("reason") != "tool-calls"
        if not self._once(key):
            return []
        tokens = part.get("tokens") or {}
        cache = tokens.get("cache") or {}
        before = self.used or TokensUsed(0, 0)
        more = TokensUsed(
            input=_count(tokens, "input"),
            output=_count(tokens, "output") + _count(tokens, "reasoning"),
            cache_read=_count(cache, "read"),
            cache_write=_count(cache, "write"),
        )
        cost = part.get("cost")
        usd = (before.usd or 0.0) + cost if isinstance(cost, int | float) and cost else before.usd
        self.used = before.plus(more)._replace(usd=usd)
        return [self.used]

    def _tool(self, key: str, name: str, state: dict[str, Any]) -> list[Step]:
        status = state.get("status")
        given = state.get("input")
        given = given if isinstance(given, dict) else {}
        steps: list[Step] = []
        if status not in ("running", "completed", "error"):
            return steps
        if self._once(f"{key} called"):
            steps.append(ToolCalled(key, name, self.short(summary(given))))
        known = state.get("metadata")
        known = known if isinstance(known, dict) else {}
        if status == "running":
            return steps + self._live(key, known)
        if not self._once(f"{key} answered"):
            return steps
        if status == "error":
            self._printed.pop(key, None)
            return [*steps, ToolAnswered(key, str(state.get("error") or ""), failed=True)]
        lines = difference(known, given) if name in ("edit", "write", "apply_patch") else ()
        if lines:
            path = self.short(str(given.get("filePath") or state.get("title") or ""))
            return [*steps, Edited(path, lines), ToolAnswered(key, "")]
        output = str(state.get("output") or "")
        before = self._printed.pop(key, "")
        rest = output[len(before) :] if output.startswith(before) else output
        return [*steps, ToolAnswered(key, rest, failed=bool(known.get("exit")))]

    def _live(self, key: str, known: dict[str, Any]) -> list[Step]:
        """What a running tool printed since the last time, in whole lines."""
        output = known.get("output")
        before = self._printed.get(key, "")
        if not isinstance(output, str) or not output.startswith(before):
            return []
        new = output[len(before) : output.rfind("\n") + 1]
        self._printed[key] = before + new
        return [ToolPrinted(key, new)] if new else []

    def _once(self, key: str) -> bool:
        if key in self._said:
            return False
        self._said.add(key)
        return True


def summary(given: dict[str, Any]) -> str:
    """In one line, what a tool is called for."""
    for key in ABOUT:
        if isinstance(given.get(key), str) and given[key].strip():
            found = given[key]
            break
    else:
        patch = given.get("patchText")
        if isinstance(patch, str):
            marked = (line for line in patch.splitlines() if line.startswith("*** "))
            files = [line.partition(": ")[2] for line in marked if ": " in line]
            found = ", ".join(files)
        else:
            found = json.dumps(given, ensure_ascii=False) if given else ""
    return " ⏎ ".join(line.strip() for line in found.strip().splitlines() if line.strip())[:2000]


def difference(known: dict[str, Any], given: dict[str, Any]) -> tuple[str, ...]:
    """The diff of a tool that edits: as it tells it, else as its input means it."""
    diff = known.get("diff")
    if isinstance(diff, str) and diff.strip():
        lines = diff.splitlines()
        first = next((n for n, line in enumerate(lines) if line.startswith("@@")), 0)
        kept = [line for line in lines[first:] if line[:1] in ("+", "-", " ", "@")]
        return tuple(line for line in kept if not line.startswith(("+++ ", "--- ")))[:MOST_DIFF]
    if isinstance(given.get("content"), str):
        return tuple(f"+{line}" for line in given["content"].splitlines()[:MOST_DIFF])
    return ()


def _count(tokens: dict[str, Any], name: str) -> int:
    found = tokens.get(name)
    return found if isinstance(found, int) else 0
