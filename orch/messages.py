"""The whole grammar that processes speak: requests, replies, events, and how they are framed."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

from orch import __version__
from orch.errors import BY_NAME, Malformed, OrchError
from orch.model import (
    Approval,
    Attempt,
    Cost,
    Effect,
    Event,
    Job,
    JobRun,
    Period,
    Question,
    Rest,
    Review,
    Served,
    Session,
    Settled,
    Skill,
    SkillRepo,
    Takeover,
    Task,
    Usage,
    Value,
)

MAX_BYTES = 1 << 20
"""The largest message, in bytes; larger bodies go by file."""


_concrete: dict[type, dict[str, Any]] = {}
"""What `concrete_cache` worked out; forgotten whenever a message class is added."""


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of everything on the wire: msgpack with the class name as its `type`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _concrete.clear()


R = TypeVar("R", bound=Message)


class Request(Message, Generic[R], frozen=True):
    """Imperative, answered by exactly one service within a deadline, safe to repeat."""

    owner: ClassVar[str] = ""


class Occurred(Message, frozen=True):
    """Past tense, unanswered, may be lost: a nudge to ask for the truth."""

    owner: ClassVar[str] = ""


class ToEngine(Request[R], frozen=True):
    """A request that the engine answers."""

    owner: ClassVar[str] = "engine"


class ToCapture(Request[R], frozen=True):
    """A request that capture answers."""

    owner: ClassVar[str] = "capture"


class ToScheduler(Request[R], frozen=True):
    """A request that the scheduler answers."""

    owner: ClassVar[str] = "scheduler"


class ToOrchd(Request[R], frozen=True):
    """A request that orchd answers on `ctl.sock`."""

    owner: ClassVar[str] = "orchd"


class ToAny(Request[R], frozen=True):
    """A request that every service answers; the caller names the service."""


class FromEngine(Occurred, frozen=True):
    """An event that the engine publishes."""

    owner: ClassVar[str] = "engine"


class FromCapture(Occurred, frozen=True):
    """An event that capture publishes."""

    owner: ClassVar[str] = "capture"


# ---- replies shared by many requests ---------------------------------------------------------


class Done(Message, frozen=True):
    """It is so now, whether this request or an earlier one made it so."""


class Failed(Message, frozen=True):
    """The request failed: error class, message for the reader, next step."""

    error: str
    message: str
    hint: str = ""


class Pong(Message, frozen=True):
    """A service is there: its name, version and pid."""

    name: str
    version: str
    pid: int


class Ping(ToAny[Pong], frozen=True):
    """Ask whether the service answers."""


# ---- tasks -----------------------------------------------------------------------------------


class TaskAdded(Message, frozen=True):
    """The task's key and status."""

    id: str
    status: str


class AddTask(ToEngine[TaskAdded], frozen=True):
    """Create a task. The same `key` twice returns the first task's id."""

    title: str
    project: str
    body: str = ""
    labels: tuple[str, ...] = ()
    agent: str = ""
    complexity: str = ""
    parent: str = ""
    after: tuple[str, ...] = ()
    source: str = "cli"
    author: str = ""
    key: str = ""


class PlannedTask(Value, frozen=True, kw_only=True):
    """A step of a plan; `after` are the places (from 0) of earlier steps that come before it."""

    title: str
    body: str = ""
    labels: tuple[str, ...] = ()
    agent: str = ""
    complexity: str = ""
    after: tuple[int, ...] = ()


class PlanAdded(Message, frozen=True):
    """The key of the task that the plan's steps are children of, and the steps' keys in order."""

    parent: str
    tasks: tuple[str, ...]


class AddPlan(ToEngine[PlanAdded], frozen=True):
    """Create the steps of a plan, all or none, as children of the task `parent`, or of a new task
    with this title and body, which runs when they are done. The same `key` twice makes them once.
    """

    project: str
    tasks: tuple[PlannedTask, ...]
    title: str = ""
    body: str = ""
    parent: str = ""
    author: str = ""
    asked: tuple[str, ...] = ()
    """The keys of the consultations that led to the plan: from now on they are about its goal."""
    key: str = ""


class AddConsultation(ToEngine[Done], frozen=True):
    """Count what a question to an agent used that somebody else than the engine has put. `usage`
    is as the agent's program told it; the engine prices it. The same `key` is counted once."""

    project: str
    kind: str
    agent: str
    model: str = ""
    task: str = ""
    usage: Usage = Usage()
    key: str = ""


class Tasks(Message, frozen=True):
    """A page of tasks; `total` counts what matches; `asks` says of tasks whose agent waits for an
    answer what it asks."""

    tasks: tuple[Task, ...]
    total: int
    asks: dict[str, str] = {}


class ListTasks(ToEngine[Tasks], frozen=True):
    """The youngest tasks that match, youngest last, at most `limit` (and 1000) of them. Empty
    `statuses`: all that are not done. For the page before one, `before` names its oldest task."""

    project: str = ""
    statuses: tuple[str, ...] = ()
    all: bool = False
    source: str = ""
    author: str = ""
    parent: str = ""
    limit: int = 200
    before: str = ""


class TaskDetail(Message, frozen=True):
    """A task, its attempts oldest first, and why it is not running or not going on ('' when it is,
    or is done). `approvals` are its latest questions, `reviews` its latest reviews, oldest first;
    `taken` who works in it; `merged` the commit that it became, `merged_onto` the one before."""

    task: Task
    attempts: tuple[Attempt, ...]
    waiting_for: str
    children: tuple[str, ...] = ()
    reviews: tuple[Review, ...] = ()
    merged: str = ""
    merged_onto: str = ""
    approvals: tuple[Approval, ...] = ()
    taken: Takeover | None = None


class GetTask(ToEngine[TaskDetail], frozen=True):
    """One task. `id` may be `int-5`, `5`, `#5` or `owner/repo#42`; short forms need `project`."""

    id: str
    project: str = ""


class TaskTotals(Message, frozen=True):
    """Counts per status, and usage over all attempts."""

    counts: dict[str, int]
    usage: Usage


class CountTasks(ToEngine[TaskTotals], frozen=True):
    """Totals of one project, or of all."""

    project: str = ""


class ActOnTask(ToEngine[Done], frozen=True):
    """Base of the acts on one task; `by` says who for the events log."""

    id: str
    project: str = ""
    by: str = ""
    key: str = ""


class TaskRouted(Message, frozen=True):
    """The choice for a task; `warnings` are what is odd about it."""

    id: str
    agent: str
    model: str = ""
    complexity: str = ""
    reason: str = ""
    warnings: tuple[str, ...] = ()
    status: str = "routed"


class RouteTask(ToEngine[TaskRouted], frozen=True):
    """Choose the agent now, by the router where it is asked; `agent` forces one."""

    id: str
    project: str = ""
    by: str = ""
    agent: str = ""
    key: str = ""


class RerouteTask(ToEngine[TaskRouted], frozen=True):
    """Move a task to another agent: to `agent`, or away from the one it has. A running attempt is
    stopped, and what it did stays."""

    id: str
    project: str = ""
    by: str = ""
    agent: str = ""
    key: str = ""


class RunTask(ActOnTask, frozen=True):
    """Dispatch ahead of the queue; an empty `id` means whatever is next."""


class RunNext(ToEngine[TaskAdded], frozen=True):
    """Dispatch what is first in the queue, of one project or of all; answers which it is."""

    project: str = ""
    by: str = ""
    key: str = ""


class RetryTask(ActOnTask, frozen=True):
    """Start over: clears every counter, chain and flag."""


class UnblockTask(ActOnTask, frozen=True):
    """Make a blocked or reviewed task new again; `all` as id: every blocked one."""


class ReviewTask(ActOnTask, frozen=True):
    """Have a task's work reviewed, now or once it is finished; approved work is merged."""


class BlockTask(ActOnTask, frozen=True):
    """Hold a task back, for the reason given."""

    reason: str = ""


class CloseTask(ActOnTask, frozen=True):
    """End a task by hand: it is done; a running attempt is stopped first."""


class KillTask(ActOnTask, frozen=True):
    """Stop the running attempt; the task waits, blocked, for a person."""


# ---- questions of agents, and people in their sessions -------------------------------------------


class ReportQuestions(ToEngine[Done], frozen=True):
    """What a session's agent asks now, and what was settled of late; safe to repeat."""

    session: str
    attempt: int
    asked: tuple[Question, ...] = ()
    settled: tuple[Settled, ...] = ()


class Answered(Message, frozen=True):
    """The question as it is answered now."""

    approval: Approval


class AnswerQuestion(ToEngine[Answered], frozen=True):
    """Answer what a task's agent asks. `question` is its number or the agent's own id; '' means the
    only one that waits. `reason` is told to the agent, or is the chosen option."""

    id: str
    allowed: bool
    question: str = ""
    reason: str = ""
    project: str = ""
    by: str = ""
    key: str = ""


class TakeSession(ActOnTask, frozen=True):
    """A person works in the task's session: until it is released, or the attempt ends, nothing is
    typed there but by that person."""


class ReleaseSession(ActOnTask, frozen=True):
    """Nobody works in the task's session any more: what was held is typed."""


# ---- events log, sessions, meta --------------------------------------------------------------


class Events(Message, frozen=True):
    """Rows after the asked `seq`, oldest first; `last` is the newest seq there is."""

    events: tuple[Event, ...]
    last: int


class EventsSince(ToEngine[Events], frozen=True):
    """Read the events log on from `seq` (exclusive) or from a time (seconds since the epoch)."""

    seq: int = 0
    since: float = 0.0
    task: str = ""
    names: tuple[str, ...] = ()
    limit: int = 500


class Sessions(Message, frozen=True):
    """Sessions, oldest first."""

    sessions: tuple[Session, ...]


class ListSessions(ToEngine[Sessions], frozen=True):
    """Open sessions; with `ended_since` (seconds since the epoch) also those that ended after.
    With `session` only those of that name: one for each attempt that had it."""

    task: str = ""
    ended_since: float | None = None
    session: str = ""


class Metas(Message, frozen=True):
    """A task's meta: key to value."""

    meta: dict[str, str]


class GetMeta(ToEngine[Metas], frozen=True):
    """A task's key/value pairs."""

    id: str
    project: str = ""


class SetMeta(ToEngine[Done], frozen=True):
    """Set pairs of a task; an empty value removes its key."""

    id: str
    values: dict[str, str]
    project: str = ""
    key: str = ""


class Overview(Message, frozen=True):
    """What the engine adds to `orch status`. `rests`: which agents rest or are out of use, each
    with the account that this is due to."""

    slots_used: int
    slots_max: int
    counts: dict[str, int]
    sessions: tuple[Session, ...]
    problems: tuple[str, ...]
    rests: tuple[Rest, ...] = ()
    agents: dict[str, dict[str, float]] = {}
    notices: tuple[Event, ...] = ()


class GetOverview(ToEngine[Overview], frozen=True):
    """Slots, queue, sessions, problems, and per agent how its attempts went."""


class Costs(Message, frozen=True):
    """What attempts and consultations cost from `since` to `until` (epoch seconds; 0: from the
    beginning), summed `by` those names, and in all. Of one task: each by itself, in the order of
    their times, and its limits (0: none)."""

    since: float
    until: float
    by: tuple[str, ...]
    rows: tuple[Cost, ...]
    total: Cost
    task: str = ""
    max_tokens: int = 0
    max_usd: float = 0.0


class GetCosts(ToEngine[Costs], frozen=True):
    """What was spent. `by`: any of agent,model,day,task; `since`: 24h, 7d, a date (in the engine's
    time zone); an `id` asks for one task instead, attempt by attempt."""

    id: str = ""
    project: str = ""
    by: str = ""
    since: str = ""


class Metrics(Message, frozen=True):
    """How attempts went, the shortest period first."""

    periods: tuple[Period, ...]


class GetMetrics(ToEngine[Metrics], frozen=True):
    """Outcomes, durations and errors of the last 24 hours and the last 7 days."""


class ClearCooldowns(ToEngine[Done], frozen=True):
    """Let an agent, with the account that it uses, or an account be used again at once; empty:
    all of them."""

    agent: str = ""
    key: str = ""


class ReportAgent(ToEngine[Done], frozen=True):
    """What a check of an agent found: with no `problem` it works and may be used again, with one
    it is out of use until a check passes. `account`: the one that it was checked with ('': that
    of the global configuration)."""

    agent: str
    problem: str = ""
    account: str = ""
    key: str = ""


class SkillsListed(Message, frozen=True):
    """The catalogue of skills (without their texts), and the repositories that it comes from."""

    skills: tuple[Skill, ...]
    repos: tuple[SkillRepo, ...]


class ListSkills(ToEngine[SkillsListed], frozen=True):
    """The skills that a project's tasks may be given; '' for the global ones."""

    project: str = ""


class SyncSkills(ToEngine[SkillsListed], frozen=True):
    """Bring the repositories of skills up to date; answered when that is done."""

    project: str = ""


class Garbage(Message, frozen=True):
    """What `orch gc` found: each `(kind, name, verdict)`; verdict `removed`, `removable` or why
    it stays. `left_out` more did not fit into the message."""

    items: tuple[tuple[str, str, str], ...]
    left_out: int = 0


class CollectGarbage(ToEngine[Garbage], frozen=True):
    """Find what nothing needs; removes it unless `dry_run`. Fails closed."""

    dry_run: bool = True
    key: str = ""


# ---- effects (the outbox) and inbox ----------------------------------------------------------


class Effects(Message, frozen=True):
    """Effects now on lease to the asker."""

    effects: tuple[Effect, ...]


class TakeEffects(ToEngine[Effects], frozen=True):
    """Lease what waits for `target`; unreported after `lease_seconds` it may be taken again. A
    target with one taker says which effects it is `holding`: any other that is on lease was its
    predecessor's, or in a reply that was lost, and is free at once."""

    target: str
    lease_seconds: float = 30.0
    limit: int = 20
    holding: tuple[int, ...] | None = None


class EffectDone(ToEngine[Done], frozen=True):
    """It is done, with this result; `fence` is the lease's."""

    id: int
    fence: int
    result: dict[str, Any] = {}


class EffectFailed(ToEngine[Done], frozen=True):
    """It failed; tried again at `retry_at` (seconds since the epoch), or never when None."""

    id: int
    fence: int
    message: str
    retry_at: float | None = None


# ---- jobs ------------------------------------------------------------------------------------


class Jobs(Message, frozen=True):
    """Jobs of all projects with their state."""

    jobs: tuple[Job, ...]


class ListJobs(ToEngine[Jobs], frozen=True):
    """All jobs as configured, with last run and problem."""

    project: str = ""


class JobDetail(Message, frozen=True):
    """A job and its newest runs, newest first."""

    job: Job
    runs: tuple[JobRun, ...]


class GetJob(ToEngine[JobDetail], frozen=True):
    """One job with its last runs. Without `project` its id must be that of one job alone."""

    id: str
    project: str = ""
    limit: int = 20


class JobFired(Message, frozen=True):
    """What the firing made: a task, or the run of a number; `outcome` is `skipped` where it made
    nothing, `queued` or `started`, or what a self-review came to; `reason` says why. `before`: it
    was an earlier request that fired it."""

    task: str
    reason: str = ""
    run: int = 0
    outcome: str = ""
    before: bool = False


class FireJob(ToEngine[JobFired], frozen=True):
    """Fire a job for its due time `at` (seconds since the epoch); unique on (project, id, at)."""

    id: str
    project: str
    at: float


class RunJob(ToEngine[JobFired], frozen=True):
    """Run a job now, whatever its schedule and also when it is disabled; its `overlap` holds."""

    id: str
    project: str = ""
    by: str = ""
    key: str = ""


class PassRun(Message, frozen=True):
    """One scheduler pass: `(job, due time, task, outcome)` of each that fired."""

    fired: tuple[tuple[str, float, str, str], ...]


class RunPass(ToScheduler[PassRun], frozen=True):
    """Run one scheduler pass now."""


# ---- capture ---------------------------------------------------------------------------------


class Output(Message, frozen=True):
    """Bytes of `terminal.log` from `offset`; `size` is the log's size, `ended` whether its session
    has ended, so that it grows no more."""

    session: str
    offset: int
    data: bytes
    size: int
    ended: bool
    attempt: int = 0


class ReadOutput(ToCapture[Output], frozen=True):
    """A range of a session's output; `limit` in bytes, at most 512 KiB. A task's attempts share
    the session's name: `attempt` (as in `Session`) tells which, 0 means the latest."""

    session: str
    offset: int
    limit: int = 262144
    attempt: int = 0


class Screen(Message, frozen=True):
    """A session's screen, line by line, with the cursor's row and column."""

    session: str
    lines: tuple[str, ...]
    row: int
    column: int
    ansi: bool = False


class GetScreen(ToCapture[Screen], frozen=True):
    """Render the session's screen; `ansi` keeps colours as escape sequences."""

    session: str
    ansi: bool = False


class Delivered(Message, frozen=True):
    """What became of an input: `submitted`, `queued` or `refused`, and why."""

    state: str
    reason: str = ""


class SendInput(ToCapture[Delivered], frozen=True):
    """Type text into a session, once per `key`; `submit` presses Enter after it. In a session that
    somebody has taken, another's text is held (`queued`) until it is released; `by` says whose."""

    session: str
    text: str
    submit: bool = True
    by: str = ""
    key: str = ""


class AddInput(ToEngine[Delivered], frozen=True):
    """Keep a text for a session that somebody has taken: typed, once per `key`, when it is free."""

    session: str
    text: str
    submit: bool = True
    by: str = ""
    key: str = ""


# ---- orchd (on ctl.sock) ---------------------------------------------------------------------


class Roster(Message, frozen=True):
    """orchd itself and its services."""

    pid: int
    version: str
    home: str
    uptime_seconds: float
    services: tuple[Served, ...]
    problems: tuple[str, ...] = ()


class GetRoster(ToOrchd[Roster], frozen=True):
    """What runs."""


class PingOrchd(ToOrchd[Pong], frozen=True):
    """Ask whether orchd answers."""


class StopService(ToOrchd[Done], frozen=True):
    """Stop a service and keep it stopped, over orchd's own restart too; cancels a start."""

    name: str


class StartService(ToOrchd[Done], frozen=True):
    """Start a service (again); answered when it is ready."""

    name: str


class RestartService(ToOrchd[Done], frozen=True):
    """Replace a service's process; answered when the new one is ready. Empty: all, in order."""

    name: str = ""


class ReloadConfig(ToOrchd[Done], frozen=True):
    """Read the config again and apply the difference."""


class Upgrade(ToOrchd[Done], frozen=True):
    """Replace orchd's own program by exec, keeping pid, children and sockets; then services.

    `python` is the interpreter to change to; empty: the one orchd runs on.
    """

    python: str = ""


class Shutdown(ToOrchd[Done], frozen=True):
    """Stop every service, then orchd. Sessions keep running."""


# ---- events ----------------------------------------------------------------------------------


class EventLogged(FromEngine, frozen=True):
    """The events log grew to `seq`."""

    seq: int


class EffectQueued(FromEngine, frozen=True):
    """Something waits in the outbox for `target`."""

    target: str


class JobsChanged(FromEngine, frozen=True):
    """The configured jobs changed."""


class SessionChanged(FromEngine, frozen=True):
    """A session started or ended."""

    session: str


class OutputSeen(FromCapture, frozen=True):
    """Bytes of a session from `offset`; a reader that sees a gap asks with `ReadOutput`."""

    session: str
    offset: int
    data: bytes
    attempt: int = 0


# ---- framing ---------------------------------------------------------------------------------


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """The one frame of a request, or of its reply: id (same on every try), the sender's version,
    the deadline in seconds of the machine's monotonic clock (0 in a reply), and the message."""

    id: bytes
    version: str
    deadline: float
    body: bytes


def _all(cls: type[Message]) -> list[type[Message]]:
    return [cls] + [deep for sub in cls.__subclasses__() for deep in _all(sub)]


def concrete(base: type[Message]) -> dict[str, type[Message]]:
    """The message classes below `base` that nothing else derives from, by name."""
    return {cls.__name__: cls for cls in _all(base) if not cls.__subclasses__()}


def reply_type(request: type[Request[Any]]) -> type[Message]:
    """The reply a request class promises in its class line."""
    for cls in request.__mro__:
        for base in getattr(cls, "__orig_bases__", ()):
            for arg in get_args(base):
                if isinstance(arg, type) and issubclass(arg, Message):
                    return arg
    raise TypeError(f"{request.__name__} names no reply")


_encoder = msgspec.msgpack.Encoder()
_kind = msgspec.msgpack.Decoder(msgspec.defstruct("Kind", [("type", str)]))
_decoders: dict[type[Message], msgspec.msgpack.Decoder[Any]] = {}


def encode(message: Message) -> bytes:
    """The wire form; raises `Malformed` when it is larger than `MAX_BYTES`."""
    data = _encoder.encode(message)
    if len(data) > MAX_BYTES:
        raise Malformed(
            f"{type(message).__name__} of {len(data)} bytes is over the limit of {MAX_BYTES}",
            "send a shorter text, or pass it by file",
        )
    return data


def decode(data: bytes, base: type[Message], *, peer: str = __version__) -> Message:
    """The message in `data`, one of the classes below `base`; raises `Malformed`."""
    if len(data) > MAX_BYTES:
        raise Malformed(f"a message of {len(data)} bytes is over the limit of {MAX_BYTES}")
    try:
        name = _kind.decode(data).type  # type: ignore[attr-defined]
        cls = concrete_cache(base)[name]
        decoder = _decoders.get(cls)
        if decoder is None:
            decoder = _decoders[cls] = msgspec.msgpack.Decoder(cls)
        message: Message = decoder.decode(data)
    except KeyError as error:
        raise _strange(f"unknown message {error.args[0]!r}", peer) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _strange(str(error), peer) from None
    return message


def concrete_cache(base: type[Message]) -> dict[str, type[Message]]:
    """`concrete(base)`, worked out once."""
    if base not in _concrete:
        _concrete[base] = concrete(base)
    return _concrete[base]


def failure(error: OrchError) -> Failed:
    """The reply that carries an error to the asker."""
    return Failed(type(error).__name__, error.message, error.hint)


def raised(failed: Failed) -> OrchError:
    """The error that a `Failed` reply carries, ready to raise."""
    return BY_NAME.get(failed.error, OrchError)(failed.message, failed.hint)


def _strange(problem: str, peer: str) -> Malformed:
    if peer == __version__:
        return Malformed(f"cannot read the message: {problem}")
    return Malformed(
        f"cannot read the message: {problem} (it comes from version {peer}, this is {__version__})",
        "run `orch service restart`",
    )
