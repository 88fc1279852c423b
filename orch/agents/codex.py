"""codex: its app server, started so that it talks to the model and to nobody else."""

from __future__ import annotations

from orch.agents import codex_run
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
from orch.agents.stream import LINGERED
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
        permissions = work.permissions
        argv = [*fill(spec.command or (PROGRAM,), work), "app-server", *QUIET]
        if WEB & set(permissions.disallowed_tools):
            argv += ["-c", "web_search=disabled"]
        env = {**spec.env, **variables(work)}
        del env["ORCH_OUTPUT_FILE"]  # the answer is its last message
        return Plan(
            argv=tuple(argv),
            env=env,
            protocol="structured",
            passes=OWN,
            dialect="codex",
            settings={
                "permissions": permissions.mode,
                "approvals": approvals(permissions),
                "sandbox": SANDBOXES.get(permissions.sandbox, "danger-full-access"),
                "allowed": "\n".join(permissions.allowed_tools),
                "disallowed": "\n".join(permissions.disallowed_tools),
                "worktree": work.worktree,
                "model": work.model,
                "resume": work.resume,
                "system_file": f"{work.folder}/{SYSTEM}",
            },
            prompt=PROMPT,
        )

    def verdict(self, recorded: Recorded) -> Verdict:
        """See `Agent.verdict`."""
        ended = recorded.result
        lingered = ended.message == LINGERED  # so its end is of our making
        return codex_run.verdict(
            b"\n".join(recorded.events),
            recorded.stderr.encode("utf-8", "replace"),
            0 if lingered else ended.exit_code,
            None if lingered else ended.signal,
            now=ended.ended_at,
            zone=recorded.zone,
            ended_by=ended.ended_by,
            message=ended.message,
        )


def approvals(permissions: Permissions) -> str:
    """codex's approval policy: `untrusted` asks about every command but known harmless ones, and
    about every edit. An agent that works alone is asked for only where there are rules to be kept;
    the conversation then answers by itself. What was allowed still runs in the sandbox."""
    ruled = set(permissions.disallowed_tools) - WEB
    return "untrusted" if permissions.mode == "supervised" or ruled else "never"
