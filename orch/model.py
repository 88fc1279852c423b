"""The nouns of orch as values: tasks, attempts, sessions, events, effects, jobs, usage."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Status(StrEnum):
    """Where a task stands; the allowed moves are `core.status.MOVES`."""

    NEW = "new"
    ROUTED = "routed"
    IN_PROGRESS = "in_progress"
    IN_REVIEW = "in_review"
    DONE = "done"
    BLOCKED = "blocked"
    NEEDS_REVIEW = "needs_review"


class Phase(StrEnum):
    """Where an attempt stands; each phase is recorded before it begins and safe to repeat."""

    PREPARE = "prepare"
    RUNNING = "running"
    COLLECT = "collect"
    DELIVER = "deliver"
    ENDED = "ended"


class ErrorClass(StrEnum):
    """Why an attempt failed; what follows from each is `core.retry.CONSEQUENCES`."""

    TIMEOUT = "timeout"
    MISSING_TOOL = "missing_tool"
    LAUNCH_FAILED = "launch_failed"
    AUTH = "auth"
    BILLING = "billing"
    USAGE_LIMIT = "usage_limit"
    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    MODEL_UNAVAILABLE = "model_unavailable"
    CONTEXT_OVERFLOW = "context_overflow"
    OUTPUT_LIMIT = "output_limit"
    TURN_LIMIT = "turn_limit"
    REFUSAL = "refusal"
    PERMISSION_DENIED = "permission_denied"
    WAITING_FOR_INPUT = "waiting_for_input"
    NETWORK = "network"
    INVALID_RESPONSE = "invalid_response"
    AGENT_CRASHED = "agent_crashed"
    AGENT_FAILED = "agent_failed"
    BUDGET = "budget"
    CANCELLED = "cancelled"
    LOST = "lost"
    INFRASTRUCTURE = "infrastructure"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Base of the values: immutable, compared by content."""


class Usage(Value, frozen=True, kw_only=True):
    """Tokens and money of one run. `usd` is None where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usd: float | None = None


class Answer(Value, frozen=True, kw_only=True):
    """What an agent says of its work (`spec: engine, one attempt, 5`)."""

    status: str
    summary: str = ""
    accomplished: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    files_changed: tuple[str, ...] = ()
    blockers: tuple[str, ...] = ()
    reason: str = ""
    learnings: tuple[str, ...] = ()
    delegations: tuple[dict[str, Any], ...] = ()
    review: dict[str, Any] = {}
    """A reviewer's decision as it was given (`core.review.read`); {} without one."""


class Verdict(Value, frozen=True, kw_only=True):
    """What one run came to. `error` is None exactly when the run is `ok`."""

    ok: bool
    error: ErrorClass | None = None
    message: str = ""
    retry_at: float | None = None
    whole_account: bool = False
    """The vendor says that the limit which it met is the account's, whatever the model."""
    answer: Answer | None = None
    usage: Usage = Usage()
    native_session: str = ""
    text: str = ""
    """The agent's last words, whether an answer can be read in them or not."""


class Rest(Value, frozen=True, kw_only=True):
    """What rests until a time (epoch seconds), or, `broken`, until a check passes: an account, for
    every agent that uses it, or (`account` '') an agent by itself; one model of it, or all ('')."""

    account: str = ""
    agent: str = ""
    model: str = ""
    until: float = 0.0
    reason: str = ""
    broken: bool = False


class Project(Value, frozen=True, kw_only=True):
    """A registered project: its slug `owner/repo` and its folder."""

    slug: str
    path: str


class Attempt(Value, frozen=True, kw_only=True):
    """One try of a task. Times are seconds since the epoch (UTC). `kind` is work or review (of the
    commit `head`); `continues` is the attempt whose conversation (`native_session`) it goes on
    with."""

    id: int
    task: str
    n: int
    phase: Phase
    fence: int
    agent: str
    model: str = ""
    session: str = ""
    folder: str = ""
    worktree: str = ""
    branch: str = ""
    base: str = ""
    outcome: str = ""
    exit_code: int | None = None
    error_class: ErrorClass | None = None
    error: str = ""
    started_at: float = 0.0
    launched_at: float | None = None
    ended_at: float | None = None
    counted: bool = True
    kind: str = "work"
    continues: int | None = None
    native_session: str = ""
    head: str = ""
    usage: Usage = Usage()
    used_model: str = ""
    """The model that answered, as the agent named it; `model` is the one asked for."""


class Review(Value, frozen=True, kw_only=True):
    """What a reviewer (an agent, or a person) said of the commit `head` of a task's branch.

    `decision` is approve, request_changes or reject; each of `issues` has file, line, severity and
    description. `attempt` is the id of the reviewing attempt, None for a person.
    """

    task: str
    head: str
    reviewer: str
    decision: str
    notes: str = ""
    test_results: str = ""
    issues: tuple[dict[str, Any], ...] = ()
    attempt: int | None = None
    at: float = 0.0


class Profile(Value, frozen=True, kw_only=True):
    """Who should work on a task, as the router wrote it: a role in a sentence, names of skills and
    of programs, and limits that the task itself sets."""

    role: str = ""
    skills: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


class Skill(Value, frozen=True, kw_only=True):
    """A skill of the catalogue: `text` is its SKILL.md without the front matter, `folder` where it
    lies, `repo` and `commit` where it comes from ('' for the home's own)."""

    name: str
    description: str = ""
    text: str = ""
    folder: str = ""
    repo: str = ""
    commit: str = ""


class SkillRepo(Value, frozen=True, kw_only=True):
    """A configured repository of skills: what is held of it, and what is wrong with it."""

    repo: str
    ref: str = ""
    path: str = ""
    commit: str = ""
    skills: int = 0
    problem: str = ""


class Task(Value, frozen=True, kw_only=True):
    """A task as stored. `key` is `int-5` or `owner/repo#42`; times are seconds since the epoch."""

    key: str
    project: str
    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    author: str = ""
    source: str = "cli"
    status: Status = Status.NEW
    agent: str = ""
    wanted_agent: str = ""
    model: str = ""
    complexity: str = ""
    route_reason: str = ""
    route_warnings: tuple[str, ...] = ()
    route_failures: int = 0
    profile: Profile = Profile()
    parent: str = ""
    after: tuple[str, ...] = ()
    attempts: int = 0
    route_attempts: int = 0
    branch: str = ""
    worktree: str = ""
    pull_request: str = ""
    summary: str = ""
    blocked_reason: str = ""
    last_error: str = ""
    not_before: float = 0.0
    created_at: float = 0.0
    updated_at: float = 0.0


class Consultation(Value, frozen=True, kw_only=True):
    """A question to an agent apart from any attempt, and what it used: who is to work on `task`
    (kind `route`), or for a plan (`plan`; `task` holds its goal, '' while there is none). `at` is
    when it was answered (epoch seconds), `key` what tells it from others."""

    key: str
    kind: str
    project: str
    agent: str
    model: str = ""
    task: str = ""
    usage: Usage = Usage()
    at: float = 0.0


class Cost(Value, frozen=True, kw_only=True):
    """What attempts and consultations cost in sum. `usd` is the sum of what is known, None where
    nothing is; `unpriced` counts those that used tokens at a price nobody knows. `agent`, `model`,
    `day` and `task` say of which, '' where that was not asked for; `kind` (work, review, route,
    plan) only of a single one."""

    kind: str = ""
    agent: str = ""
    model: str = ""
    day: str = ""
    task: str = ""
    attempts: int = 0
    consultations: int = 0
    unpriced: int = 0
    usage: Usage = Usage()


class AgentRecord(Value, frozen=True, kw_only=True):
    """How an agent's attempts went. `judged` are those that count for or against it: neither
    stopped by a person nor lost by orch nor met by a vendor's limit. Percentiles (nearest rank) of
    the seconds from start to end are over the judged ones; None without any. `usd` is that of its
    `consultations` too."""

    agent: str
    attempts: int = 0
    consultations: int = 0
    done: int = 0
    judged: int = 0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    usd: float | None = None


class Period(Value, frozen=True, kw_only=True):
    """How all attempts went that ended since then (epoch seconds): counts by outcome and by error
    class, and each agent's record."""

    since: float
    attempts: int = 0
    outcomes: dict[str, int] = {}
    errors: dict[str, int] = {}
    agents: tuple[AgentRecord, ...] = ()


class Event(Value, frozen=True, kw_only=True):
    """A row of the events log: `seq` only grows, `name` is a noun with a past participle."""

    seq: int
    at: float
    name: str
    task: str = ""
    data: dict[str, Any] = {}


class Session(Value, frozen=True, kw_only=True):
    """A session as the engine knows it. `folder` holds `terminal.log`; it ended if `ended`. `asks`
    is what its agent waits to be told, `taken_by` who works in it ('' for nothing, nobody)."""

    session: str
    task: str
    attempt: int
    agent: str
    folder: str
    started_at: float
    ended: bool = False
    size: int = 0
    asks: str = ""
    taken_by: str = ""


class ApprovalState(StrEnum):
    """Where a question of an agent stands."""

    ASKED = "asked"
    ALLOWED = "allowed"
    DENIED = "denied"
    EXPIRED = "expired"


class Question(Value, frozen=True, kw_only=True):
    """What an agent asks and waits for: whether it may use `tool` for `text`, or, with `options`,
    which of them to take. `question` is the agent's own id of it."""

    question: str
    tool: str = ""
    text: str = ""
    options: tuple[str, ...] = ()


class Settled(Value, frozen=True, kw_only=True):
    """How a session saw a question end: `allowed` is None when the agent took it back; `key` is
    that of the answer (`core.approval.key`), '' for one that was typed in the session."""

    question: str
    allowed: bool | None = None
    by: str = ""
    reason: str = ""
    key: str = ""


class Approval(Value, frozen=True, kw_only=True):
    """A question of an agent with its answer, as recorded. `id` is its number, `n` the attempt's.

    `delivered`: the agent has the answer; `problem`: why it will not get it. Times are seconds
    since the epoch.
    """

    id: int
    task: str
    n: int
    session: str
    agent: str
    question: str
    tool: str
    text: str
    options: tuple[str, ...] = ()
    asked_at: float = 0.0
    state: ApprovalState = ApprovalState.ASKED
    by: str = ""
    reason: str = ""
    answered_at: float | None = None
    delivered: bool = False
    problem: str = ""


class Takeover(Value, frozen=True, kw_only=True):
    """A person works in a session; until it is released nothing is typed there by itself."""

    session: str
    by: str
    at: float


class Effect(Value, frozen=True, kw_only=True):
    """Something that must leave the engine exactly once, on lease to the process that does it."""

    id: int
    target: str
    kind: str
    key: str
    payload: dict[str, Any]
    fence: int = 0
    tries: int = 0
    state: str = "waiting"
    result: dict[str, Any] | None = None
    error: str = ""


class Job(Value, frozen=True, kw_only=True):
    """A scheduled job as configured (`spec: jobs`); `project` is empty for a global one.

    `seen_at`: when the engine first saw it with this schedule; nothing before is owed. `last_due`:
    the newest time that the clock fired; `last_run`: that of the newest run of all. `active`: what
    of it goes on, a task or a run.
    """

    id: str
    project: str
    schedule: str
    timezone: str = ""
    type: str = "task"
    title: str = ""
    body: str = ""
    labels: tuple[str, ...] = ()
    agent: str = ""
    enabled: bool = True
    catch_up: str = "once"
    overlap: str = "skip"
    problem: str = ""
    command: str = ""
    dir: str = "."
    timeout_seconds: int = 0
    seen_at: float | None = None
    last_due: float | None = None
    last_run: float | None = None
    last_task: str = ""
    last_result: str = ""
    active: str = ""
    runs: int = 0


class JobRun(Value, frozen=True, kw_only=True):
    """One firing of a job: for its time `due`, or by a person (`manual`). Unique on project, job
    and due; `run` numbers the runs of a home.

    `state` is queued, starting, running or ended; `outcome` is done, failed, timeout, cancelled,
    lost, skipped or no_issues, and of a run that made a `task` the status that this came to.
    `folder` holds the output of a command (`terminal.log`); times are seconds since the epoch.
    """

    project: str
    job: str
    due: float
    run: int = 0
    type: str = "task"
    manual: bool = False
    state: str = "ended"
    task: str = ""
    outcome: str = ""
    reason: str = ""
    summary: str = ""
    session: str = ""
    folder: str = ""
    exit_code: int | None = None
    fired_at: float = 0.0
    ended_at: float | None = None


class Served(Value, frozen=True, kw_only=True):
    """A supervised process as orchd sees it; `state` is one word of `core.supervision.State`."""

    name: str
    state: str
    pid: int = 0
    uptime_seconds: float = 0.0
    restarts: int = 0
    pss_bytes: int = 0
    last_error: str = ""
