"""claude's tokens: each request once, its output as soon as it is told, right to the token."""

from __future__ import annotations

import json

from orch.agents.claude_stream import ClaudeStream
from orch.agents.stream import TokensUsed

INPUT = {"input_tokens": 1200, "cache_read_input_tokens": 800, "output_tokens": 1}


def fed(*messages: dict) -> tuple[ClaudeStream, list[TokensUsed]]:
    """A conversation that got these messages, and all sums that it told."""
    talk = ClaudeStream({})
    told = []
    for message in messages:
        steps, _ = talk.feed(json.dumps(message).encode())
        told += [step for step in steps if isinstance(step, TokensUsed)]
    return talk, told


def assistant(request: str, by: str | None = None, **usage: int) -> dict:
    content = [{"type": "text", "text": "hello"}]
    message = {"id": request, "content": content, "usage": usage or INPUT}
    return {"type": "assistant", "message": message, "parent_tool_use_id": by}


def start(request: str, by: str | None = None) -> dict:
    event = {"type": "message_start", "message": {"id": request, "usage": INPUT}}
    return {"type": "stream_event", "event": event, "parent_tool_use_id": by}


def delta(output: int, by: str | None = None) -> dict:
    event = {"type": "message_delta", "usage": {"output_tokens": output}}
    return {"type": "stream_event", "event": event, "parent_tool_use_id": by}


def test_the_blocks_of_one_request_count_once():
    talk, told = fed(assistant("m1"), assistant("m1"), assistant("m2"))
    assert told == [TokensUsed(1200, 1, 800), TokensUsed(2400, 2, 1600)]
    assert talk.used == told[-1]


def test_the_output_of_a_request_is_known_when_it_has_ended():
    _, told = fed(start("m1"), assistant("m1"), delta(50), start("m2"), assistant("m2"), delta(70))
    assert told == [
        TokensUsed(1200, 1, 800),
        TokensUsed(1200, 50, 800),
        TokensUsed(2400, 51, 1600),
        TokensUsed(2400, 120, 1600),
    ]


def test_the_requests_of_a_subagent_come_between_the_agents_own():
    _, told = fed(start("m1"), start("s1", "toolu_1"), delta(30, "toolu_1"), delta(50))
    assert told[-1] == TokensUsed(2400, 80, 1600)


def test_the_result_has_the_sum_and_a_next_turn_adds_to_it():
    models = {"m": {"inputTokens": 1300, "outputTokens": 55, "cacheReadInputTokens": 800}}
    result = {"type": "result", "subtype": "success", "modelUsage": models, "total_cost_usd": 0.5}
    talk, told = fed(start("m1"), delta(50), result, start("m2"), delta(9))
    assert told[2] == TokensUsed(1300, 55, 800, usd=0.5), "a helper's model is in it too"
    assert talk.used == TokensUsed(2500, 64, 1600, usd=0.5)


def test_what_is_no_usage_disturbs_nothing():
    strange = [
        {"type": "stream_event"},
        {"type": "stream_event", "event": {"type": "ping"}},
        delta(9),
        {"type": "stream_event", "event": {"type": "message_start"}},
        {"type": "assistant", "message": {"id": "x", "usage": 7, "content": []}},
    ]
    talk, told = fed(*strange)
    assert (talk.used, told) == (None, [])
