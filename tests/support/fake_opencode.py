"""A program that is `opencode serve` as a script says, for tests without opencode.

`fake_opencode.py SCRIPT ...`: a JSON list of actions, done in order:
["hear"] waits for a prompt and takes it up; ["say", text]; ["print", text] is a command that runs
on; ["ask", permission, command] waits for the reply, and says what came; ["abort"] waits for an
abort; ["retry", attempt, seconds]; ["error", name, text]; ["finish", text]; ["event", event];
["out", text] and ["err", text] before it listens; ["hang"]; ["exit", code]; ["fail_with", model,
name, text] fails when that model is asked for.

`fake_opencode.py SCRIPT models --verbose` prints what is in `models` beside the script; without
such a file it fails. Each time it is asked that, it adds a line to `asked` there.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SESSION = "ses_1"
TOKENS = {"input": 10, "output": 4, "reasoning": 1, "cache": {"read": 20, "write": 3}}


class Fake:
    """The script, the requests it waits for, and the events that it makes."""

    def __init__(self) -> None:
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked: dict[str, queue.Queue[Any]] = {}
        self.number = 0

    def waiting(self, kind: str) -> queue.Queue[Any]:
        """The requests of a kind."""
        return self.asked.setdefault(kind, queue.Queue())

    def tell(self, type: str, **properties: Any) -> None:  # noqa: A002
        """Make an event of the session."""
        self.events.put({"type": type, "properties": {"sessionID": SESSION, **properties}})

    def part(self, id: str = "", **part: Any) -> None:  # noqa: A002
        """Make an event of a part of the current message."""
        self.number += 1
        given = {"id": id or f"prt_{self.number}", "sessionID": SESSION, "messageID": self.message}
        self.tell("message.part.updated", part={**given, **part}, time=int(time.time() * 1000))

    def hear(self) -> None:
        prompt = self.waiting("prompt").get()
        given = prompt.get("model") or {}
        self.model = "/".join((given.get("providerID", ""), given.get("modelID", "")))
        self.number += 1
        heard = self.message = f"msg_{self.number}"
        self.tell("message.updated", info={"id": heard, "role": "user"})
        self.part(type="text", text=prompt["parts"][0]["text"])
        self.message = f"msg_a{self.number}"
        info = {"id": self.message, "role": "assistant", "parentID": heard, "modelID": "fake-1"}
        self.tell("message.updated", info=info)
        self.part(type="step-start")

    def say(self, text: str) -> None:
        self.part(type="text", text=text, time={"start": 1, "end": 2})

    def print(self, text: str) -> None:
        given = {"command": "make", "description": "make it"}
        state = {"status": "running", "input": given, "metadata": {"output": text}}
        self.part("prt_make", type="tool", tool="bash", state=state)

    def ask(self, permission: str, command: str) -> None:
        self.tell("permission.asked", id="per_1", permission=permission, patterns=["*"],
                  metadata={"command": command})  # fmt: skip
        reply = self.waiting("reply").get()
        self.tell("permission.replied", requestID="per_1", reply=reply["reply"])
        self.say(json.dumps(reply, sort_keys=True))

    def abort(self) -> None:
        self.waiting("abort").get()
        self.error("MessageAbortedError", "Aborted")
        self.tell("session.idle")

    def retry(self, attempt: int, seconds: float) -> None:
        at = int((time.time() + seconds) * 1000)
        status = {"type": "retry", "attempt": attempt, "message": "Too Many Requests", "next": at}
        self.tell("session.status", status=status)

    def error(self, name: str, text: str) -> None:
        self.tell("session.error", error={"name": name, "data": {"message": text}})

    def finish(self, text: str) -> None:
        self.say(text)
        self.part(type="step-finish", reason="stop", tokens=TOKENS, cost=0.25)
        self.tell("session.idle")

    def fail_with(self, model: str, name: str, text: str) -> None:
        if self.model == model:
            self.error(name, text)
            self.tell("session.idle")
            self.hang()

    def event(self, event: dict[str, Any]) -> None:
        self.events.put(event)

    def hang(self) -> None:
        signal.pause()

    def exit(self, code: int) -> None:
        os._exit(code)


class Handler(BaseHTTPRequestHandler):
    """The requests that orch makes."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        if self.path == "/event":
            self.send_response(200)
            self.end_headers()
            self.send({"type": "server.connected", "properties": {}})
            while True:
                self.send(fake.events.get())
        elif self.path.startswith("/session/") and self.path != f"/session/{SESSION}":
            self.reply(404, {"name": "NotFoundError", "data": {"message": "Session not found: x"}})
        else:
            self.reply(200, {"id": SESSION})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        login = f"opencode:{os.environ['OPENCODE_SERVER_PASSWORD']}".encode()
        assert self.headers["Authorization"] == f"Basic {base64.b64encode(login).decode()}"
        kind = self.path.rpartition("/")[2].partition("_")[0]
        fake.waiting(kind).put(body)
        self.reply(200, {"id": SESSION})

    def reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()


fake = Fake()


def main() -> None:
    """Listen, and do what the script says."""
    if sys.argv[2:] == ["models", "--verbose"]:
        tell_models(Path(sys.argv[1]).parent)
    script = json.loads(Path(sys.argv[1]).read_text())
    while script and script[0][0] in ("out", "err"):
        kind, text = script.pop(0)
        print(text, file=sys.stdout if kind == "out" else sys.stderr, flush=True)
        if text.startswith("leave"):
            sys.exit(1)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(f"opencode server listening on http://127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for action, *arguments in script:
        getattr(fake, action)(*arguments)
    signal.pause()


def tell_models(folder: Path) -> None:
    """Say which models there are, as the file says, and leave."""
    with (folder / "asked").open("a") as asked:
        asked.write(f"{os.environ['ORCH_RUN']}\n")
    if (folder / "slow").exists():
        signal.pause()
    if not (folder / "models").exists():
        sys.exit("Error: the file of settings is broken")
    print((folder / "models").read_text())
    sys.exit()


if __name__ == "__main__":
    main()
