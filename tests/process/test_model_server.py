"""The scripted model server itself, asked by a plain HTTP client."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from http.client import IncompleteRead
from typing import Any

import pytest

from tests.support.model_server import (
    Broken,
    Fail,
    Hang,
    ModelServer,
    Run,
    Say,
    Shell,
    Think,
    Usage,
    Write,
    turn,
)

GEMINI = "/v1beta/models/m:"
"""Google's protocol says in the path which model, and whether in a stream."""
TOOLS = {
    "/v1/messages": [{"name": "Bash"}, {"name": "Write"}],
    "/v1/responses": [{"type": "function", "name": "exec_command"}],
    "/v1/chat/completions": [{"type": "function", "function": {"name": "bash"}}],
}
LAST = {
    "/v1/messages": "message_stop",
    "/v1/responses": "response.completed",
    "/v1/chat/completions": "[DONE]",
}
"""How each protocol's stream ends."""

PATHS = tuple(TOOLS)


@pytest.fixture
def server():
    with ModelServer() as opened:
        yield opened


def ask(run: Run, path: str, text: str = "Hello", **more: Any) -> bytes:
    """What a request that offers tools is answered."""
    said = [{"role": "user", "content": text}]
    body = {"model": "m", "tools": TOOLS.get(path, []), "stream": True, **more}
    body["input" if "responses" in path else "messages"] = said
    request = urllib.request.Request(run.url + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


@pytest.mark.parametrize("path", PATHS)
def test_one_scenario_speaks_all_protocols(server, path):
    parts = (Think("first think"), Say("I say grüße"), Shell("true"))
    run = server.play([turn(*parts, usage=Usage(fresh=11, cache_read=22, output=33))])

    stream = ask(run, path).decode()
    whole = ask(run, path, stream=False).decode()

    for word in ("think", "grüße", "true"):
        assert word in stream
    assert LAST[path] in stream.splitlines()[-2]
    assert json.loads(whole)["usage"] in (
        {**json.loads(whole)["usage"], "input_tokens": 11, "output_tokens": 33},
        {**json.loads(whole)["usage"], "input_tokens": 33, "output_tokens": 33},
        {**json.loads(whole)["usage"], "prompt_tokens": 33, "completion_tokens": 33},
    )
    assert run.spent == Usage(fresh=22, cache_read=44, output=66)


def ask_google(run: Run, method: str, text: str = "Hello", **more: Any) -> dict[str, Any]:
    """The same in Google's protocol; of a stream the last event."""
    parts = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    tools = [{"functionDeclarations": [{"name": "run_shell_command"}]}]
    body = json.dumps({**parts, "tools": tools, **more}).encode()
    request = urllib.request.Request(f"{run.url}{GEMINI}{method}", body)
    with urllib.request.urlopen(request, timeout=30) as answer:
        told = answer.read().decode()
    if method.startswith("stream"):
        told = told.strip().rpartition("data: ")[2]
    found: dict[str, Any] = json.loads(told)
    return found


def test_googles_protocol_too(server):
    usage = Usage(fresh=11, cache_read=22, output=33, reasoning=3)
    run = server.play([turn(Think("hm"), Say("I say grüße"), Shell("true"), usage=usage)])

    last = ask_google(run, "streamGenerateContent?alt=sse")
    whole = ask_google(run, "generateContent")

    assert last["candidates"][0]["finishReason"] == "STOP"
    thought, said, used = whole["candidates"][0]["content"]["parts"]
    assert (thought["thought"], said["text"]) == (True, "I say grüße")
    assert used["functionCall"]["name"] == "run_shell_command"
    assert used["functionCall"]["args"]["command"] == "true"
    assert last["usageMetadata"] == whole["usageMetadata"]
    assert whole["usageMetadata"] == {
        "promptTokenCount": 33, "cachedContentTokenCount": 22, "candidatesTokenCount": 30,
        "thoughtsTokenCount": 3, "totalTokenCount": 66,
    }  # fmt: skip
    assert [(one.model, one.streamed) for one in run.requests] == [("m", True), ("m", False)]


def test_what_is_said_in_googles_protocol_can_be_read(server):
    run = server.play([turn(Say("ok"))])
    contents = [
        {"role": "user", "parts": [{"text": "please"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "x", "args": {"a": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"response": {"output": "it ran"}}}]},
    ]
    ask_google(
        run, "generateContent", contents=contents, systemInstruction={"parts": [{"text": "be"}]}
    )
    (asked,) = run.requests
    assert [message.role for message in asked.messages] == ["system", "user", "assistant", "tool"]
    assert (asked.users, asked.results) == (("please",), ("it ran",))


@pytest.mark.parametrize(
    ("name", "status", "word"),
    [("no_key", 400, "INVALID_ARGUMENT"), ("e401", 401, "UNAUTHENTICATED"),
     ("e404", 404, "NOT_FOUND"), ("usage_limit", 429, "RESOURCE_EXHAUSTED"),
     ("e503", 503, "UNAVAILABLE")],
)  # fmt: skip
def test_google_refuses_in_its_own_form(server, name, status, word):
    run = server.play([Fail(name, retry_after=7)])
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask_google(run, "generateContent")
    error = json.loads(refused.value.read())["error"]
    assert (refused.value.code, error["code"], error["status"]) == (status, status, word)
    assert error["details"][-1]["retryDelay"] == "7s"


def test_steps_come_in_order_and_the_last_one_stays(server):
    run = server.play([turn(Say("one")), turn(Say("two"), times=2), turn(Say("last"))])
    heard = [ask(run, "/v1/messages", stream=False) for _ in range(5)]
    said = [json.loads(answer)["content"][0]["text"] for answer in heard]
    assert said == ["one", "two", "two", "last", "last"]


def test_each_run_of_a_named_scenario_begins_anew(server):
    server.name("greet", [turn(Say("one")), turn(Say("two"))])
    for name in ("r1", "r2"):
        assert b"one" in ask(server.run("greet", name), "/v1/messages")


def test_two_conversations_share_one_address(server):
    run = server.play({"You route": [turn(Say("to codex"))], "": [turn(Say("work"))]})
    assert b"codex" in ask(run, "/v1/messages", "You route tasks.")
    assert b"work" in ask(run, "/v1/messages", "Fix it.")


@pytest.mark.parametrize(
    "path, body, kind",
    [
        ("/v1/messages", {"tools": [{"name": "Bash"}]}, "step"),
        ("/v1/messages", {"system": "Answer in JSON."}, "step"),
        ("/v1/messages", {"max_tokens": 1}, "auxiliary"),
        ("/v1/chat/completions", {"messages": []}, "auxiliary"),
        ("/v1/messages/count_tokens", {}, "count"),
        ("/v1beta/models/m:generateContent", {"contents": []}, "auxiliary"),
        ("/v1beta/models/m:countTokens", {"contents": []}, "count"),
        ("/api/event_logging", {}, "other"),
    ],
)
def test_a_helpers_request_takes_no_step(server, path, body, kind):
    run = server.play([turn(Say("one"))])
    request = urllib.request.Request(run.url + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert json.loads(answer.read())
    assert [asked.kind for asked in run.everything] == [kind]
    assert len(run.requests) == (kind == "step")


def test_a_gate_holds_an_answer_back(server):
    run = server.play([turn(Say("late"), gate="go")])
    heard: list[bytes] = []
    asking = threading.Thread(target=lambda: heard.append(ask(run, "/v1/messages")))
    asking.start()
    run.wait_for(1)
    assert (heard, run.requests[0].ended) == ([], "")

    run.open("go")
    asking.join()

    assert b"late" in heard[0]


@pytest.mark.parametrize("step", [Hang(), turn(Say("never"), gate="shut"), Broken("stall")])
def test_a_client_that_gives_up_is_seen_to_leave(server, step):
    run = server.play([step])
    request = urllib.request.Request(run.url + "/v1/messages", b'{"tools": [{}], "stream": true}')
    with pytest.raises(TimeoutError), urllib.request.urlopen(request, timeout=0.3) as answer:
        answer.read()
    run.wait_for(lambda seen: seen.requests[0].ended == "left")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("how, error", [("cut", IncompleteRead), ("reset", ConnectionResetError)])
def test_a_stream_breaks_in_the_middle(server, path, how, error):
    run = server.play([Broken(how)])
    with pytest.raises(error) as failure:
        ask(run, path)
    assert failure.type is error, "RemoteDisconnected would be an orderly end"
    run.wait_for(lambda seen: seen.requests[0].ended == "broken")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name, status", [("e401", 401), ("e429", 429), ("context", 400)])
def test_a_failure_has_the_providers_own_form(server, path, name, status):
    run = server.play([Fail(name, retry_after=7)])
    with pytest.raises(urllib.error.HTTPError) as failure:
        ask(run, path)
    assert failure.value.code == status
    assert failure.value.headers["retry-after"] == "7"
    assert json.loads(failure.value.read())["error"]["message"]


def test_what_the_client_said_can_be_read(server):
    run = server.play([turn(Write("a.txt", "x"))])
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"text": "it works"}]}
    said = [{"role": "user", "content": [{"type": "text", "text": "Do it."}, result]}]
    body = {"tools": [{"name": "Write"}], "system": "Working directory: /w/x\n", "messages": said}
    request = urllib.request.Request(run.url + "/v1/messages", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        made = json.loads(answer.read())["content"][0]["input"]
    asked = run.requests[0]
    assert (asked.users, asked.results) == (("Do it.",), ("it works",))
    assert made == {"file_path": "/w/x/a.txt", "content": "x"}


def test_an_unknown_address_is_a_stranger(server):
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/messages", b"{}", timeout=30)
    assert server.strangers == ["/v1/messages"]
