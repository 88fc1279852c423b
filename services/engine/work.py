"""What is done aside for one attempt: worktree, launch, collecting, delivering. Slow, repeatable,
and blind to the database: values come in, values go out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from orch import agents
from orch.config.schema import AgentConfig, Config
from orch.core import prompt, review
from orch.errors import Refused, Unknown
from orch.hosts import Host
from orch.hosts.attempt import order as launch_order
from orch.hosts.attempt import recorded
from orch.model import Attempt, ErrorClass, Skill, Task, Verdict
from orch.paths import Home
from orch.session.launch import Launch, Result, prepare
from orch.tools import git
from orch.tools.merging import Identity
from services.engine import earlier, telling


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is asked once more: after which failure, with which text, and in which
    conversation of its own ('' for an agent that keeps none)."""

    why: ErrorClass
    problem: str = ""
    session: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt with all that the work on it needs. `before` are the attempts of the conversation
    that failed and whose work it takes up; `cycle` counts the reviews of its task."""

    home: Home
    host: Host
    task: Task
    attempt: Attempt
    repo: Path
    config: Config
    known: prompt.Known
    earlier_base: str = ""
    skills: tuple[Skill, ...] = ()
    asked: Asked | None = None
    before: tuple[Attempt, ...] = ()
    cycle: int = 1
    budget: dict[str, Any] = {}
    """What the agent may spend (`orch.agents.budget.written`)."""

    @property
    def others(self) -> tuple[prompt.Earlier, ...]:
        """The tasks whose work belongs into this one's branch."""
        return tuple(one for one in (*self.known.earlier, *self.known.children) if one.work)

    @property
    def run(self) -> str:
        """The marker that every process of this attempt carries as `ORCH_RUN`."""
        return run_marker(self.home, self.attempt)

    @property
    def folder(self) -> Path:
        """The attempt's folder."""
        return Path(self.attempt.folder)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A worktree is ready: the commit that its branch started from; `fresh`: it was made now."""

    base: str
    fresh: bool = False


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """What the attempt left on its branch."""

    committed: bool
    files: tuple[str, ...]
    removed: bool


def run_marker(home: Home, attempt: Attempt) -> str:
    """The `ORCH_RUN` of an attempt: unique over homes, tasks and attempts."""
    return f"{home.root}:{attempt.task}:{attempt.n}"


def make_worktree(order: Order) -> Prepared:
    """Make (or find) the attempt's worktree on the task's branch, from the fresh default branch and
    what the tasks before it left."""
    start = git.start(order.repo)
    attempt = order.attempt
    commit = git.fetch(order.repo, start.branch) if start.remote else start.commit
    fresh = not Path(attempt.worktree).is_dir()
    git.add_worktree(order.repo, Path(attempt.worktree), attempt.branch, commit)
    if order.others:
        who = identity(order.config, attempt.agent)
        commit = earlier.join(Path(attempt.worktree), order.others, who)
    return Prepared(base=attempt.base or order.earlier_base or commit, fresh=fresh)


def launch(order: Order) -> None:
    """Write the attempt's folder and start its session; does nothing when it runs or ran. Raises
    `Refused` when the agent cannot be given this task."""
    if order.host.finished(order.folder) is not None:
        return
    order.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    spec = order.config.agents.get(order.attempt.agent)
    if spec is None:
        raise Refused(f"there is no agent {order.attempt.agent} any more", "retry the task")
    told = telling.told(order)
    files = {
        "prompt-sys.md": told.system,
        "prompt-msg.md": told.message,
    }
    plan = agents.plan(order.attempt.agent, agent_spec(spec), _work(order))
    for name, text in {**files, **plan.files}.items():
        path = order.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    prepare(_launch(order, spec, plan))
    order.host.start(order.attempt.session, order.folder, Path(order.attempt.worktree))


def timeout_of(config: Config, agent: AgentConfig | None, complexity: str) -> float:
    """Seconds one attempt may take (0: no limit): the agent's, else the complexity's, else all."""
    if agent is not None and agent.limits.timeout_seconds:
        return float(agent.limits.timeout_seconds)
    workflow = config.workflow
    return float(workflow.timeout_by_complexity.get(complexity, workflow.timeout_seconds))


def collect(order: Order) -> tuple[Verdict, Result | None]:
    """Read what the run came to. Without a result the session was lost: that is the verdict."""
    result = order.host.finished(order.folder)
    ended = result or Result(ended_by="lost", message="the session ended unheard")
    spec = order.config.agents.get(order.attempt.agent)
    protocol = spec.read_as if spec is not None else "command"
    judge = review.judged if order.attempt.kind == "review" else review.worked
    return judge(agents.verdict(protocol, recorded(order.host, order.folder, ended))), result


def deliver(order: Order) -> tuple[Verdict, Delivered]:
    """Keep what the attempt left; nothing stays of a finished one that changed nothing."""
    verdict, _ = collect(order)
    delivered = keep(order, verdict.answer.summary if verdict.answer else "")
    done = verdict.ok and (verdict.answer is None or verdict.answer.status == "done")
    done = done or order.attempt.outcome == "closed"
    if done and not delivered.files and not delivered.removed and tidy(order):
        delivered = msgspec.structs.replace(delivered, removed=True)
    return verdict, delivered


def keep(order: Order, summary: str) -> Delivered:
    """End what the attempt left running, then keep what it left in its worktree: committed on its
    branch. A worktree in which nothing was changed is removed with its branch."""
    order.host.sweep(order.run)
    worktree, base, branch = Path(order.attempt.worktree), order.attempt.base, order.attempt.branch
    if not worktree.is_dir():
        stands = git.commit_of(order.repo, f"refs/heads/{branch}")
        files = git.files_changed(order.repo, base, branch) if stands and base else ()
        return Delivered(committed=False, files=files, removed=not stands)
    who = identity(order.config, order.attempt.agent)
    text = prompt.commit_message(order.task, summary)
    committed = git.commit_all(worktree, text, who.name, who.email)
    files = git.files_changed(worktree, base) if base else ()
    return Delivered(committed=committed, files=files, removed=False)


def tidy(order: Order) -> bool:
    """Remove the worktree and branch of a task that changed nothing; True when removed."""
    worktree = Path(order.attempt.worktree)
    if git.commit_of(order.repo, f"refs/heads/{order.attempt.branch}") != order.attempt.base:
        return False
    git.remove_worktree(order.repo, worktree)
    git.delete_branch(order.repo, order.attempt.branch, order.attempt.base)
    return True


def identity(config: Config, agent: str) -> Identity:
    """Who commits: as configured, else the agent; its own commits are made under it too."""
    name, email = config.git.name, config.git.email
    return Identity(name or f"{agent}[bot]", email or f"{agent}@orch.invalid")


def missing_tools(wanted: tuple[str, ...]) -> list[str]:
    """Which of the programs are not on PATH."""
    return [name for name in wanted if shutil.which(name) is None]


def write_sidecar(folder: Path, text: bytes) -> None:
    """Replace `sidecar.json`, atomically; a full disk is no reason to stop."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = folder / ".sidecar.json.new"
    fresh.write_bytes(text)
    fresh.replace(folder / "sidecar.json")


def agent_spec(spec: AgentConfig) -> agents.AgentSpec:
    """An agent of the config as its adapter wants it."""
    return agents.AgentSpec(
        protocol=spec.protocol, command=spec.command, env=spec.env, models=spec.models,
        mode=spec.mode, reads=spec.reads,
    )  # fmt: skip


def _work(order: Order) -> agents.Work:
    folder, allowed = order.folder, order.config.workflow.permissions
    return agents.Work(
        task=order.task.key,
        attempt=order.attempt.n,
        title=order.task.title,
        body=order.task.body,
        folder=str(folder),
        worktree=order.attempt.worktree,
        model=order.attempt.model,
        run=order.run,
        resume=order.asked.session if order.asked is not None else "",
        metered=bool(order.budget),
        permissions=agents.Permissions(
            mode=allowed.mode,
            sandbox=allowed.sandbox,
            allowed_tools=allowed.allowed_tools,
            disallowed_tools=allowed.disallowed_tools,
        ),
    )


def _launch(order: Order, spec: AgentConfig, plan: agents.Plan) -> Launch:
    attempt, home = order.attempt, order.home
    return launch_order(
        plan,
        order.folder,
        session=attempt.session,
        task=attempt.task,
        attempt=attempt.n,
        run=order.run,
        cwd=attempt.worktree,
        env=agents.environment(
            dict(os.environ), {**identity(order.config, attempt.agent).env, **plan.env}, plan.passes
        ),
        socket=str(home.session_socket(attempt.session)),
        fence=attempt.fence,
        agent=attempt.agent,
        model=attempt.model,
        nudges=(str(home.socket("capture", "nudge")),),
        endings=(str(home.socket("engine", "nudge")),),
        timeout_seconds=timeout_of(order.config, spec, order.task.complexity),
        budget=order.budget if plan.dialect else {},
    )


def confirmed_gone(host: Host, session: str) -> bool:
    """Whether the session is certainly not there; False too when tmux cannot be asked."""
    try:
        return session not in host.alive()
    except Unknown:
        return False
