"""codex: its app server, else its `exec`, so that it talks to the model and to nobody else."""

from __future__ import annotations

from orch.agents import runs
from orch.agents.codex_rules import EDITS
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
from orch.model import Verdict

PROGRAM = "codex"

OWN = ("OPENAI_*", "CODEX_HOME", "CODEX_API_KEY", "CODEX_CA_CERTIFICATE", "AZURE_OPENAI_*")
"""codex's own variables, so that a person's login keeps working. Not those that it gives to the
commands it runs (`CODEX_SANDBOX`, `CODEX_THREAD_ID`). The key of another provider, whatever
`env_key` in config.toml calls it, is given by `agents.codex.env`."""

QUIET = (
    *("--disable", "plugins"),  # else it asks github.com and chatgpt.com for its marketplace
    *("-c", "check_for_update_on_startup=false"),
    *("-c", "analytics.enabled=false"),
    *("-c", "feedback.enabled=false"),
)
"""No traffic but to the model (measured with codex 0.169.0)."""

SANDBOXES = {"workspace-write": "workspace-write"}
"""codex's name of a sandbox; every other of ours means none."""

WEB = frozenset({"WebSearch", "WebFetch"})
"""Rules against these turn off the search that codex leaves to its provider."""


class Codex:
    """The protocol `codex`."""

    def plan(self, spec: AgentSpec, work: Work) -> Plan:
        """See `Agent.plan`."""
        other = oneshot(spec, work)
        if spec.mode == "oneshot":
            return other
        permissions = work.permissions
        return Plan(
            argv=(*fill(spec.command or (PROGRAM,), work), "app-server", *quiet(work)),
            env=other.env,
            protocol="structured",
            passes=OWN,
            dialect="codex",
            settings={
                "permissions": permissions.mode,
                "approvals": approvals(permissions),
                "sandbox": sandbox_of(permissions),
                "allowed": "\n".join(permissions.allowed_tools),
                "disallowed": "\n".join(permissions.disallowed_tools),
                "worktree": work.worktree,
                "model": work.model,
                "resume": work.resume,
                "ephemeral": "1" if work.ephemeral else "",
                "system_file": f"{work.folder}/{SYSTEM}",
            },
            prompt=PROMPT,
            instead=other if spec.mode == "auto" and permissions.mode == "autonomous" else None,
        )

    def verdict(self, recorded: Recorded) -> Verdict:
        """See `Agent.verdict`."""
        return runs.judge("codex", recorded)


def oneshot(spec: AgentSpec, work: Work) -> Plan:
    """How to run `codex exec`, for versions without an app server: it is sandboxed as well, but
    asks nobody, so that rules for its tools bind it only as far as the sandbox does."""
    sandbox = sandbox_of(work.permissions)
    if work.permissions.mode == "supervised":
        sandbox = "read-only"  # nobody can be asked
    options = ("--json", *quiet(work), "-c", f"sandbox_mode={sandbox}")
    options += ("--skip-git-repo-check", *(("-m", work.model) if work.model else ()))
    start = (*fill(spec.command or (PROGRAM,), work), "exec")
    env = {**spec.env, **variables(work)}
    del env["ORCH_OUTPUT_FILE"]  # the answer is its last message
    return Plan(
        argv=(*start, *(("resume", work.resume) if work.resume else ()), *options, "-"),
        env=env,
        protocol="structured",
        passes=OWN,
        dialect="codex-exec",
        settings={
            "worktree": work.worktree,
            "model": work.model,
            "system_file": f"{work.folder}/{SYSTEM}",
        },
        prompt=PROMPT,
        again=(*start, "resume", "{session}", *options, "-"),
    )


def quiet(work: Work) -> tuple[str, ...]:
    """The arguments by which codex talks to nobody but the model."""
    ruled = WEB & set(work.permissions.disallowed_tools)
    return (*QUIET, *(("-c", "web_search=disabled") if ruled else ()))


def approvals(permissions: Permissions) -> str:
    """codex's approval policy: `untrusted` asks about every command but known harmless ones, and
    about every edit. What was allowed so and fails in the sandbox, codex runs again outside of it.
    Hence an agent that works alone in its sandbox is under `granular`: that asks about what codex
    itself takes for dangerous, and never leaves the sandbox. The conversation answers by rules."""
    ruled = set(permissions.disallowed_tools) - WEB
    if permissions.mode == "supervised":
        return "untrusted"
    if not ruled:
        return "never"
    return "granular" if permissions.sandbox in SANDBOXES else "untrusted"


def sandbox_of(permissions: Permissions) -> str:
    """codex's sandbox: what may not edit can only read."""
    if EDITS & set(permissions.disallowed_tools) and permissions.mode != "supervised":
        return "read-only"
    return SANDBOXES.get(permissions.sandbox, "danger-full-access")
