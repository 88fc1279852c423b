"""The items of a codex thread (commands, edits, messages) as steps."""

from __future__ import annotations

import json

from orch.agents.codex_rules import inner
from orch.agents.stream import (
    Edited,
    Noted,
    Said,
    Step,
    Thought,
    TokensUsed,
    ToolAnswered,
    ToolCalled,
    ToolPrinted,
    Unknown,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_CALLS = 1000
"""Tool calls that are remembered until they end."""
LIVE = 200
"""Lines of a command's output that are shown while it runs."""
LAST = 4
"""Lines of a longer output that are shown at its end."""
WIDE = 2000
"""Characters of a line that are waited for."""

QUIET = frozenset(
    {"userMessage", "hookPrompt", "functionCallOutput", "plan", "sleep", "enteredReviewMode",
     "exitedReviewMode", "subAgentActivity"}
)  # fmt: skip
"""Items that say nothing a person needs: what they tell comes otherwise, too."""


class Items:
    """What the items of a thread mean, as they begin, print and end."""

    def __init__(self, worktree: str) -> None:
        self._worktree = worktree.rstrip("/") + "/"
        self._calls: dict[str, tuple[str, str]] = {}
        self._lines: dict[str, str] = {}
        self._shown: dict[str, int] = {}

    def called(self, item: str) -> tuple[str, str]:
        """The name and the summary of a tool call that has not ended."""
        return self._calls.get(item, ("", ""))

    def started(self, item: dict[str, Any]) -> list[Step]:
        """An item begins."""
        named = self._named(item)
        if named is None:
            return []
        id_ = str(item.get("id"))
        if len(self._calls) < MOST_CALLS:
            self._calls[id_] = named
        return [ToolCalled(id_, *named)]

    def printed(self, item: str, text: str) -> list[Step]:
        """A command prints: whole lines are shown, up to `LIVE`."""
        whole, end, rest = (self._lines.get(item, "") + text).rpartition("\n")
        if len(rest) > WIDE:
            whole, end, rest = whole + end + rest, "\n", ""
        self._lines[item] = rest
        return self._live(item, whole) if end else []

    def _live(self, item: str, text: str) -> list[Step]:
        shown = self._shown.get(item, 0)
        lines = text.split("\n")
        self._shown[item] = shown + len(lines)
        seen = lines[: max(0, LIVE - shown)]
        return [ToolPrinted(item, "\n".join(seen))] if seen else []

    def completed(self, item: dict[str, Any]) -> list[Step]:
        """An item ends."""
        kind, id_ = item.get("type"), str(item.get("id"))
        if kind == "agentMessage":
            return [Said(item["text"])] if item.get("text") else []
        if kind == "reasoning":
            text = "\n".join(map(str, item.get("summary") or item.get("content") or ()))
            return [Thought(text)] if text else []
        if kind == "contextCompaction":
            return [Noted("the conversation was compacted")]
        if kind in QUIET:
            return []
        steps: list[Step] = [] if id_ in self._calls else self.started(item)
        if not self._calls.pop(id_, None) and not steps:
            return [Unknown(f"item/{str(kind)[:40]}")]
        self._calls.pop(id_, None)
        if kind == "commandExecution":
            return steps + self._ran(id_, item)
        if item.get("status") == "declined":
            return [*steps, ToolAnswered(id_, "not allowed", failed=True)]
        failed = item.get("status") == "failed"
        if kind == "fileChange" and not failed:
            steps += [self._edited(change) for change in item.get("changes") or ()]
        return [*steps, ToolAnswered(id_, given_back(item), failed)]

    def _ran(self, id_: str, item: dict[str, Any]) -> list[Step]:
        """A command has ended: what was not shown live is shown now."""
        steps: list[Step] = []
        rest = self._lines.pop(id_, "")
        if rest:
            steps = self._live(id_, rest)
        shown = self._shown.pop(id_, 0)
        text = str(item.get("aggregatedOutput") or "")
        if item.get("status") == "declined":
            text = "not allowed"
        elif shown > LIVE:
            last = text.rstrip("\n").split("\n")[-LAST:]
            text = "\n".join((f"… {shown - LIVE} more lines, the last are", *last))
        elif shown:
            text = ""
        return [*steps, ToolAnswered(id_, text, item.get("status") != "completed")]

    def _named(self, item: dict[str, Any]) -> tuple[str, str] | None:
        """The name and the summary of an item that is a tool call; None for any other."""
        kind = item.get("type")
        if kind == "commandExecution":
            return "Bash", self.short(summary(inner(str(item.get("command") or ""))))
        if kind == "fileChange":
            paths = [str(change.get("path")) for change in item.get("changes") or ()]
            return "Edit", self.short(", ".join(paths))
        if kind == "mcpToolCall":
            return f"{item.get('server')}.{item.get('tool')}", written(item.get("arguments"))
        if kind in ("dynamicToolCall", "collabAgentToolCall"):
            given = item.get("arguments") or item.get("prompt") or ""
            return str(item.get("tool")), written(given)
        if kind == "webSearch":
            return "WebSearch", summary(str(item.get("query") or ""))
        if kind == "imageView":
            return "ViewImage", self.short(str(item.get("path")))
        return ("ImageGeneration", "") if kind == "imageGeneration" else None

    def _edited(self, change: dict[str, Any]) -> Edited:
        lines = str(change.get("diff") or "").splitlines()
        kind = (change.get("kind") or {}).get("type")
        sign = {"add": "+", "delete": "-"}.get(str(kind), "")
        return Edited(self.short(str(change.get("path"))), tuple(f"{sign}{one}" for one in lines))

    def short(self, text: str) -> str:
        """Text with the worktree's paths relative to it."""
        return text.replace(self._worktree, "") if len(self._worktree) > 1 else text


def summary(text: str) -> str:
    """Some lines as one."""
    return " ⏎ ".join(line.strip() for line in text.splitlines() if line.strip())[:WIDE]


def written(given: Any) -> str:
    """A tool's arguments in one line."""
    return summary(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def given_back(item: dict[str, Any]) -> str:
    """What a tool of a server gave back, as text."""
    error, result = item.get("error"), item.get("result")
    if isinstance(error, dict):
        return str(error.get("message") or "")
    content = result.get("content") if isinstance(result, dict) else item.get("contentItems")
    if not isinstance(content, list):
        return ""
    return "\n".join(str(one.get("text") or f"({one.get('type')})") for one in content)


def tokens(usage: dict[str, Any]) -> TokensUsed:
    """The tokens of a `TokenUsageBreakdown`, whose input counts what came from the cache too."""
    given, out, read, write = (
        int(usage.get(name) or 0)
        for name in ("inputTokens", "outputTokens", "cachedInputTokens", "cacheWriteInputTokens")
    )
    return TokensUsed(max(given - read - write, 0), out, read, write)


def since(total: TokensUsed, before: TokensUsed) -> TokensUsed:
    """What was used after `before`."""
    return TokensUsed(
        max(total.input - before.input, 0),
        max(total.output - before.output, 0),
        max(total.cache_read - before.cache_read, 0),
        max(total.cache_write - before.cache_write, 0),
    )
