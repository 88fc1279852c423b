"""What claude says that it has used, request by request and in sum (Anthropic's Messages API).

Of a request that still runs, its `assistant` messages know the input, and of the output one token
only; the final count comes with `message_delta`, where claude was told to pass that on
(`--include-partial-messages`), else with the result of the turn.
"""

from __future__ import annotations

from orch.agents.stream import TokensUsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOTHING = TokensUsed(0, 0)


class Requests:
    """The model requests of a turn, each counted once, however often it is told of."""

    def __init__(self) -> None:
        self._told: dict[str, TokensUsed] = {}
        self._current: dict[str, str] = {}

    def clear(self) -> None:
        """The turn has ended: its result has the sum."""
        self._told.clear()
        self._current.clear()

    def seen(self, body: dict[str, Any]) -> TokensUsed | None:
        """What a message (each block of a request's answer is one) adds; None for nothing."""
        return self._more(str(body.get("id")), body.get("usage"))

    def streamed(self, message: dict[str, Any]) -> TokensUsed | None:
        """The same for a `stream_event`; a subagent's requests come between the agent's own."""
        event, by = message["event"], str(message.get("parent_tool_use_id"))
        if event.get("type") == "message_start":
            self._current[by] = str(event["message"].get("id"))
            return self.seen(event["message"])
        if event.get("type") == "message_delta" and by in self._current:
            return self._more(self._current[by], event.get("usage"))
        return None

    def _more(self, request: str, usage: Any) -> TokensUsed | None:
        if not isinstance(usage, dict):
            return None
        before = self._told.get(request)
        known = before or NOTHING
        now = TokensUsed(*(max(*pair) for pair in zip(tokens(usage)[:4], known[:4], strict=True)))
        self._told[request] = now
        if now == before:
            return None
        return TokensUsed(*(new - old for new, old in zip(now[:4], known[:4], strict=True)))


def tokens(usage: dict[str, Any]) -> TokensUsed:
    """The tokens of a `usage` object."""
    return TokensUsed(
        input=_count(usage, "input_tokens", "inputTokens"),
        output=_count(usage, "output_tokens", "outputTokens"),
        cache_read=_count(usage, "cache_read_input_tokens", "cacheReadInputTokens"),
        cache_write=_count(usage, "cache_creation_input_tokens", "cacheCreationInputTokens"),
    )


def total(result: dict[str, Any], before: TokensUsed) -> TokensUsed:
    """What the run used up to this `result`: `modelUsage` and `total_cost_usd` count the whole
    process, all models; `usage`, where there is nothing else, counts the turn alone."""
    usd = result.get("total_cost_usd")
    usd = float(usd) if isinstance(usd, int | float) and abs(usd) < 1e12 else before.usd
    models = result.get("modelUsage")
    if isinstance(models, dict) and models:
        counted = NOTHING
        for one in models.values():
            counted = counted.plus(tokens(one))
    else:
        counted = before.plus(tokens(result.get("usage") or {}))
    return counted._replace(usd=usd)


def _count(usage: dict[str, Any], *names: str) -> int:
    for name in names:
        if isinstance(usage.get(name), int):
            return int(usage[name])
    return 0
