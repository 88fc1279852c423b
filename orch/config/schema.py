"""The configuration as values: every key, its bounds and its default."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Secret:
    """Text that prints as `***` everywhere; `reveal()` is the only way to read it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)


TIERS = ("simple", "medium", "complex")
"""How hard a task is; what `timeout_by_complexity` and, with `review`, `model_map` are keyed by."""

Seconds = Annotated[int, Meta(ge=0, le=30 * 86400)]
Interval = Annotated[float, Meta(ge=0.1, le=86400)]
Count = Annotated[int, Meta(ge=0, le=1000)]
Tier = Annotated[str, Meta(extra={"choices": TIERS})]
AgentName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z",
        extra={"form": "a name of letters, digits, - and _ (64 at most)"},
    ),
]
AccountName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_.@+-]{0,100}\Z", extra={"form": "letters, digits, . _ @ + -"})
]
VariableName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z",
        extra={"form": "the name of an environment variable"},
    ),
]
Hidden = Annotated[str, Meta(extra={"secret": True})]
Words = Annotated[tuple[str, ...], Meta(extra={"split": "words"})]
SHELL = ("bash", "-c")
"""What runs a script that is given as text."""
Script = Annotated[tuple[str, ...], Meta(extra={"split": "shell"})]
Slug = Annotated[
    str,
    Meta(
        pattern=r"^(?:(?!\.\.?/)[^/\s#\x00-\x1f\x7f-]"
        r"[^/\s#\x00-\x1f\x7f]{0,99}/(?!\.\.?\Z)[^/\s#\x00-\x1f\x7f]{1,100})?\Z",
        extra={"form": "owner/repo"},
    ),
]
JobId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
        extra={"form": "letters, digits, dot, - and _ (64 at most)"},
    ),
]


SkillPath = Annotated[
    str,
    Meta(
        pattern=r"^(?!/)(?!.*(^|/)\.\.?(/|\Z))[^\x00-\x1f\x7f\\]{0,300}\Z",
        extra={"form": "a folder inside the repository, as skills/review"},
    ),
]
GitUrl = Annotated[
    str,
    Meta(
        pattern=r"^(https://|ssh://|git://|file:///|[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:|/|"
        r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+\Z)[^\s\x00-\x1f\x7f]{0,500}\Z",
        extra={"form": "owner/repo, or the address of a git repository"},
    ),
]
GitRef = Annotated[
    str,
    Meta(
        pattern=r"^(?!-)(?!.*\.\.)[A-Za-z0-9._/+@-]{0,200}\Z",
        extra={"form": "a branch, a tag or a commit"},
    ),
]
ModelPattern = Annotated[str, Meta(min_length=1, max_length=200)]
Usd = Annotated[float, Meta(ge=0, le=1_000_000)]
ShellCommand = Annotated[tuple[str, ...], Meta(extra={"split": "shell"})]
"""A list is an argv; text is one line for `/bin/sh -c`, in which nothing is replaced here."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the sections: immutable, compared by content, unknown keys are errors."""


class Permissions(Section, frozen=True, kw_only=True):
    """`workflow.permissions`: what agents may do, translated for each of them. `supervised` puts
    their questions to people; the lists hold rules as `Bash(rm *)` or `WebFetch`."""

    mode: Literal["autonomous", "supervised"] = "autonomous"
    sandbox: Literal["workspace-write", "full-access", "none"] = "workspace-write"
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ("Bash(rm *)",)


class Workflow(Section, frozen=True, kw_only=True):
    """`workflow`: how long and how often a task is tried, what it needs, and how its work is
    reviewed and merged. An internal task is reviewed when it asks for it (label `review`), or with
    `review_internal_tasks`, which is ours."""

    max_attempts: Annotated[int, Meta(ge=1, le=1000)] = 10
    timeout_seconds: Seconds = 1800
    timeout_by_complexity: dict[Tier, Seconds] = {}
    required_tools: tuple[str, ...] = ()
    auto_merge: bool = True
    merge_method: Literal["squash", "merge", "rebase"] = "squash"
    enable_review_agent: bool = True
    review_agent: str = ""
    review_internal_tasks: bool = False
    max_review_cycles: Annotated[int, Meta(ge=0, le=100)] = 2
    auto_create_followup_on_changes: bool = True
    auto_close_task_on_approval: bool = False
    required_skills: tuple[str, ...] = ()
    permissions: Permissions = Permissions()


class Router(Section, frozen=True, kw_only=True):
    """`router`: who gets a task that names no agent. Empty `agents`: all known. With `mode: llm`
    the agent `agent` is asked; `model` is claude's, another router uses its own default with it.
    `allowed_tools` are programs that a task's profile may name, `default_skills` are given to
    every task where they are in the catalogue."""

    mode: Literal["llm", "round_robin", "weighted", "label_only"] = "llm"
    agent: AgentName = "claude"
    model: str = "haiku"
    timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    agents: tuple[AgentName, ...] = ()
    disabled_agents: tuple[AgentName, ...] = ()
    fallback_executor: str = ""
    max_route_attempts: Annotated[int, Meta(ge=1, le=100)] = 3
    allowed_tools: Words = (
        *("yq", "jq", "bash", "just", "git", "rg", "sed", "awk", "python3", "node", "npm", "bun"),
    )
    default_skills: tuple[str, ...] = ("gh", "git-worktree")


class ModelMap(Section, frozen=True, kw_only=True):
    """`model_map`: the model of each agent by how hard a task is, and for reviews. `free`: models
    that cost nothing, as opencode names them or as `agent:model`, tried when all others failed; one
    with a `*` (`opencode:*`) stands for those that it says cost nothing."""

    simple: dict[AgentName, str] = {}
    medium: dict[AgentName, str] = {}
    complex: dict[AgentName, str] = {}
    review: dict[AgentName, str] = {}
    free: tuple[str, ...] = ()

    def of(self, tier: str, agent: str) -> str:
        """The model of an agent for a tier (`simple`, `medium`, `complex`, `review`); '' when
        none is mapped."""
        known: dict[str, str] = getattr(self, tier) if tier in (*TIERS, "review") else {}
        return known.get(agent, "")


class AgentLimits(Section, frozen=True, kw_only=True):
    """`agents.{name}.limits`; 0 means none."""

    max_parallel: Count = 0
    timeout_seconds: Seconds = 0


class AgentConfig(Section, frozen=True, kw_only=True):
    """`agents.{name}`: how one agent is run. `command` is an argv with `{prompt_file}`,
    `{system_file}`, `{model}`, `{worktree}`, `{task}` replaced. `mode` (codex, opencode): its
    server, its one-shot mode, or `auto`: that where the server does not come up. `reads` (command):
    the CLI whose output it prints, so that its answer, its failures and its tokens are known.
    `strengths` is what the router is told of it. `account` names the login that it uses: when that
    meets a limit, all agents that name it rest; '' is one of its own, called like the agent."""

    command: Words = ()
    protocol: Literal["claude", "codex", "command", "opencode", "shell", "terminal"] = "command"
    env: dict[VariableName, Hidden] = {}
    models: tuple[str, ...] = ()
    strengths: str = ""
    limits: AgentLimits = AgentLimits()
    mode: Literal["auto", "server", "oneshot"] = "auto"
    reads: Literal["", "gemini", "qwen"] = ""
    account: AccountName = ""

    @property
    def read_as(self) -> str:
        """Whose output a run of it is judged as: a protocol's or a CLI's."""
        return self.reads or self.protocol

    def __repr__(self) -> str:
        env = dict.fromkeys(self.env, Secret(""))
        return (
            f"AgentConfig(command={self.command!r}, protocol={self.protocol!r}, env={env!r}, "
            f"models={self.models!r}, strengths={self.strengths!r}, limits={self.limits!r}, "
            f"mode={self.mode!r}, reads={self.reads!r}, account={self.account!r})"
        )


class PriceConfig(Section, frozen=True, kw_only=True):
    """`prices.{model pattern}`: USD per million tokens; `input` is what came from no cache."""

    input: Usd
    output: Usd
    cache_read: Usd
    cache_write: Usd


class BudgetConfig(Section, frozen=True, kw_only=True):
    """`budget`: what may be spent, enforced while agents run; 0 means no limit. Tokens are those
    in, out and written to a cache, over all attempts of a task since it was last started over; a
    day is one of the machine's time zone. At `warn_at` of a limit people are told."""

    max_tokens_per_task: Annotated[int, Meta(ge=0, le=10**12)] = 0
    max_usd_per_task: Usd = 0
    max_usd_per_day: Usd = 0
    warn_at: Annotated[float, Meta(ge=0.01, le=1)] = 0.8


class Notifications(Section, frozen=True, kw_only=True):
    """`notifications`: of what people are told."""

    level: Literal["all", "errors_only", "none"] = "all"


class Hooks(Section, frozen=True, kw_only=True):
    """`hooks`: commands run on events, each with the event as JSON on its stdin and `ORCH_*` in its
    environment; and `prepare_worktree`, run in the worktree before each attempt's agent starts."""

    on_task_created: ShellCommand = ()
    on_task_routed: ShellCommand = ()
    on_task_started: ShellCommand = ()
    on_task_completed: ShellCommand = ()
    on_task_blocked: ShellCommand = ()
    on_task_failed: ShellCommand = ()
    on_worktree_created: ShellCommand = ()
    on_session_started: ShellCommand = ()
    on_session_ended: ShellCommand = ()
    on_job_fired: ShellCommand = ()
    on_service_started: ShellCommand = ()
    on_service_stopped: ShellCommand = ()
    on_approval_asked: ShellCommand = ()
    on_notice_given: ShellCommand = ()
    timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    prepare_worktree: ShellCommand = ()
    prepare_timeout_seconds: Annotated[int, Meta(ge=1, le=86400)] = 600


class Git(Section, frozen=True, kw_only=True):
    """`git`: the commit identity; an empty name means `{agent}[bot]`."""

    name: str = ""
    email: str = ""


class Engine(Section, frozen=True, kw_only=True):
    """`engine`: slots and safety-net intervals (seconds). `max_parallel_per_project` 0: none."""

    max_parallel: Annotated[int, Meta(ge=1, le=1000)] = 4
    max_parallel_per_project: Count = 0
    tick_interval: Interval = 10
    sync_interval: Interval = 120


class Keep(Section, frozen=True, kw_only=True):
    """`keep`: how long, and how much of, what finished tasks left is kept: events and the folders
    of attempts. Nothing of an open task ever goes. 0 for the last two: any amount."""

    days: Annotated[int, Meta(ge=1, le=36_500)] = 90
    artifacts_gib: Annotated[float, Meta(ge=0, le=1_000_000)] = 20.0
    events: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1_000_000


class GitHub(Section, frozen=True, kw_only=True):
    """`gh`: what the project is called, `owner/repo`."""

    repo: Slug = ""


class SkillConfig(Section, frozen=True, kw_only=True):
    """One of `skills`: a git repository with skills (folders with a SKILL.md) below `path`. A
    `ref` that is a commit pins it."""

    repo: GitUrl
    ref: GitRef = ""
    path: SkillPath = ""


class JobTask(Section, frozen=True, kw_only=True):
    """`jobs[].task`: the task that a firing makes. Of a job of another type: its title, and the
    agent and labels of what a self-review files."""

    title: Annotated[str, Meta(min_length=1, max_length=10_000)]
    body: str = ""
    labels: tuple[str, ...] = ()
    agent: str = ""


class JobConfig(Section, frozen=True, kw_only=True):
    """One of `jobs`. `project` is for a job in `config.yml`: whose it is. `command` (text for bash,
    or an argv), `dir` (from the project's folder) and `timeout_seconds` are those of a bash job.
    `problem` says why the job cannot run ('' when it can); never in the file."""

    id: JobId
    schedule: Annotated[str, Meta(min_length=1, max_length=200)]
    timezone: str = ""
    project: Slug = ""
    type: Literal["task", "bash", "self-review"] = "task"
    task: JobTask = JobTask(title="")
    command: Script = ()
    dir: Annotated[str, Meta(min_length=1, max_length=1000)] = "."
    timeout_seconds: Annotated[int, Meta(ge=1, le=86400)] = 600
    external: Literal[False] = False
    enabled: bool = True
    overlap: Literal["skip", "queue", "allow"] = "skip"
    catch_up: Literal["once", "none"] = "once"
    problem: str = ""


class Config(Section, frozen=True, kw_only=True):
    """The whole configuration: `config.yml`, or a project's `.orch.yml` laid over it."""

    projects: tuple[str, ...] = ()
    workflow: Workflow = Workflow()
    router: Router = Router()
    agents: dict[AgentName, AgentConfig] = {}
    model_map: ModelMap = ModelMap()
    git: Git = Git()
    engine: Engine = Engine()
    keep: Keep = Keep()
    gh: GitHub = GitHub()
    skills: tuple[SkillConfig, ...] = ()
    prices: dict[ModelPattern, PriceConfig] = {}
    budget: BudgetConfig = BudgetConfig()
    notifications: Notifications = Notifications()
    hooks: Hooks = Hooks()
    jobs: tuple[JobConfig, ...] = ()

    def account_of(self, agent: str) -> str:
        """The account that an agent uses: the one it names, else its own, called like it."""
        spec = self.agents.get(agent)
        return (spec.account if spec else "") or agent


BUILT_IN: dict[str, Any] = {
    "agents": {
        "claude": {"protocol": "claude", "command": ["claude"]},
        "codex": {"protocol": "codex", "command": ["codex"]},
        "kimi": {"protocol": "claude", "command": ["kimi"]},
        "minimax": {"protocol": "claude", "command": ["minimax"]},
        "opencode": {"protocol": "opencode", "command": ["opencode"]},
        "shell": {"protocol": "shell"},
    },
    "model_map": {
        "simple": {"claude": "haiku"},
        "medium": {"claude": "sonnet"},
        "complex": {"claude": "opus"},
        "review": {"claude": "sonnet"},
    },
}
"""What every configuration starts from."""

INTERNAL = frozenset({"jobs[].problem"})
"""Attributes that orch fills in itself; in a file they are unknown keys."""

GLOBAL_ONLY = ("projects", "engine", "keep", "budget.max_usd_per_day")
"""Sections and keys that mean something in `config.yml` alone."""

PROJECT_ONLY = ("gh.repo",)
"""Keys that mean something in a project's `.orch.yml` alone."""

LATER = frozenset(
    {
        "workflow.auto_close",
        "workflow.review_owner",
        "workflow.allowed_authors",
        "engine.fallback_sync_interval",
        "gh.api_url",
        "gh.transport",
        "gh.app",
        "gh.project_id",
        "gh.project_status_field_id",
        "gh.project_status_map",
        "gh.backoff",
        "webhook",
        "web",
        "channels",
        "hooks.on_branch_pushed",
        "hooks.on_pr_created",
    }
)
"""Keys of a later version; this one refuses them by name rather than ignore them."""

LATER_VALUES: dict[str, frozenset[object]] = {
    "jobs[].external": frozenset({True}),
}
"""Values of a later version, by key."""
