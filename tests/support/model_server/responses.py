"""The Responses protocol (codex): POST /v1/responses.

Events as https://platform.openai.com/docs/api-reference/responses-streaming describes them.
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
    started = {**whole, "output": [], "status": "in_progress", "usage": None}
    yield event("response.created", {"response": started})
    for index, item in enumerate(whole["output"]):
        yield event("response.output_item.added", {"output_index": index, "item": _opened(item)})
        for name, fields in _deltas(item):
            yield event(name, {"item_id": item["id"], "output_index": index, **fields})
        yield event("response.output_item.done", {"output_index": index, "item": item})
    yield event(f"response.{whole['status']}", {"response": whole})


def body(turn: Turn, asked: Asked) -> dict[str, Any]:
    """The answer as one object."""
    reason = {"length": "max_output_tokens", "refusal": "content_filter"}.get(turn.stop)
    return {
        "id": fresh("resp"),
        "object": "response",
        "created_at": int(asked.at),
        "model": asked.model,
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "error": None,
        "output": [_item(part, asked) for part in turn.parts],
        "usage": usage(turn.usage),
    }


def usage(tokens: Usage) -> dict[str, Any]:
    """The figures by this protocol's names: input with what came from the cache."""
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cache_read},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


def event(name: str, fields: dict[str, Any]) -> bytes:
    """One server-sent event."""
    data = json.dumps({"type": name, **fields}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()


def _item(part: Any, asked: Asked) -> dict[str, Any]:
    if isinstance(part, Say):
        content = [{"type": "output_text", "text": part.text, "annotations": []}]
        return {"type": "message", "id": fresh("msg"), "role": "assistant", "content": content}
    if isinstance(part, Think):
        summary = [{"type": "summary_text", "text": part.text}]
        return {"type": "reasoning", "id": fresh("rs"), "summary": summary}
    made = call(part, asked)
    if isinstance(made.arguments, str):
        custom = {"type": "custom_tool_call", "id": fresh("ctc"), "call_id": fresh("call")}
        return {**custom, "name": made.name, "input": made.arguments}
    function = {"type": "function_call", "id": fresh("fc"), "call_id": fresh("call")}
    arguments = json.dumps(made.arguments, ensure_ascii=False)
    return {**function, "name": made.name, "arguments": arguments}


def _opened(item: dict[str, Any]) -> dict[str, Any]:
    blank: dict[str, Any] = {"content": [], "summary": [], "arguments": "", "input": ""}
    return {name: blank.get(name, value) for name, value in item.items()}


def _deltas(item: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if item["type"] == "message":
        for word in words(item["content"][0]["text"]):
            yield "response.output_text.delta", {"content_index": 0, "delta": word}
    elif item["type"] == "reasoning":
        yield "response.reasoning_summary_part.added", {"summary_index": 0}
        for word in words(item["summary"][0]["text"]):
            yield "response.reasoning_summary_text.delta", {"summary_index": 0, "delta": word}
    elif item["type"] == "function_call":
        for piece in words(item["arguments"]):
            yield "response.function_call_arguments.delta", {"delta": piece}
