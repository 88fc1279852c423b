"""opencode: its server on loopback, spoken to through `session.http_bridge`, else its `run`."""

from __future__ import annotations

import json
from typing import Any

from orch.agents import runs
from orch.agents.command import fill
from orch.agents.contract import (
    PROMPT,
    SYSTEM,
    AgentSpec,
    Permissions,
    Plan,
    Recorded,
    Work,
    variables,
)
from orch.agents.stream import BRIDGE
from orch.errors import ConfigError
from orch.model import Verdict

PROGRAM = "opencode"

SERVE = ("serve", "--hostname", "127.0.0.1", "--port", "0")

PASSES = (
    "OPENCODE_CONFIG", "OPENCODE_CONFIG_DIR", "OPENCODE_API_KEY", "OPENCODE_MODELS_URL",
    "OPENCODE_MODELS_PATH", "OPENCODE_AUTH_CONTENT", "OPENCODE_DISABLE_CLAUDE_CODE",
    "OPENCODE_EXPERIMENTAL_*",
)  # fmt: skip
"""opencode's own variables. Its login is a file below XDG_DATA_HOME; the key of a provider that
is read from the environment is given by `agents.opencode.env`. Not those by which one opencode
tells another that it was started by it (`OPENCODE`, `OPENCODE_PID`)."""

QUIET = {
    "OPENCODE_DISABLE_AUTOUPDATE": "1",
    "OPENCODE_DISABLE_MODELS_FETCH": "1",
    "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
    "OPENCODE_DISABLE_SHARE": "1",
}
"""No self-update, no fetching and no sharing, by default: `agents.{name}.env` overrides each."""

PLUGIN = "npm_config_@opencode-ai:registry"
NOWHERE = "http://127.0.0.1:9/"
"""opencode installs `@opencode-ai/plugin` from npm at each start, into its folder of settings, and
goes on without it where that fails: here it fails at once, for this scope of npm alone. Not done
where `agents.opencode.env` sets `npm_config_registry`. Measured with opencode 1.18.33."""

CONTENT, PERMISSION = "OPENCODE_CONFIG_CONTENT", "OPENCODE_PERMISSION"
"""Variables that are laid over the person's settings: a configuration, and permissions."""

TOOLS = {"write": "edit", "multiedit": "edit", "notebookedit": "edit", "ls": "list"}
"""opencode's permission for a tool of `workflow.permissions`, where it has another name."""

ASKED_FIRST = ("bash", "edit", "webfetch", "websearch", "external_directory")
"""What a supervised agent asks for."""

ASKED = ("external_directory", "doom_loop")
"""What opencode asks for as it comes; allowed to an agent that works alone."""


class Opencode:
    """The protocol `opencode`."""

    def plan(self, spec: AgentSpec, work: Work) -> Plan:
        """See `Agent.plan`."""
        env = {**QUIET, **spec.env, **variables(work)}
        del env["ORCH_OUTPUT_FILE"]  # the answer is its last message
        if "npm_config_registry" not in env:
            env[PLUGIN] = NOWHERE
        env[CONTENT] = json.dumps(content(spec.env.get(CONTENT, ""), work))
        env[PERMISSION] = json.dumps(permissions(spec.env.get(PERMISSION, ""), work.permissions))
        provider, slash, model = work.model.partition("/")
        if work.model and not (provider and slash and model):
            hint = "write it as provider/model, as `opencode models` shows it"
            raise ConfigError(f"{work.model!r} is no model of opencode", hint)
        other = oneshot(spec, work, env)
        if spec.mode == "oneshot":
            return other
        auto = spec.mode == "auto" and work.permissions.mode == "autonomous"
        return Plan(
            argv=(BRIDGE, *fill(spec.command or (PROGRAM,), work), *SERVE),
            env=env,
            protocol="structured",
            passes=PASSES,
            dialect="opencode",
            settings={
                "permissions": work.permissions.mode,
                "worktree": work.worktree,
                "title": work.title or work.task,
                "model": work.model,
                "resume": work.resume,
            },
            prompt=PROMPT,
            instead=other if auto else None,
        )

    def verdict(self, recorded: Recorded) -> Verdict:
        """See `Agent.verdict`."""
        return runs.judge("opencode", recorded)


def oneshot(spec: AgentSpec, work: Work, env: dict[str, str]) -> Plan:
    """How to run `opencode run`, where its server does not come up. What its permissions ask for
    is refused, unless it works alone: then it is allowed."""
    start = (*fill(spec.command or (PROGRAM,), work), "run", "--format", "json")
    options: tuple[str, ...] = ("--print-logs", "--log-level", "ERROR")  # else silent retries
    options += ("-m", work.model) if work.model else ()
    return Plan(
        argv=(*start, *options, *(("--session", work.resume) if work.resume else ())),
        env=env,
        protocol="structured",
        passes=PASSES,
        dialect="opencode-run",
        settings={"worktree": work.worktree, "model": work.model},
        prompt=PROMPT,
        again=(*start, *options, "--session", "{session}"),
    )


def content(given: str, work: Work) -> dict[str, Any]:
    """The configuration for this work, over the one that `agents.{name}.env` gives as text."""
    config = _object(CONTENT, given)
    instructions = config.get("instructions")
    known = instructions if isinstance(instructions, list) else []
    quiet = {"autoupdate": False, "share": "disabled"}
    return {**quiet, **config, "instructions": [*known, f"{work.folder}/{SYSTEM}"]}


def permissions(given: str, wanted: Permissions) -> dict[str, Any]:
    """opencode's rules (https://opencode.ai/docs/permissions): by tool, what each pattern means;
    the last rule that matches counts, so that what is disallowed stands last. Working alone, it
    is not told to ask: what it asks nevertheless is allowed at once, and no question is put."""
    rules: dict[str, dict[str, str]] = {}
    if wanted.mode == "supervised":
        rules = {tool: {"*": "ask"} for tool in ASKED_FIRST}
    else:
        rules = {tool: {"*": "allow"} for tool in ASKED}
        rules["question"] = {"*": "deny"}
    for action, tools in (("allow", wanted.allowed_tools), ("deny", wanted.disallowed_tools)):
        for rule in tools:
            tool, pattern = _rule(rule)
            patterns = rules.setdefault(tool, {})
            patterns.pop(pattern, None)  # so that it stands last
            patterns[pattern] = action
    return {**_object(PERMISSION, given), **rules}


def _rule(rule: str) -> tuple[str, str]:
    """`Bash(rm *)` as opencode's tool and pattern."""
    name, _, pattern = rule.partition("(")
    tool = name.strip().lower()
    pattern = pattern.removesuffix(")").strip().replace(":*", " *")
    return TOOLS.get(tool, tool), pattern or "*"


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text.strip() else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError(f"env.{name} is no JSON object", "opencode reads settings from it")
    return found
