"""The server: HTTP/1.1 on loopback, one thread per connection, standard library only."""

from __future__ import annotations

import gzip
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.model_server import chat, failures, gemini, messages, responses
from tests.support.model_server.asked import Asked, kind
from tests.support.model_server.run import Run
from tests.support.model_server.scenario import (
    Broken,
    Fail,
    Hang,
    Respond,
    Say,
    Scenario,
    Step,
    Turn,
    Usage,
    turn,
)

PROTOCOLS = {
    "/v1/messages": ("messages", messages),
    "/v1/responses": ("responses", responses),
    "/v1/chat/completions": ("chat", chat),
}


def spoken(path: str) -> tuple[str, Any]:
    """The protocol that is spoken under a path, and who speaks it; none under any other."""
    if (found := gemini.PATH.match(path)) and found["method"].endswith("enerateContent"):
        return "gemini", gemini
    return PROTOCOLS.get(path.removesuffix("/count_tokens"), ("", None))


HELPFUL = Usage(fresh=7, cache_read=0, output=3)
"""What the answer to a helper's request (a title, a summary) costs; easy to tell."""
MALFORMED = b'event: message\ndata: {"this is": no json\n\ndata: 42\n\n<html>\n\n'
LOOK_SECONDS = 0.05
MOST_BYTES = 64 << 20


class ModelServer:
    """A model of every provider, as scripted. Use as a context manager; see the package."""

    def __init__(self, listener: socket.socket | None = None) -> None:
        self._runs: dict[tuple[str, str], Run] = {}
        self._scenarios: dict[str, Scenario] = {}
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.strangers: list[str] = []
        """Requests to addresses that belong to no run."""
        self._http = _Listening(self, listener)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def name(self, scenario: str, script: Scenario) -> None:
        """Make a scenario known: each `/s/{scenario}/{run}` then is a run of its own."""
        self._scenarios[scenario] = script

    def play(self, script: Scenario, scenario: str = "") -> Run:
        """A new run of `script`, under an address that nobody else has."""
        with self._lock:
            number = len(self._runs) + 1
            name = scenario or f"played{number}"
            self._scenarios[name] = script
        return self.run(name, f"r{number}")

    def run(self, scenario: str, name: str) -> Run:
        """The run `name` of a known scenario, from the beginning if it is new."""
        with self._lock:
            key = (scenario, name)
            if key not in self._runs:
                url = f"http://127.0.0.1:{self.port}/s/{scenario}/{name}"
                self._runs[key] = Run(name, url, self._scenarios[scenario])
            return self._runs[key]

    def find(self, path: str) -> tuple[Run, str] | None:
        """The run that a request's path belongs to, and the rest of the path."""
        parts = path.partition("?")[0].split("/", 4)
        if len(parts) < 4 or parts[1] != "s" or parts[2] not in self._scenarios:
            self.strangers.append(path)
            return None
        return self.run(parts[2], parts[3]), f"/{parts[4] if len(parts) > 4 else ''}"


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, models: ModelServer, listener: socket.socket | None) -> None:
        self.models = models
        super().__init__(("127.0.0.1", 0), _Exchange, bind_and_activate=listener is None)
        if listener is not None:
            self.socket.close()
            self.socket = listener
            self.server_address = listener.getsockname()

    def shutdown_request(self, request: Any) -> None:
        """Close without an orderly end before: else a reset would be none."""
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else is shown."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Exchange(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listening
    server_version = "scripted"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: requests are recorded instead."""

    def do_HEAD(self) -> None:
        """A look whether somebody is there."""
        self.do_POST()

    def do_GET(self) -> None:
        """A list of models, or anything else a CLI is curious about."""
        self.do_POST()

    def do_POST(self) -> None:
        """A request: recorded, then answered as its run's scenario says."""
        content = self._content()
        found = self.server.models.find(self.path)
        if found is None:
            self._whole(404, '{"error": {"message": "no such scenario"}}')
            return
        run, path = found
        protocol, _ = spoken(path)
        asked = Asked(
            number=0,
            kind=kind(protocol, path, content) if self.command == "POST" else "other",
            protocol=protocol,
            method=self.command,
            path=path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=content,
            at=time.monotonic(),
        )
        step = run.take(asked)
        try:
            how = self._answer(step, asked, run)
        except ConnectionError:
            how = "left"
        self.close_connection = self.close_connection or how != "sent"
        run.end(asked, how)

    def _answer(self, step: Step | None, asked: Asked, run: Run) -> str:
        """Answer; how it ended (see `Asked.ended`)."""
        if step is None:
            return self._help(asked)
        if isinstance(step, Turn):
            return self._turn(step, asked, run)
        if isinstance(step, Hang):
            return self._hold(lambda: True)
        if isinstance(step, Broken):
            return self._break(step, asked)
        if isinstance(step, Fail):
            said = (asked.protocol, asked.model)
            step = failures.answer(step, *said, streamed=asked.streamed)
        return self._respond(step, asked)

    def _help(self, asked: Asked) -> str:
        if asked.kind == "auxiliary":
            said = gemini.helpful(asked) if asked.protocol == "gemini" else "ok"
            return self._turn(turn(Say(said), usage=HELPFUL), asked, None)
        if asked.kind == "count":
            tokens = max(1, len(asked.text) // 4)
            text = json.dumps({"input_tokens": tokens, "totalTokens": tokens})
        else:
            text = json.dumps({"object": "list", "data": [], "models": []})
        asked.status = 200
        self._whole(200, text)
        return "sent"

    def _turn(self, step: Turn, asked: Asked, run: Run | None) -> str:
        if run is not None and step.gate:
            how = self._hold(lambda: run.waits(step.gate, LOOK_SECONDS))
            if how != "open":
                return how
        protocol = spoken(asked.path)[1]
        asked.status = 200
        if asked.streamed:
            pieces = protocol.stream(step, asked)
            return self._stream(pieces, step.limits, step.pause_seconds)
        self._whole(200, json.dumps(protocol.body(step, asked)), step.limits)
        return "sent"

    def _respond(self, step: Respond, asked: Asked) -> str:
        asked.status = step.status
        self._whole(step.status, step.body, step.headers)
        return "sent"

    def _break(self, step: Broken, asked: Asked) -> str:
        if step.how == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return "broken"
        asked.status = 200
        if step.how == "malformed":
            return self._stream([MALFORMED], {}, 0)
        protocol = spoken(asked.path)[1]
        if asked.streamed:
            pieces = list(protocol.stream(turn(*step.parts), asked))
        else:
            text = json.dumps(protocol.body(turn(*step.parts), asked)).encode()
            pieces = [text[: len(text) // 2], b""]
        self._begin({} if asked.streamed else {"content-type": "application/json"})
        for piece in pieces[: max(1, len(pieces) * 2 // 3)]:
            self._chunk(piece)
        if step.how == "stall":
            return self._hold(lambda: True)
        return "broken"

    def _hold(self, shut: Any) -> str:
        """Send nothing while `shut()`; "open", or "left" when the client (or server) goes."""
        while not self.server.models.closing.is_set():
            readable, _, _ = select.select([self.connection], [], [], LOOK_SECONDS)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                return "left"
            if not shut():
                return "open"
        return "left"

    def _content(self) -> dict[str, Any]:
        """The request's body as JSON, or {} if it is something else."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            data = b""
            while size := int(self.rfile.readline(64).split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline(8)
            self.rfile.readline(8)
        else:
            data = self.rfile.read(min(int(self.headers.get("content-length") or 0), MOST_BYTES))
        if self.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        try:
            found = json.loads(data)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _whole(self, status: int, text: str, more: Any = None) -> None:
        data = text.encode()
        self.send_response(status)
        headers = {"content-type": "application/json", **(more or {})}
        headers |= {"content-length": str(len(data)), "request-id": "req_scripted"}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _begin(self, more: Any) -> None:
        self.send_response(200)
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
        headers |= {"transfer-encoding": "chunked", "request-id": "req_scripted", **more}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _stream(self, pieces: Iterable[bytes], more: Any, pause_seconds: float) -> str:
        self._begin(more)
        for piece in pieces:
            self._chunk(piece)
            if pause_seconds and self.server.models.closing.wait(pause_seconds):
                return "broken"
        self.wfile.write(b"0\r\n\r\n")
        return "sent"
