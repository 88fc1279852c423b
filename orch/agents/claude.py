"""claude, and the programs that speak its protocol under their own command (kimi, minimax)."""

from __future__ import annotations

from orch.agents import runs
from orch.agents.command import fill
from orch.agents.contract import PROMPT, SYSTEM, AgentSpec, Plan, Recorded, Work, variables
from orch.model import Verdict

PROGRAM = "claude"

OWN = (
    "ANTHROPIC_*", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY", "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
    "CLAUDE_CODE_SKIP_VERTEX_AUTH", "CLAUDE_CODE_SKIP_FOUNDRY_AUTH", "CLAUDE_CODE_MAX_RETRIES",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS", "API_TIMEOUT_MS",
    "MAX_THINKING_TOKENS", "CLOUD_ML_REGION", "VERTEX_REGION_*",
)  # fmt: skip
"""claude's own variables, so that a person's login keeps working. Not those by which one claude
tells another that it was started by it (`CLAUDECODE`, `CLAUDE_CODE_ENTRYPOINT`)."""

CLOUDS = {
    "CLAUDE_CODE_USE_BEDROCK": ("AWS_*",),
    "CLAUDE_CODE_USE_VERTEX": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_*", "GCLOUD_*"),
}
"""What a cloud's login needs, where `agents.claude.env` turns that cloud on."""

OTHERS = {"kimi": ("KIMI_*", "MOONSHOT_*"), "minimax": ("MINIMAX_*",)}
"""The variables of the agents that speak claude's protocol, whatever program they are run by (they
may be claude itself, sent to their vendor by `agents.{name}.env`); never Anthropic's."""

QUIET = {
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "IS_SANDBOX": "1",  # else claude refuses to skip its permissions as root
}
"""No telemetry and no self-update, by default: `agents.{name}.env` overrides each."""

ELSEWHERE = ("EnterWorktree", "ExitWorktree")
"""Tools with which the agent would leave the worktree that it was given."""
ASKING = ("AskUserQuestion", "EnterPlanMode", "ExitPlanMode")
"""Tools that wait for somebody, who is not there when it works alone."""


class Claude:
    """The protocol `claude`."""

    def plan(self, spec: AgentSpec, work: Work) -> Plan:
        """See `Agent.plan`."""
        command = fill(spec.command or (PROGRAM,), work)
        env = {**QUIET, **spec.env, **variables(work)}
        del env["ORCH_OUTPUT_FILE"]  # the answer is its last message
        return Plan(
            argv=(*command, *arguments(work)),
            env=env,
            protocol="structured",
            passes=passes(spec.name, command[0], env),
            dialect="claude",
            settings={"permissions": work.permissions.mode, "worktree": work.worktree},
            prompt=PROMPT,
        )

    def verdict(self, recorded: Recorded) -> Verdict:
        """See `Agent.verdict`."""
        return runs.judge("claude", recorded)


def arguments(work: Work) -> tuple[str, ...]:
    """claude's arguments for this work. With `--permission-prompt-tool stdio` it asks us, not a
    dialog; in print mode (`-p`) there is no other dialog either."""
    permissions = work.permissions
    supervised = permissions.mode == "supervised"
    refused = (*ELSEWHERE, *(() if supervised else ASKING), *permissions.disallowed_tools)
    argv = ["-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose"]
    argv += ["--replay-user-messages", "--permission-prompt-tool", "stdio"]
    argv += ["--permission-mode", "default" if supervised else "bypassPermissions"]
    argv += ["--append-system-prompt-file", f"{work.folder}/{SYSTEM}"]
    if work.metered:
        argv += ["--include-partial-messages"]  # else it tells its output at the turn's end only
    if work.model:
        argv += ["--model", work.model]
    if work.resume:
        argv += ["--resume", work.resume]
    if work.ephemeral:
        argv += ["--no-session-persistence"]
    if permissions.allowed_tools:
        argv += ["--allowedTools", ",".join(permissions.allowed_tools)]
    return (*argv, "--disallowedTools", ",".join(refused))


def passes(agent: str, program: str, env: dict[str, str]) -> tuple[str, ...]:
    """The variables that this agent, run by this program, may inherit: its own vendor's."""
    if agent in OTHERS:
        return OTHERS[agent]
    name = program.rpartition("/")[2]
    if name != PROGRAM:
        own = "".join(char if char.isalnum() else "_" for char in name).upper()
        return OTHERS.get(name, (f"{own}_*",) if own else ())
    clouds = [names for switch, names in CLOUDS.items() if env.get(switch)]
    return (*OWN, *(name for names in clouds for name in names))
