"""Routing and dispatch: which agent a task goes to, and which tasks start now."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from orch.config.schema import Config
from orch.core import names
from orch.core.dispatch import Holds, Limits, Load, full, waiting_for
from orch.core.failover import is_pattern
from orch.core.routing import Field, Routed, choose, wanted
from orch.errors import Unknown
from orch.model import Attempt, Status, Task
from orch.service import every
from orch.store import attempts, jobs, tasks
from orch.store.cooldowns import next_end
from services.engine.budgets import Budgets
from services.engine.skills import Skills
from services.engine.usable import Usable
from services.engine.work import missing_tools

PAGE = 200
"""Tasks looked at, and new ones routed, in one go."""


class Dispatch(Usable, Budgets, Skills):
    """Routes what is new, claims what fits into the slots."""

    due_at: float | None = None

    def advance(self, attempt: Attempt) -> None:
        """Take an attempt's next step; see `Attempts`."""

    def ask_router(self, task: Task) -> None:
        """Ask the router about a new task; see `Router`."""

    def needs_router(self, _task: Task, _config: Config, _field: Field) -> bool:
        """Whether the router is to be asked about a new task; see `Router`."""
        return False

    def asked_now(self) -> dict[str, tuple[str, str]]:
        """The tasks about which a router is being asked: project and the router's agent."""
        return {}

    def await_free(self, task: Task) -> None:
        """Have asked for the models that a task's pattern stands for; see `FreeModels`."""

    def dispatch(self) -> None:
        """Route and start what can be: one transaction, then the claimed attempts begin."""
        if self.not_taking():
            return
        try:
            with self.write():
                begun = list(self._begin_ready(self._route_ready()))
        except Unknown:
            return
        now = self.now()
        due = (tasks.next_due(self.store, now), next_end(self.store, now))
        self.due_at = min((at for at in due if at is not None), default=None)
        for one in begun:
            if isinstance(one, Attempt):
                self.advance(one)
            else:
                self.ask_router(one)

    @every(seconds=0.5)
    def look_at_the_clock(self) -> None:
        """Dispatch when a parked task's time has come, or an agent has rested."""
        if self.due_at is not None and self.now() >= self.due_at:
            self.due_at = None
            self.stir()

    def not_taking(self) -> str:
        """Why no new work is taken at all; '' when it is."""
        if not self.swept:
            return "the engine to end what an earlier one left running"
        if self.config_problem and not self.loaded.projects:
            return f"the configuration to be mended: {self.config_problem}"
        return f"the database: {self.problem}" if self.problem else ""

    # ---- routing -----------------------------------------------------------------------------

    def routed(self, task: Task, config: Config, without: str = "") -> Routed:
        """The agent for a task, by its wish, then the router's mode; not the agent `without`. Where
        an agent routes, this is what holds without it: round robin."""
        field = self.field(config).without(without)
        wish = task.wanted_agent
        named = [n for n in config.agents if n not in field.unavailable]
        asked = Field(
            available=field.available + tuple(n for n in named if n not in field.available),
            unavailable=field.unavailable,
            weights=field.weights,
        )
        turn = jobs.counter(self.store, "round_robin")
        mode = "round_robin" if config.router.mode == "llm" else config.router.mode
        chosen = choose(
            forced=wish, labels=task.labels, mode="label_only", field=asked, fallback="", turn=turn
        )
        if chosen.agent and chosen.reason.startswith(("asked for", "label")):
            return chosen
        return choose(
            forced=wish if wish not in named else "",
            labels=task.labels,
            mode=mode,
            field=field,
            fallback=config.router.fallback_executor,
            turn=turn,
            chance=random.random(),
        )

    def _route(self, task: Task) -> bool:
        config = self.config_of(task.project)
        chosen = self.kept(task, config, self.field(config)) or self.routed(task, config)
        if not chosen.agent:
            if task.route_reason != chosen.reason:
                tasks.update(self.store, task.key, self.now(), route_reason=chosen.reason)
                self.event("route_refused", task.key, reason=chosen.reason)
            return False
        jobs.set_counter(self.store, "round_robin", chosen.turn)
        reason = self.why_not_asked(task, config, chosen.reason)
        self.set_route(task, config, agent=chosen.agent, reason=reason)
        return True

    def set_route(
        self, task: Task, config: Config, *, agent: str, reason: str, **more: Any
    ) -> None:
        """Record a choice, inside a transaction; `more` are columns that go with it."""
        complexity = more.get("complexity", task.complexity)
        model = self.model_for(agent, complexity, config) or ""
        warnings = more.setdefault("route_warnings", ())
        tasks.update(
            self.store, task.key, self.now(), status=Status.ROUTED, agent=agent, model=model,
            route_reason=reason, route_attempts=task.route_attempts + 1, route_failures=0, **more,
        )  # fmt: skip
        told = {"warnings": list(warnings)} if warnings else {}
        self.event("task_routed", task.key, agent=agent, model=model, complexity=complexity,
                   reason=reason, **told)  # fmt: skip

    def kept(self, task: Task, config: Config, field: Field) -> Routed | None:
        """The agent that a task has already, where a router chose it: it goes on with that one
        (after its subtasks, say) unless somebody asked for another."""
        if config.router.mode != "llm" or wanted(task.labels, task.wanted_agent):
            return None
        if task.agent not in field.available:
            return None
        turn = jobs.counter(self.store, "round_robin")
        return Routed(agent=task.agent, reason=task.route_reason, turn=turn)

    def why_not_asked(self, _task: Task, _config: Config, reason: str) -> str:
        """The reason of a choice, with why the router was not asked before it; see `Router`."""
        return reason

    # ---- claiming ----------------------------------------------------------------------------

    def limits(self) -> Limits:
        """The slots, as configured now."""
        engine = self.loaded.config.engine
        agents = {
            name: spec.limits.max_parallel
            for name, spec in self.loaded.config.agents.items()
            if spec.limits.max_parallel
        }
        most = engine.max_parallel_per_project
        projects = dict.fromkeys(self.loaded.projects, most) if most else {}
        return Limits(total=engine.max_parallel, per_project=projects, per_agent=agents)

    def load(self) -> Load:
        """What runs now."""
        load = Load()
        for project, agent in (*attempts.load(self.store), *self.asked_now().values()):
            load = load.plus(project, agent)
        return load

    def why_waiting(self, task: Task) -> str:
        """Why a task is not running, for people."""
        project = self.loaded.projects.get(task.project)
        problem = "is not registered" if project is None else project.problem
        if task.key in self.asked_now():
            return f"the router ({self.asked_now()[task.key][1]}) to choose its agent"
        if task.status in WAITING and self.skills_come(self.config_of(task.project)):
            return "the skills of its project to be read"
        holds = Holds(
            after=tuple(tasks.unfinished_before(self.store, task.key)),
            children=tuple(tasks.children(self.store, task.key, unfinished=True)),
            project_problem=problem,
            engine_problem=self.not_taking(),
            money="" if self.costs_nothing(task) else self.day_hold(),
        )
        return waiting_for(task, holds, self.load(), self.limits(), self.now())

    def _ready_tasks(
        self,
        status: Status,
        passed: set[str] | None = None,
        agents: tuple[str, ...] | None = None,
    ) -> Iterator[tuple[tasks.Place, Task]]:
        """Ready tasks in their order with their places, of these agents alone where they are named;
        those of projects put into `passed` on the way are left out from the next page on."""
        place = tasks.FRONT
        while True:
            healthy = tuple(
                slug
                for slug, project in self.loaded.projects.items()
                if not project.problem and slug not in (passed or ())
            )
            page = tasks.ready(self.store, status, self.now(), healthy, place, PAGE, agents)
            yield from page
            if len(page) < PAGE:
                return
            place = page[-1][0]

    def _route_ready(self) -> list[tuple[tasks.Place, Task]]:
        """Route a page of new tasks, and soon the next; returns those about which the router is to
        be asked. A project none of whose agents can be used holds back nobody else's tasks."""
        routed = 0
        stuck: set[str] = set()
        asking: list[tuple[tasks.Place, Task]] = []
        asked, of_project = self.asked_now(), Counter[str]()
        fields: dict[str, Field] = {}
        for place, task in self._ready_tasks(Status.NEW, stuck):
            if task.key in asked:
                continue
            config = self.config_of(task.project)
            if task.project not in fields:
                fields[task.project] = self.field(config)
            if self.needs_router(task, config, fields[task.project]):
                if not self.skills_come(config):
                    asking.append((place, task))
                of_project[task.project] += 1
                if of_project[task.project] >= PAGE:
                    stuck.add(task.project)
            elif self._route(task):
                routed += 1
            else:
                stuck.add(task.project)
            if routed == PAGE:
                self.stir()
                break
        return asking

    def _begin_ready(self, asking: list[tuple[tasks.Place, Task]]) -> Iterator[Attempt | Task]:
        """What starts now, in the order of the queue: attempts of routed tasks, and questions to
        the router about new ones, which take a slot too."""
        load, limits = self.load(), self.limits()
        if load.total >= limits.total:
            return
        agents = self.payable()
        routed = self._ready_tasks(Status.ROUTED, agents=agents)
        ready = heapq.merge(asking if agents is None else (), routed, key=lambda one: one[0])
        for _, task in ready:
            asks = task.status is Status.NEW
            agent = self.config_of(task.project).router.agent if asks else task.agent
            if full(task.project, agent, load, limits):
                continue
            if agents is not None and not self.costs_nothing(task):
                continue
            if not asks and is_pattern(task.model):
                self.await_free(task)
                continue
            if not asks:
                agent = self._still_usable(task)
                if not agent or full(task.project, agent, load, limits) or self._lacks(task):
                    continue
            if self.lacks_budget(task):
                continue
            yield task if asks else self._claim(tasks.get(self.store, task.key), agent)
            load = load.plus(task.project, agent)
            if load.total >= limits.total:
                return

    def _still_usable(self, task: Task) -> str:
        config = self.config_of(task.project)
        usable = task.agent in config.agents and task.agent not in self.field(config).unavailable
        if usable and task.model in self.resting_models(task.agent, config):
            model = self.model_for(task.agent, task.complexity, config) or ""
            tasks.update(self.store, task.key, self.now(), model=model)
        if usable or (task.agent, task.model) in self.free_models(config, late=True):
            return task.agent
        chosen = self.routed(task, config)
        if chosen.agent:
            tasks.update(
                self.store, task.key, self.now(), agent=chosen.agent, route_reason=chosen.reason,
                model=self.model_for(chosen.agent, task.complexity, config) or "",
            )  # fmt: skip
            self.event("task_routed", task.key, agent=chosen.agent, reason=chosen.reason)
        else:
            tasks.update(self.store, task.key, self.now(), status=Status.NEW)
        return chosen.agent

    def _lacks(self, task: Task) -> bool:
        """Whether tools or skills are missing that are required: no attempt is spent then."""
        config = self.config_of(task.project)
        skills = self.missing_skills(config)
        if skills and self.skills_come(config):
            return True
        lacking = missing_tools(config.workflow.required_tools)
        lacking += [f"the skill {name}" for name in skills]
        if lacking:
            reason = f"required and not installed: {', '.join(lacking)}"
            tasks.update(self.store, task.key, self.now(), status=Status.BLOCKED,
                         blocked_reason=reason)  # fmt: skip
            self.event("task_changed", task.key, status="blocked", reason=reason)
        return bool(lacking)

    def next_fence(self) -> int:
        """A number larger than that of every attempt before."""
        fence = jobs.counter(self.store, "fence") + 1
        jobs.set_counter(self.store, "fence", fence)
        return fence

    def _claim(self, task: Task, agent: str) -> Attempt:
        now = self.now()
        attempt = attempts.insert(self.store, task.key, self.next_fence(), agent, task.model, now)
        home = self.home
        branch = task.branch or names.branch(task.key, task.title)
        place = f"{names.project_folder(task.project)}/{names.task_name(task.key, task.title)}"
        worktree = task.worktree or str(home.worktrees / place)
        folder = home.task_folder(names.task_folder(task.key)) / "attempts" / str(attempt.n)
        attempts.update(
            self.store, attempt.id, session=names.session(task.key, attempt.n),
            folder=str(folder), worktree=worktree, branch=branch,
        )  # fmt: skip
        tasks.update(
            self.store, task.key, now, status=Status.IN_PROGRESS, branch=branch,
            worktree=worktree, blocked_reason="",
        )  # fmt: skip
        self.event("attempt_started", task.key, attempt=attempt.n, agent=agent)
        return attempts.get(self.store, attempt.id)


WAITING = (Status.NEW, Status.ROUTED)
