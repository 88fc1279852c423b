"""A program that speaks as codex's app server does, as a script says, for tests without codex.

`fake_codex.py SCRIPT app-server …`: a JSON list of actions, done in order once the handshake is
done: ["hear"] waits for a text (a turn, or one for the running turn) and echoes it; ["say", text];
["run", command, output, code] runs a command, its output comes live; ["edit", path, diff];
["ask", method, params] asks, waits, and says what came; ["done"]; ["fail", message, info];
["interruptible"] waits for an interrupt; ["drop"] takes a text and ends the turn without having
read it; ["note", method, params]; ["raw", text]; ["err", text]; ["refuse", method, message] before
the handshake; ["eof"] waits for the end of its input; ["hang"]; ["exit", code].
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

THREAD = "01a20000-0000-7000-8000-000000000001"


class Fake:
    """The program; `waiting` holds requests that came while it waited for others."""

    def __init__(self) -> None:
        self.waiting: list[dict[str, Any]] = []
        self.number = self.turns = self.used = 0
        self.turn = ""

    def tell(self, message: dict[str, Any]) -> None:
        """Print a message."""
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def note(self, method: str, params: dict[str, Any]) -> None:
        """Print a notification of this thread."""
        here = {"threadId": THREAD, "turnId": self.turn}
        self.tell({"method": method, "params": {**here, **params}})

    def line(self) -> dict[str, Any]:
        """The next message of whoever started us; leaves at the end of the input."""
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        found: dict[str, Any] = json.loads(line)
        return found

    def until(self, *methods: str) -> dict[str, Any]:
        """The next message of these methods ('' for a reply); others wait."""
        for n, message in enumerate(self.waiting):
            if message.get("method", "") in methods:
                return self.waiting.pop(n)
        while (message := self.line()).get("method", "") not in methods:
            self.waiting.append(message)
        return message

    def opens(self, refused: dict[str, str]) -> None:
        """The handshake, up to the thread."""
        for methods, result in (
            (("initialize",), {"userAgent": "fake"}),
            (("thread/start", "thread/resume"), {"thread": {"id": THREAD}, "model": "fake-1"}),
        ):
            asked = self.until(*methods)
            why = refused.get(asked["method"])
            if why:
                self.tell({"id": asked["id"], "error": {"code": -32600, "message": why}})
                self.eof()
            self.tell({"id": asked["id"], "result": result})
        self.until("initialized")
        self.note("thread/started", {"thread": {"id": THREAD}})

    def take(self) -> dict[str, Any]:
        """The next text, its turn begun if there was none."""
        asked = self.until("turn/start", "turn/steer")
        if asked["method"] == "turn/start":
            self.turns += 1
            self.turn = f"turn-{self.turns}"
            self.tell({"id": asked["id"], "result": {"turn": {"id": self.turn}}})
            self.note("turn/started", {"turn": {"id": self.turn, "status": "inProgress"}})
        elif asked["params"]["expectedTurnId"] == self.turn:
            self.tell({"id": asked["id"], "result": {"turnId": self.turn}})
        else:
            error = {"code": -32600, "message": "no active turn to steer"}
            self.tell({"id": asked["id"], "error": error})
            return self.take()
        return asked["params"]

    def hear(self) -> None:
        params = self.take()
        self.item("userMessage", clientId=params["clientUserMessageId"], content=params["input"])

    def item(self, kind: str, **more: Any) -> None:
        """An item, from its beginning to its end."""
        self.number += 1
        item = {"type": kind, "id": f"item-{self.number}", **more}
        for method in ("item/started", "item/completed"):
            self.note(method, {"item": item})

    def say(self, text: str) -> None:
        self.item("agentMessage", text=text)

    def run(self, command: str, output: str, code: int = 0) -> None:
        self.number += 1
        item = {"type": "commandExecution", "id": f"item-{self.number}",
                "command": f"/bin/bash -lc '{command}'", "status": "inProgress"}  # fmt: skip
        self.note("item/started", {"item": item})
        for n in range(0, len(output), 7):
            delta = {"itemId": item["id"], "delta": output[n : n + 7]}
            self.note("item/commandExecution/outputDelta", delta)
        item |= {"status": "failed" if code else "completed", "exitCode": code}
        self.note("item/completed", {"item": item | {"aggregatedOutput": output}})

    def edit(self, path: str, diff: str) -> None:
        change = {"path": path, "kind": {"type": "update"}, "diff": diff}
        self.item("fileChange", changes=[change], status="completed")

    def ask(self, method: str, params: dict[str, Any]) -> None:
        self.number += 1
        here = {"threadId": THREAD, "turnId": self.turn, "itemId": "x", **params}
        self.tell({"id": self.number, "method": method, "params": here})
        answer = self.until("")
        self.note("serverRequest/resolved", {"requestId": self.number})
        self.say(json.dumps(answer.get("result", answer.get("error")), sort_keys=True))

    def done(self) -> None:
        self._ended(status="completed")

    def fail(self, message: str, info: Any = None) -> None:
        self._ended(status="failed", error={"message": message, "codexErrorInfo": info})

    def drop(self) -> None:
        self.take()
        self.done()

    def interruptible(self) -> None:
        asked = self.until("turn/interrupt")
        self.tell({"id": asked["id"], "result": {}})
        self._ended(status="interrupted")
        self.until("thread/backgroundTerminals/clean")

    def _ended(self, **more: Any) -> None:
        self.used += 1
        total = {"inputTokens": 30 * self.used, "cachedInputTokens": 20 * self.used,
                 "outputTokens": 5 * self.used}  # fmt: skip
        self.note("thread/tokenUsage/updated", {"tokenUsage": {"total": total}})
        turn, self.turn = self.turn, ""
        self.note("turn/completed", {"turn": {"id": turn, **more}})

    def raw(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def err(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def eof(self) -> None:
        while True:
            self.waiting.append(self.line())

    def hang(self) -> None:
        signal.pause()

    def exit(self, code: int) -> None:
        sys.exit(code)


fake = Fake()
script = json.loads(Path(sys.argv[1]).read_text())
fake.opens({method: why for action, method, why in
            (one for one in script if one[0] == "refuse")})  # fmt: skip
for action, *arguments in script:
    getattr(fake, action)(*arguments)
