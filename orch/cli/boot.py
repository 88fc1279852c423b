"""Booting an agent once, in a scratch worktree: what `orch agents --check` finds out."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from orch import agents
from orch.config.schema import AgentConfig, Config
from orch.errors import OrchError
from orch.hosts.attempt import order, recorded
from orch.hosts.local import Local
from orch.model import ErrorClass, Verdict
from orch.paths import Home, data, scratch
from orch.session.launch import Launch, Result, prepare
from orch.tools.process import run

LOOK_SECONDS = 0.1
SWEEP_SECONDS = 15.0
"""How long after its time limit a session may take to end its agent and all it started."""
SESSION = "orch-check"
PROMPT = """\
# A check

This only checks that you can be reached. Do nothing and use no tool. Answer with exactly this:

{"status": "done", "summary": "ready"}
"""
HINTS = {
    ErrorClass.AUTH: "log in with `{program}` itself, or give its key in agents.{name}.env",
    ErrorClass.BILLING: "its account has no credit: see the provider's billing page",
    ErrorClass.USAGE_LIMIT: "its limit is used up until then",
    ErrorClass.RATE_LIMIT: "it is asked too often; try again later",
    ErrorClass.OVERLOADED: "its provider has trouble; try again later",
    ErrorClass.NETWORK: "it cannot reach its provider: is there a network, or a proxy to be set?",
    ErrorClass.MODEL_UNAVAILABLE: "correct agents.{name}.models",
    ErrorClass.MISSING_TOOL: "install {program}, or correct agents.{name}.command",
    ErrorClass.LAUNCH_FAILED: "run `{program} --version`; another version may be needed",
    ErrorClass.WAITING_FOR_INPUT: "it waits for somebody: start `{program}` once by hand",
    ErrorClass.TIMEOUT: "it said nothing in time: start `{program}` once by hand; is it asking?",
}
"""What to do about a failure, by its class."""


class Booted(NamedTuple):
    """What booting came to. `answers` is None where it was not tried; `error` is the class."""

    starts: bool | None
    answers: bool | None
    error: str = ""
    message: str = ""
    hint: str = ""
    seconds: float = 0.0


def boot(name: str, spec: AgentConfig, config: Config, program: str, seconds: float) -> Booted:
    """Start the agent once with the login it has, ask it for one answer, and judge that. Takes no
    longer than `seconds` and a little; leaves nothing behind."""
    if spec.protocol == "shell":
        return Booted(True, None, message="runs what a task's text says; there is no login")
    if spec.protocol == "terminal":
        return Booted(None, None, message="an interactive program; nobody can judge its screen")
    root = scratch("ob-")
    try:
        return _booted(root, name, spec, config, program, seconds)
    except OrchError as error:
        return Booted(False, False, ErrorClass.LAUNCH_FAILED, error.message, error.hint)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _booted(
    root: Path, name: str, spec: AgentConfig, config: Config, program: str, seconds: float
) -> Booted:
    home = Home(root / "h")
    home.make()
    host = Local(home)
    launch = _launch(home, root, name, spec, config, seconds)
    folder = Path(launch.folder)
    began = time.monotonic()
    try:
        host.start(SESSION, folder, Path(launch.cwd))
        result = _ended(host, folder, began + seconds + SWEEP_SECONDS)
        verdict = agents.verdict(spec.read_as, recorded(host, folder, result))
    finally:
        host.sweep(launch.run)
        host.tmux.kill_server()
    took = time.monotonic() - began
    started = bool(verdict.native_session or verdict.usage.output_tokens)
    if verdict.ok or _spoke(verdict):
        return Booted(True, True, seconds=took)
    error = verdict.error or ErrorClass.AGENT_FAILED
    if error is ErrorClass.TIMEOUT and host.state(folder) and not started:
        error = ErrorClass.WAITING_FOR_INPUT  # a dialog that its protocol does not show
    hint = HINTS.get(error, "see `orch doctor`").format(name=name, program=program)
    return Booted(started, False, error, verdict.message.strip(), hint, took)


def _spoke(verdict: Verdict) -> bool:
    """Whether the model answered, though not in the words that it was given."""
    unread = verdict.error is ErrorClass.INVALID_RESPONSE
    return unread and verdict.usage.output_tokens > 0


def _launch(
    home: Home, root: Path, name: str, spec: AgentConfig, config: Config, seconds: float
) -> Launch:
    """The launch order, with a fresh repository as the worktree."""
    worktree, folder = root / "w", root / "attempt"
    git = ["git", "-c", "user.name=orch", "-c", "user.email=orch@orch.invalid"]
    git += ["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
    run([*git, "init", "-q", "--template=", os.fspath(worktree)])
    run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], cwd=worktree)
    folder.mkdir(mode=0o700)
    marker = f"{root}:check"
    allowed = config.workflow.permissions
    plan = agents.plan(
        name,
        agents.AgentSpec(
            protocol=spec.protocol, command=spec.command, env=spec.env, models=spec.models,
            mode=spec.mode, reads=spec.reads,
        ),
        agents.Work(
            task="check", attempt=1, folder=str(folder), worktree=str(worktree), run=marker,
            title="A check", body=PROMPT, model=next(iter(spec.models), ""), ephemeral=True,
            permissions=agents.Permissions(
                sandbox=allowed.sandbox, disallowed_tools=allowed.disallowed_tools
            ),
        ),
    )  # fmt: skip
    system = (data("prompts") / "agent.md").read_text(encoding="utf-8")
    texts = {"prompt-sys.md": system, "prompt-msg.md": PROMPT, **plan.files}
    for file, text in texts.items():
        (folder / file).write_text(text, encoding="utf-8")
    launch = order(
        plan, folder, session=SESSION, task="check", attempt=1, run=marker, cwd=str(worktree),
        env=agents.environment(dict(os.environ), plan.env, plan.passes), agent=name,
        socket=str(home.session_socket(SESSION)), timeout_seconds=seconds,
    )  # fmt: skip
    prepare(launch)
    return launch


def _ended(host: Local, folder: Path, deadline: float) -> Result:
    """How the session ended. It ends itself at its time limit."""
    while time.monotonic() < deadline:
        if found := host.finished(folder):
            return found
        time.sleep(LOOK_SECONDS)
    return Result(ended_by="lost", message="the session did not end")
