"""Which waiting task starts now, and why the others wait."""

from __future__ import annotations

import msgspec

from orch.model import Status, Task


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts may run at once; 0 means no limit of that kind."""

    total: int
    per_project: dict[str, int] = {}
    per_agent: dict[str, int] = {}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts run now: in all, by project, by agent."""

    total: int = 0
    by_project: dict[str, int] = {}
    by_agent: dict[str, int] = {}

    def plus(self, project: str, agent: str) -> Load:
        """The load with one more attempt."""
        return Load(
            total=self.total + 1,
            by_project={**self.by_project, project: self.by_project.get(project, 0) + 1},
            by_agent={**self.by_agent, agent: self.by_agent.get(agent, 0) + 1},
        )


def full(project: str, agent: str, load: Load, limits: Limits) -> str:
    """Why no attempt of this project and agent may start now; '' when one may."""
    if load.total >= limits.total:
        return f"a free slot ({load.total} of {limits.total} in use)"
    most = limits.per_project.get(project, 0)
    if most and load.by_project.get(project, 0) >= most:
        return f"a free slot of project {project} ({most} in use)"
    most = limits.per_agent.get(agent, 0)
    if agent and most and load.by_agent.get(agent, 0) >= most:
        return f"a free slot of agent {agent} ({most} in use)"
    return ""


def plan(tasks: list[Task], load: Load, limits: Limits) -> list[Task]:
    """The tasks to start now, of routed ones in their order (priority, then age)."""
    starting: list[Task] = []
    for task in tasks:
        if load.total >= limits.total:
            break
        if not full(task.project, task.agent, load, limits):
            starting.append(task)
            load = load.plus(task.project, task.agent)
    return starting


class Holds(msgspec.Struct, frozen=True, kw_only=True):
    """What the store and config say that may hold a task back."""

    after: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    project_problem: str = ""
    engine_problem: str = ""
    money: str = ""


def waiting_for(task: Task, holds: Holds, load: Load, limits: Limits, now: float) -> str:
    """Why a task is not running, in words for people; '' when it runs or is done."""
    if task.status in (Status.DONE, Status.IN_PROGRESS):
        return ""
    if task.status is Status.BLOCKED and task.blocked_reason.startswith("waits for "):
        return task.blocked_reason.removeprefix("waits for ")
    if task.status in (Status.BLOCKED, Status.NEEDS_REVIEW):
        return f"a person: {task.blocked_reason or task.last_error or 'no reason was given'}"
    if task.status is Status.IN_REVIEW:
        return "its review"
    if holds.engine_problem:
        return holds.engine_problem
    if holds.project_problem:
        return f"its project: {holds.project_problem}"
    if holds.after:
        return f"{', '.join(holds.after)} to be done"
    if holds.children:
        return f"its children {', '.join(holds.children)} to be done"
    if task.not_before > now:
        reason = f" after: {task.last_error}" if task.last_error else ""
        return f"the next try in {max(1, round(task.not_before - now))} s{reason}"
    reason = holds.money or full(task.project, task.agent, load, limits)
    if reason:
        return reason
    return task.route_reason if task.status is Status.NEW and task.route_reason else "its turn"
