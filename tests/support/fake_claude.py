"""A program that speaks claude's stream-json as a script says, for tests without claude.

`fake_claude.py SCRIPT`: a JSON list of actions, done in order:
["hear"] waits for a text and echoes it; ["say", text]; ["tool", name, input, output];
["ask", tool, input] asks for permission, waits, and says what came; ["asks", [tool, input], …]
asks all at once and waits for all answers; ["result", text]; ["fail", text, HTTP status];
["model", name] names the model from then on; ["use", usage] is what each request uses from then
on, which the result sums; ["cost", usd] is what it says that each turn cost;
["interruptible"] waits for an interrupt; ["raw", text, times]; ["bytes", hex];
["err", text]; ["write", path, text]; ["spawn", command] leaves a process behind; ["eof"] waits for
the end of its input; ["hang"]; ["exit", code].
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

SESSION = "5e551011-0000-4000-8000-000000000001"
USAGE = {"input_tokens": 10, "cache_read_input_tokens": 20, "output_tokens": 1}
SUMMED = {"inputTokens": "input_tokens", "outputTokens": "output_tokens",
          "cacheReadInputTokens": "cache_read_input_tokens"}  # fmt: skip
"""How a result calls what the requests used."""


class Fake:
    """The program; `heard` holds lines that came while it waited for others."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.number = 0
        self.turns = 0
        self.open = False
        self.name = "fake-1"
        self.usage = USAGE
        self.used: dict[str, int] | None = None
        self.usd: float | None = 0.5

    def tell(self, **message: Any) -> None:
        """Print a message."""
        sys.stdout.write(json.dumps({**message, "session_id": SESSION}) + "\n")
        sys.stdout.flush()

    def line(self) -> dict[str, Any]:
        """The next message of whoever started us; leaves at the end of the input."""
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        found: dict[str, Any] = json.loads(line)
        return found

    def until(self, kind: str) -> dict[str, Any]:
        """The next message of a kind; others wait."""
        for n, message in enumerate(self.heard):
            if message["type"] == kind:
                return self.heard.pop(n)
        while (message := self.line())["type"] != kind:
            self.heard.append(message)
        return message

    def hear(self) -> None:
        message = self.until("user")
        if not self.open:
            self.tell(type="system", subtype="init", model=self.name)
            self.open = True
        self.tell(**message, isReplay=True)

    def say(self, text: str) -> None:
        self.number += 1
        content = [{"type": "text", "text": text}]
        self.tell(type="assistant", message={"id": f"m{self.number}", "content": content,
                                             "usage": self._request()})  # fmt: skip

    def model(self, name: str) -> None:
        self.name = name

    def use(self, usage: dict[str, int]) -> None:
        self.usage = usage
        self.used = self.used or {}
        self.usd = None

    def cost(self, usd: float) -> None:
        self.usd = usd

    def _request(self) -> dict[str, int]:
        """What one more request uses; counted for the result once a script says how much."""
        if self.used is not None:
            for name, count in self.usage.items():
                self.used[name] = self.used.get(name, 0) + count
        return self.usage

    def tool(self, name: str, given: dict[str, Any], output: str) -> None:
        self.number += 1
        call = f"t{self.number}"
        block = {"type": "tool_use", "id": call, "name": name, "input": given}
        self.tell(type="assistant", message={"id": f"m{self.number}", "content": [block],
                                             "usage": self._request()})  # fmt: skip
        answer = {"type": "tool_result", "tool_use_id": call, "content": output}
        self.tell(type="user", message={"role": "user", "content": [answer]})

    def ask(self, tool: str, given: dict[str, Any], answered: bool = True) -> None:
        self.number += 1
        request = {"subtype": "can_use_tool", "tool_name": tool, "input": given,
                   "tool_use_id": f"t{self.number}"}  # fmt: skip
        self.tell(type="control_request", request_id=f"q{self.number}", request=request)
        if answered:
            self.answered()

    def answered(self) -> None:
        said = self.until("control_response")["response"]["response"]
        self.say(json.dumps(said, sort_keys=True))

    def asks(self, *questions: tuple[str, dict[str, Any]]) -> None:
        for tool, given in questions:
            self.ask(tool, given, answered=False)
        for _ in questions:
            self.answered()

    def interruptible(self) -> None:
        asked = self.until("control_request")
        response = {"subtype": "success", "request_id": asked["request_id"]}
        self.tell(type="control_response", response=response)
        self._ended(subtype="error_during_execution", is_error=True,
                    terminal_reason="aborted_tools", errors=["stopped"])  # fmt: skip

    def result(self, text: str) -> None:
        self._ended(subtype="success", is_error=False, result=text)

    def fail(self, text: str, status: int | None = 529) -> None:
        self._ended(subtype="success", is_error=True, result=text, api_error_status=status)

    def _ended(self, **more: Any) -> None:
        self.turns += 1
        self.open = False
        summed = {"inputTokens": 10 * self.turns, "outputTokens": 5 * self.turns,
                  "cacheReadInputTokens": 20 * self.turns}  # fmt: skip
        if self.used is not None:
            summed = {name: self.used.get(key, 0) for name, key in SUMMED.items()}
        models = {self.name: summed}
        usd = self.usd and self.usd * self.turns
        self.tell(type="result", usage=USAGE, modelUsage=models, total_cost_usd=usd,
                  permission_denials=[], **more)  # fmt: skip

    def raw(self, text: str, times: int = 1) -> None:
        sys.stdout.write(text * times)
        sys.stdout.flush()

    def bytes(self, digits: str) -> None:
        sys.stdout.buffer.write(bytes.fromhex(digits))
        sys.stdout.buffer.flush()

    def err(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def write(self, path: str, text: str) -> None:
        Path(path).write_text(text)

    def spawn(self, command: str) -> None:
        subprocess.Popen(["sh", "-c", command], stdin=subprocess.DEVNULL, start_new_session=True)

    def eof(self) -> None:
        while True:
            self.heard.append(self.line())

    def hang(self) -> None:
        signal.pause()

    def exit(self, code: int) -> None:
        sys.exit(code)


def interrupted(*_: Any) -> None:
    """As claude does at SIGINT: one last result, if it works."""
    if fake.open:
        fake._ended(
            subtype="error_during_execution", is_error=True, terminal_reason="aborted_tools"
        )
    sys.exit(1)


fake = Fake()
signal.signal(signal.SIGINT, interrupted)
for action, *arguments in json.loads(Path(sys.argv[1]).read_text()):
    getattr(fake, action)(*arguments)
