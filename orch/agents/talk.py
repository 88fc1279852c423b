"""An agent CLI to talk with: its own screen in a terminal, told who it is. Pure.

    told = talking("claude", spec, Talk(folder=…, cwd=…, system=…))   # argv, environment, files

What it may do unasked is to call `orch`; for all else it asks the person before it, in its way.
"""

from __future__ import annotations

import json

from msgspec import structs

from orch.agents import claude, codex, opencode
from orch.agents.command import fill
from orch.agents.contract import PROMPT, SYSTEM, AgentSpec, Work
from orch.errors import ConfigError, Refused
from orch.model import Value

PROTOCOLS = ("claude", "codex", "opencode", "terminal")
"""The protocols whose agents have a screen of their own, in the order in which one is chosen."""


class Talk(Value, frozen=True, kw_only=True):
    """A conversation: its folder, where the agent works, what it is told first, its model."""

    folder: str
    cwd: str
    system: str
    run: str
    model: str = ""


class Talking(Value, frozen=True, kw_only=True):
    """How to begin it: `argv` in the conversation's `cwd`; `env` is added to what is inherited,
    `passes` is what more may be; `files` (relative name to text) go into its folder first."""

    argv: tuple[str, ...]
    env: dict[str, str]
    passes: tuple[str, ...] = ()
    files: dict[str, str]


def talking(agent: str, spec: AgentSpec, talk: Talk) -> Talking:
    """How to talk with this agent. Raises `ConfigError` when it is configured wrongly, `Refused`
    when agents of its protocol have no screen."""
    spec = structs.replace(spec, name=agent)
    work = Work(
        task="", attempt=0, folder=talk.folder, worktree=talk.cwd, run=talk.run, model=talk.model
    )
    try:
        if spec.protocol == "claude":
            return _claude(spec, work, talk)
        if spec.protocol == "codex":
            return _codex(spec, work, talk)
        if spec.protocol == "opencode":
            return _opencode(spec, work, talk)
        if spec.protocol == "terminal":
            return _terminal(spec, work, talk)
    except ConfigError as error:
        raise ConfigError(f"agents.{agent}: {error.message}", error.hint) from None
    raise Refused(
        f"{agent} has no screen of its own to talk on: it has the protocol {spec.protocol}",
        f"name an agent of the protocol {', '.join(PROTOCOLS)}",
    )


def _claude(spec: AgentSpec, work: Work, talk: Talk) -> Talking:
    command = fill(spec.command or (claude.PROGRAM,), work)
    argv = [*command, "--append-system-prompt-file", f"{work.folder}/{SYSTEM}"]
    argv += ["--allowedTools=Bash(orch *)"]
    if work.model:
        argv += ["--model", work.model]
    env = {**claude.QUIET, **spec.env, **_marked(work)}
    env.pop("IS_SANDBOX", None)  # here a person is asked; nothing is skipped
    passes = claude.passes(spec.name, command[0], env)
    return Talking(argv=tuple(argv), env=env, passes=passes, files={SYSTEM: talk.system})


def _codex(spec: AgentSpec, work: Work, talk: Talk) -> Talking:
    """codex asks before what its sandbox does not let it do. orch's sockets count as network
    there, so that is let through; of files it may change only those below where it was begun."""
    argv = [*fill(spec.command or (codex.PROGRAM,), work), "--no-daemon", *codex.QUIET]
    argv += ["--sandbox", "workspace-write", "--ask-for-approval", "on-request"]
    argv += ["-c", "sandbox_workspace_write.network_access=true", "-c", "allow_login_shell=false"]
    argv += ["-c", f"developer_instructions={json.dumps(talk.system, ensure_ascii=False)}"]
    if work.model:
        argv += ["--model", work.model]
    env = {**spec.env, **_marked(work)}
    return Talking(argv=tuple(argv), env=env, passes=codex.OWN, files={SYSTEM: talk.system})


def _opencode(spec: AgentSpec, work: Work, talk: Talk) -> Talking:
    argv = [*fill(spec.command or (opencode.PROGRAM,), work)]
    if work.model:
        argv += ["--model", work.model]
    env = {**opencode.QUIET, **spec.env, **_marked(work)}
    asked = {"bash": {"*": "ask", "orch *": "allow", "orch": "allow"}, "edit": "ask"}
    env[opencode.PERMISSION] = json.dumps(asked)
    given = _object(spec.env.get(opencode.CONTENT, ""))
    files = [*_texts(given.get("instructions")), f"{work.folder}/{SYSTEM}"]
    env[opencode.CONTENT] = json.dumps({**given, "instructions": files})
    return Talking(argv=tuple(argv), env=env, passes=opencode.PASSES, files={SYSTEM: talk.system})


def _terminal(spec: AgentSpec, work: Work, talk: Talk) -> Talking:
    """Any program with a screen: it finds what it is told in a file."""
    if not spec.command:
        raise ConfigError("the agent has no command", "set agents.NAME.command to its argv")
    files = {SYSTEM: talk.system, PROMPT: ""}
    env = {
        **spec.env,
        **_marked(work),
        "ORCH_SYSTEM_FILE": f"{work.folder}/{SYSTEM}",
        "ORCH_PROMPT_FILE": f"{work.folder}/{PROMPT}",
    }
    return Talking(argv=fill(spec.command, work), env=env, files=files)


def _marked(work: Work) -> dict[str, str]:
    return {"ORCH_RUN": work.run}


def _object(text: str) -> dict[str, object]:
    """A JSON object; none where the text is something else."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
