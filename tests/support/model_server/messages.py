"""The Messages protocol (claude): POST /v1/messages.

Events as https://docs.anthropic.com/en/api/messages-streaming describes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.model_server.asked import Asked
from tests.support.model_server.pieces import words
from tests.support.model_server.scenario import Say, Think, Turn, Usage
from tests.support.model_server.tools import call, fresh


def stream(turn: Turn, asked: Asked) -> Iterator[bytes]:
    """The answer as server-sent events, one per piece."""
    whole = body(turn, asked)
    start = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"]}}
    start["usage"]["output_tokens"] = 1
    yield event("message_start", {"message": start})
    for index, block in enumerate(whole["content"]):
        yield event("content_block_start", {"index": index, "content_block": _empty(block)})
        for delta in _deltas(block):
            yield event("content_block_delta", {"index": index, "delta": delta})
        yield event("content_block_stop", {"index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield event("message_delta", {"delta": delta, "usage": whole["usage"]})
    yield event("message_stop", {})


def body(turn: Turn, asked: Asked) -> dict[str, Any]:
    """The answer as one object."""
    content = [_block(part, asked) for part in turn.parts]
    stop = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    stop = {"length": "max_tokens", "refusal": "refusal"}.get(turn.stop, stop)
    return {
        "id": fresh("msg"),
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage(turn.usage),
    }


def usage(tokens: Usage) -> dict[str, Any]:
    """The figures by this protocol's names: input without what came from the cache."""
    return {
        "input_tokens": tokens.fresh,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def event(name: str, fields: dict[str, Any]) -> bytes:
    """One server-sent event."""
    data = json.dumps({"type": name, **fields}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()


def _block(part: Any, asked: Asked) -> dict[str, Any]:
    if isinstance(part, Say):
        return {"type": "text", "text": part.text}
    if isinstance(part, Think):
        return {"type": "thinking", "thinking": part.text, "signature": "c2NyaXB0ZWQ="}
    made = call(part, asked)
    return {"type": "tool_use", "id": fresh("toolu"), "name": made.name, "input": made.arguments}


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    blank = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {name: blank.get(name, value) for name, value in block.items()}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, str]]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": word} for word in words(block["text"]))
    elif block["type"] == "thinking":
        thoughts = words(block["thinking"])
        yield from ({"type": "thinking_delta", "thinking": word} for word in thoughts)
        yield {"type": "signature_delta", "signature": block["signature"]}
    else:
        pieces = words(json.dumps(block["input"], ensure_ascii=False))
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
