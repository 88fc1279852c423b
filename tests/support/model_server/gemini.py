"""Google's protocol (gemini): POST /v1beta/models/{model}:streamGenerateContent, :generateContent.

Candidates, parts and usage as https://ai.google.dev/api/generate-content describes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.support.model_server.asked import Asked
from tests.support.model_server.pieces import words
from tests.support.model_server.scenario import Say, Think, Turn, Usage
from tests.support.model_server.tools import call, fresh

PATH = re.compile(r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):(?P<method>\w+)\Z")

EXAMPLES = {"STRING": "ok", "INTEGER": 1, "NUMBER": 1, "BOOLEAN": False, "ARRAY": []}


def stream(turn: Turn, asked: Asked) -> Iterator[bytes]:
    """The answer as server-sent events, one per piece; the last says why it ended, and the cost."""
    whole = body(turn, asked)
    candidate = whole["candidates"][0]
    head = {name: whole[name] for name in ("modelVersion", "responseId")}
    for part in candidate["content"]["parts"]:
        for piece in _pieces(part):
            content = {"role": "model", "parts": [piece]}
            yield _data({"candidates": [{"index": 0, "content": content}], **head})
    last = {**candidate, "content": {"role": "model", "parts": [{"text": ""}]}}
    yield _data({"candidates": [last], "usageMetadata": whole["usageMetadata"], **head})


def body(turn: Turn, asked: Asked) -> dict[str, Any]:
    """The answer as one object."""
    stop = {"length": "MAX_TOKENS", "refusal": "SAFETY"}.get(turn.stop, "STOP")
    content = {"role": "model", "parts": [_part(part, asked) for part in turn.parts]}
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": stop}],
        "usageMetadata": usage(turn.usage),
        "modelVersion": asked.model,
        "responseId": fresh("response"),
    }


def usage(tokens: Usage) -> dict[str, int]:
    """The figures by this protocol's names: input with what came from the cache, and thoughts
    beside the answer, not in it."""
    return {
        "promptTokenCount": tokens.input,
        "cachedContentTokenCount": tokens.cache_read,
        "candidatesTokenCount": tokens.output - tokens.reasoning,
        "thoughtsTokenCount": tokens.reasoning,
        "totalTokenCount": tokens.input + tokens.output,
    }


def helpful(asked: Asked) -> str:
    """What a helper's request is answered: an object of the form that it wants, else "ok"."""
    schema = (asked.body.get("generationConfig") or {}).get("responseJsonSchema") or {}
    fields = schema.get("properties") or {}
    wanted = {name: EXAMPLES.get(str(one.get("type")).upper()) for name, one in fields.items()}
    return json.dumps(wanted) if wanted else "ok"


def _part(part: Any, asked: Asked) -> dict[str, Any]:
    if isinstance(part, Say):
        return {"text": part.text}
    if isinstance(part, Think):
        return {"text": part.text, "thought": True}
    made = call(part, asked)
    function = {"id": fresh("call"), "name": made.name, "args": made.arguments}
    return {"functionCall": function, "thoughtSignature": "c2NyaXB0ZWQ="}


def _pieces(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Text in words, a call as a whole."""
    if "text" not in part:
        yield part
    for word in words(part.get("text", "")):
        yield {**part, "text": word}


def _data(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n".encode()
