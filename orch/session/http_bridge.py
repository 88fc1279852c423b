"""A program between a structured session and an agent that is a server on loopback.

`python -m orch.session.http_bridge COMMAND...` starts the server, reads its events (server-sent
events, https://html.spec.whatwg.org/multipage/server-sent-events.html) and prints the data of
each as a line. It takes requests as lines on its input, `{"call", "method", "path", "body"}`, one
after the other, and prints what came back as `{"type": "orch.answered", "properties": {"call",
"status", "body"}}`. The end of its input, or a signal, ends the server too.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

LISTENING = re.compile(rb"listening on http://127\.0\.0\.1:(\d+)")
"""What the server prints when it is there."""
START_SECONDS = 180.0
"""How long it may take to start."""
HEALTH_SECONDS = 5.0
"""How long one question for its health may take: an early one can hang."""
CALL_SECONDS = 120.0
"""How long a request may take."""
LEAVE_SECONDS = 3.0
"""How long it may take to leave before it is killed."""
MOST_BODY = 16 << 20
"""Bytes of an answer that are read."""
NOISE = frozenset(
    {"plugin.added", "catalog.updated", "integration.updated", "reference.updated",
     "server.heartbeat", "message.part.delta"}
)  # fmt: skip
"""Events that are not passed on: the finished parts say the same."""


class Bridge:
    """The server, its events and the requests to it."""

    def __init__(self, command: list[str]) -> None:
        self.password = os.urandom(24).hex()
        env = {**os.environ, "OPENCODE_SERVER_PASSWORD": self.password}
        self.server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env
        )
        self.port = 0
        self.code = 0
        self.leaving = False
        self._writing = threading.Lock()

    def run(self) -> int:
        """Serve until the input ends; returns the exit code."""
        threading.Thread(target=self._watch, daemon=True).start()
        self._found()
        self._healthy()
        stream = self._events()
        threading.Thread(target=self._pass_on, args=(stream,), daemon=True).start()
        for line in sys.stdin.buffer:
            self._call(line)
        self.leave()
        return self.code

    def leave(self) -> None:
        """End the server."""
        self.leaving = True
        self.server.terminate()
        try:
            self.server.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    # ---- the server --------------------------------------------------------------------------

    def _watch(self) -> None:
        """Leave as the server did, when it leaves by itself."""
        code = self.server.wait()
        if not self.leaving:
            if code < 0:
                os.kill(os.getpid(), -code)
                threading.Event().wait(1.0)  # for the main thread to leave by it
                os._exit(1)
            say(f"the server has ended with exit code {code}")
            os._exit(code or 1)

    def _found(self) -> None:
        output = self.server.stdout
        assert output is not None
        late = threading.Timer(START_SECONDS, self._lost, ["the server does not come up"])
        late.daemon = True
        late.start()
        for line in output:
            if found := LISTENING.search(line):
                self.port = int(found[1])
                break
            sys.stderr.buffer.write(line)
            sys.stderr.flush()
        else:
            self.server.wait()
            threading.Event().wait()  # the watching thread leaves as the server did
        late.cancel()
        threading.Thread(target=output.read, daemon=True).start()

    def _healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            begun = time.monotonic()
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, _ = self._ask("GET", "/global/health", None, HEALTH_SECONDS)
                if status == http.client.OK:
                    return
            time.sleep(max(0.0, 0.2 - (time.monotonic() - begun)))
        self._lost("the server does not answer")

    def _lost(self, problem: str) -> None:
        say(problem)
        self.leave()
        os._exit(1)

    # ---- events ------------------------------------------------------------------------------

    def _events(self) -> http.client.HTTPResponse:
        """The stream of events, once its first one is there: later ones are not missed then."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/event", headers=self._headers())
        stream = connection.getresponse()
        if stream.status != http.client.OK:
            self._lost(f"the server gives no events: {stream.status}")
        self._one(stream)
        return stream

    def _pass_on(self, stream: http.client.HTTPResponse) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while self._one(stream):
                pass
        try:
            self.server.wait(LEAVE_SECONDS)  # then the watching thread leaves as the server did
        except subprocess.TimeoutExpired:
            if not self.leaving:
                self._lost("the server's events ended")

    def _one(self, stream: http.client.HTTPResponse) -> bool:
        """Print the next event; false at the end of the stream."""
        data: list[bytes] = []
        while line := stream.readline():
            if line.startswith(b"data:"):
                data.append(line[5:].strip())
            elif not line.strip() and data:
                self._print(b" ".join(data))
                return True
        return False

    def _print(self, data: bytes) -> None:
        with contextlib.suppress(ValueError):
            event = json.loads(data)
            if isinstance(event, dict) and event.get("type") in NOISE:
                return
        with self._writing:
            sys.stdout.buffer.write(data + b"\n")
            sys.stdout.buffer.flush()

    # ---- requests ----------------------------------------------------------------------------

    def _call(self, line: bytes) -> None:
        """Do what a line asks for, and print the answer."""
        try:
            asked = json.loads(line)
            status, body = self._ask(
                asked["method"], asked["path"], asked.get("body"), CALL_SECONDS
            )
        except (OSError, http.client.HTTPException) as problem:
            status, body = 0, {"message": str(problem)}
        self.code = 0
        if status == 0 or status >= http.client.BAD_REQUEST:
            self.code = 1
            say(message(body) or f"{asked['path']}: {status}")
        answer = {"call": asked["call"], "status": status, "body": body}
        self._print(json.dumps({"type": "orch.answered", "properties": answer}).encode())

    def _ask(self, method: str, path: str, body: Any, seconds: float) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        with contextlib.closing(connection):
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, data, self._headers())
            response = connection.getresponse()
            text = response.read(MOST_BODY)
        try:
            return response.status, json.loads(text) if text else None
        except ValueError:
            return response.status, text.decode("utf-8", "replace")

    def _headers(self) -> dict[str, str]:
        login = base64.b64encode(f"opencode:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {login}", "Content-Type": "application/json"}


def message(body: Any) -> str:
    """What an answer says of an error, in words."""
    if not isinstance(body, dict):
        return str(body or "")[:1000]
    data = body.get("data")
    inner = data.get("message") if isinstance(data, dict) else None
    return str(inner or body.get("message") or body.get("name") or "")[:1000]


def say(problem: str) -> None:
    """Tell people what went wrong."""
    sys.stderr.write(f"Error: {problem}\n")
    sys.stderr.flush()


def main(command: list[str]) -> int:
    """Run the server of `command`; returns the exit code."""
    try:
        bridge = Bridge(command)
    except OSError as problem:
        say(f"no such program: {command[0]}: {problem.strerror}")
        return 127

    def told(number: int, _: FrameType | None) -> None:
        """End the server, then by the same signal."""
        bridge.leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, told)
    return bridge.run()


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
