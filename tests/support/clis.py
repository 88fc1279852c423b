"""The real agent CLIs, each started offline against the scripted model server.

    with Stage() as stage:
        run = stage.server.play([turn(Write("hello.txt", "hello\\n")), turn(Say("Done."))])
        outcome = stage.oneshot("codex", run, worktree, home, "Say hello.")

`account` writes what a person who uses that CLI would have in their home and environment (a fake
key, the server's address, telemetry and updates off); `Stage.wrapper` gives an executable file for
orch's config that starts the CLI inside the network that has only loopback.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orch.tools.process import end, marked
from tests.support.loopback import Loopback
from tests.support.model_server import ModelServer, Run

INSTALLER = Path(__file__).resolve().parents[2] / ".ci" / "real"
START_SECONDS = 120.0
"""How long a CLI may take to ask the model for the first time."""
NAMES = ("claude", "codex", "opencode")
PRINTING = ("gemini", "qwen")
"""CLIs that orch runs as a `command`, and reads by what they print."""
KEY = "scripted-key-0000000000"
MODEL = {
    "claude": "claude-scripted",
    "codex": "gpt-scripted",
    "opencode": "scripted/scripted",
    "gemini": "gemini-scripted",
    "qwen": "qwen-scripted",
}
ONESHOT = {
    "claude": (
        *("-p", "--output-format", "stream-json", "--verbose"),
        *("--dangerously-skip-permissions", "--model", MODEL["claude"]),
    ),
    "codex": (
        *("exec", "--json", "--disable", "plugins"),
        *("--dangerously-bypass-approvals-and-sandbox", "-"),
    ),
    "opencode": (
        *("run", "--format", "json", "--auto", "-m", MODEL["opencode"]),
        *("--print-logs", "--log-level", "ERROR"),
    ),
}
"""Arguments of each CLI's one-shot mode; the prompt comes from a file on stdin."""

QUIET = {
    "claude": (
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_AUTOUPDATER",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "IS_SANDBOX",
    ),
    "codex": (),
    "gemini": (),
    "qwen": (),
    "opencode": (
        "OPENCODE_DISABLE_AUTOUPDATE",
        "OPENCODE_DISABLE_MODELS_FETCH",
        "OPENCODE_DISABLE_LSP_DOWNLOAD",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS",
    ),
}
"""Variables that are set to 1. IS_SANDBOX: claude refuses to skip permissions as root without."""

CODEX_CONFIG = """\
model = "{model}"
model_provider = "scripted"
check_for_update_on_startup = false

[model_providers.scripted]
name = "scripted"
base_url = "{url}/v1"
env_key = "SCRIPTED_KEY"
wire_api = "responses"
{retries}
[analytics]
enabled = false

[feedback]
enabled = false

[history]
persistence = "none"
"""


def installed() -> dict[str, str]:
    """The program of each CLI, installed first where missing (see `.ci/real`)."""
    ran = subprocess.run([INSTALLER], check=True, stdout=subprocess.PIPE, text=True)
    lines = (line.split(" ", 2) for line in ran.stdout.splitlines())
    return {name: program for name, _version, program in lines}


def account(
    name: str, home: Path, run: Run, *, retries: int | None = None, subscription: bool = False
) -> dict[str, str]:
    """The environment of a person who uses `name` with the scripted server, and nobody else's
    variables; writes the CLI's own settings below `home`. `retries`: how often it may repeat a
    failed request (None: as it comes; opencode has no such setting). `subscription`: claude is
    logged in with an account instead of a key."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    env = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm"}
    env |= {"TMPDIR": str(temporary)} | dict.fromkeys(QUIET[name], "1")
    if name == "claude":
        env["ANTHROPIC_BASE_URL"] = run.url
        env["CLAUDE_CODE_OAUTH_TOKEN" if subscription else "ANTHROPIC_API_KEY"] = KEY
        if retries is not None:
            env["CLAUDE_CODE_MAX_RETRIES"] = str(retries)
    elif name == "codex":
        folder = home / ".codex"
        folder.mkdir(exist_ok=True)
        limit = "" if retries is None else _codex_retries(retries)
        config = CODEX_CONFIG.format(model=MODEL[name], url=run.url, retries=limit)
        (folder / "config.toml").write_text(config)
        env |= {"CODEX_HOME": str(folder), "SCRIPTED_KEY": KEY}
    elif name == "gemini":
        _write(home / ".gemini" / "settings.json", _gemini_settings(retries))
        env |= {"GEMINI_API_KEY": KEY, "GOOGLE_GEMINI_BASE_URL": run.url}
    elif name == "qwen":
        _write(home / ".qwen" / "settings.json", _qwen_settings(retries))
        env |= {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{run.url}/v1"}
    else:
        config_path = home / "opencode.json"
        config_path.write_text(json.dumps(_opencode_config(run)))
        env |= {"OPENCODE_CONFIG": str(config_path), "SCRIPTED_KEY": KEY}
    return env


def _codex_retries(retries: int) -> str:
    return f"request_max_retries = {retries}\nstream_max_retries = {retries}\n"


def _write(path: Path, settings: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings))


def _gemini_settings(retries: int | None) -> dict[str, Any]:
    """As README tells people to have them; the login is chosen, as by who has once logged in."""
    limit = {} if retries is None else {"maxAttempts": retries + 1}
    return {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": limit,
    }


def _qwen_settings(retries: int | None) -> dict[str, Any]:
    """What qwen itself writes at its first start, and how often one request is repeated at once
    (how often all of that is, nobody can set)."""
    limit = {} if retries is None else {"generationConfig": {"maxRetries": retries}}
    return {"$version": 4, "security": {"auth": {"selectedType": "openai"}}, "model": limit}


def _opencode_config(run: Run) -> dict[str, Any]:
    model = {
        "name": "scripted",
        "tool_call": True,
        "reasoning": True,
        "limit": {"context": 128000, "output": 8192},
        "cost": {"input": 1, "output": 2, "cache_read": 0.1},
    }
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Scripted",
        "options": {"baseURL": f"{run.url}/v1", "apiKey": "{env:SCRIPTED_KEY}"},
        "models": {"scripted": model},
    }
    return {
        "$schema": "https://opencode.ai/config.json",  # else opencode writes it in
        "autoupdate": False,
        "share": "disabled",
        "model": MODEL["opencode"],
        "small_model": MODEL["opencode"],
        "enabled_providers": ["scripted"],
        "provider": {"scripted": provider},
    }


@dataclass(frozen=True)
class Outcome:
    """What a one-shot run came to. `code` is None when it had to be ended at its time limit."""

    name: str
    code: int | None
    seconds: float
    out: str
    err: str
    left: int
    """Processes of the run that were still there after its end (they have been ended)."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return list(_objects(self.out))

    @property
    def last_word(self) -> str:
        """What the run says about itself at its end: the answer, or the failure."""
        word = ""
        for event in self.events:
            word = _WORDS[self.name](event) or word
        return word


def _objects(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _claude_word(event: dict[str, Any]) -> str:
    if event.get("type") != "result":
        return ""
    return str(event.get("result", "; ".join(event.get("errors", [])) or event["subtype"]))


def _codex_word(event: dict[str, Any]) -> str:
    item = event.get("item", {})
    if event.get("type") == "item.completed" and item.get("type") == "agent_message":
        return str(item["text"])
    return str(event.get("error", {}).get("message", "") or event.get("message", ""))


def _opencode_word(event: dict[str, Any]) -> str:
    if event.get("type") == "error":
        error = event["error"]
        return f"{error['name']}: {error.get('data', {}).get('message', '')}"
    part = event.get("part", {})
    if part.get("type") == "step-finish" and part["reason"] not in {"stop", "tool-calls"}:
        return f"step ended: {part['reason']}"
    return str(part.get("text", ""))


_WORDS = {"claude": _claude_word, "codex": _codex_word, "opencode": _opencode_word}


def _within(process: subprocess.Popen[bytes], run: Run, limit_seconds: float) -> int | None:
    """The exit code of a process that ends in time, counted from its first request."""
    deadline = time.monotonic() + START_SECONDS
    while not run.requests and time.monotonic() < deadline:
        try:
            return process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    try:
        return process.wait(limit_seconds)
    except subprocess.TimeoutExpired:
        return None


class Stage:
    """The CLIs, a model server, and where possible a network in which there is nobody else."""

    def __init__(self) -> None:
        self.programs = installed()
        try:
            self.network: Loopback | None = Loopback()
        except OSError:
            self.network = None
        self.server = ModelServer(self.network.listener if self.network else None)

    def __enter__(self) -> Stage:
        self.server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()
        if self.network:
            self.network.close()

    def argv(self, name: str, *arguments: str) -> tuple[str, ...]:
        """The command that starts a CLI, inside the network."""
        plain = (self.programs[name], *arguments)
        return self.network.inside(*plain) if self.network else plain

    def wrapper(self, name: str, folder: Path) -> Path:
        """`argv` as an executable file called `name` in `folder`: for configs and PATH."""
        path = folder / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join(self.argv(name))} "$@"\n')
        path.chmod(0o755)
        return path

    def astray(self) -> int:
        """How often something inside tried to reach anybody but the server; 0 if unknown."""
        return self.network.astray() if self.network else 0

    def oneshot(
        self,
        name: str,
        run: Run,
        worktree: Path,
        home: Path,
        prompt: str,
        *,
        arguments: tuple[str, ...] = (),
        limit_seconds: float = 90.0,
        **more: Any,
    ) -> Outcome:
        """Run a CLI once, as `account(name, home, run, **more)`; end it when so many seconds have
        passed since it first asked the model (starting takes long on a busy machine)."""
        mark = f"clis:{run.url}"
        env = account(name, home, run, **more) | {"ORCH_RUN": mark}
        question = home / "prompt.txt"
        question.write_text(prompt)
        begun = time.monotonic()
        with (
            question.open("rb") as stdin,
            (home / "out").open("wb") as out,
            (home / "err").open("wb") as err,
        ):
            process = subprocess.Popen(
                self.argv(name, *ONESHOT[name], *arguments), cwd=worktree, env=env,
                stdin=stdin, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
            code = _within(process, run, limit_seconds)
            seconds = time.monotonic() - begun
            if code is None:
                end([process.pid])
                process.wait()
            left = marked(mark)
            end(left)
        texts = [(home / file).read_text(errors="replace") for file in ("out", "err")]
        return Outcome(name, code, seconds, texts[0], texts[1], 0 if code is None else len(left))
