"""The Chat Completions protocol (opencode): POST /v1/chat/completions.

Chunks as https://platform.openai.com/docs/api-reference/chat-streaming describes them, with
`reasoning_content` as the compatible servers send it.
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
    head = {name: whole[name] for name in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"
    choice = whole["choices"][0]
    for delta in _deltas(choice["message"]):
        one = {"index": 0, "delta": delta, "finish_reason": None}
        yield _data({**head, "choices": [one]})
    last = {"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}
    yield _data({**head, "choices": [last]})
    yield _data({**head, "choices": [], "usage": whole["usage"]})
    yield b"data: [DONE]\n\n"


def body(turn: Turn, asked: Asked) -> dict[str, Any]:
    """The answer as one object."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    for part in turn.parts:
        if isinstance(part, Say):
            message["content"] = (message["content"] or "") + part.text
        elif isinstance(part, Think):
            message["reasoning_content"] = message.get("reasoning_content", "") + part.text
        else:
            made = call(part, asked)
            arguments = json.dumps(made.arguments, ensure_ascii=False)
            function = {"name": made.name, "arguments": arguments}
            calls = message.setdefault("tool_calls", [])
            calls.append({"id": fresh("call"), "type": "function", "function": function})
    stop = "tool_calls" if "tool_calls" in message else "stop"
    stop = {"length": "length", "refusal": "content_filter"}.get(turn.stop, stop)
    return {
        "id": fresh("chatcmpl"),
        "object": "chat.completion",
        "created": int(asked.at),
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": stop}],
        "usage": usage(turn.usage),
    }


def usage(tokens: Usage) -> dict[str, Any]:
    """The figures by this protocol's names: input with what came from the cache."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


def _deltas(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    yield from ({"reasoning_content": w} for w in words(message.get("reasoning_content", "")))
    yield from ({"content": word} for word in words(message["content"] or ""))
    for index, made in enumerate(message.get("tool_calls", [])):
        function = made["function"]
        opened = {**made, "index": index, "function": {**function, "arguments": ""}}
        yield {"tool_calls": [opened]}
        for piece in words(function["arguments"]):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _data(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()
