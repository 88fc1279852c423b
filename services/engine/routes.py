"""`orch task route` and `reroute`: people choose, or have chosen, the agent of a task."""

from __future__ import annotations

import msgspec

from orch.config.schema import Config
from orch.errors import NotFound, Refused
from orch.messages import RerouteTask, RouteTask, TaskRouted
from orch.model import Attempt, Profile, Status, Task
from orch.service import Later, answers
from orch.store import attempts, tasks
from services.engine.router import Router, routed
from services.engine.tasks import TaskDesk

REROUTED = "rerouted"
"""The outcome of an attempt that was stopped so that another agent goes on."""


class RouteDesk(TaskDesk, Router):
    """Answers the requests about who works on a task."""

    @answers(RouteTask)
    def route_task(self, request: RouteTask) -> TaskRouted | Later:
        """Choose the agent now."""
        task = self.find(request.id, request.project)
        config = self._checked(request.agent, task)
        if task.status not in (Status.NEW, Status.ROUTED):
            raise Refused(f"{task.key} is {task.status}", f"`orch task retry {task.key}` first")
        wish = request.agent or task.wanted_agent
        return self._choose(task, config, wish=wish)

    @answers(RerouteTask)
    def reroute_task(self, request: RerouteTask) -> TaskRouted | Later:
        """Move a task to another agent, whether it waits, is stuck or runs."""
        task = self.find(request.id, request.project)
        config = self._checked(request.agent, task)
        if task.status in (Status.DONE, Status.IN_REVIEW):
            raise Refused(f"{task.key} is {task.status}", "only unfinished work can be moved")
        without = "" if request.agent else task.agent
        running = attempts.open_of(self.store, task.key)
        if running is not None:
            return self._take_over(task, config, running, request)
        if not self.field(config).without(without).available and not request.agent:
            raise Refused(f"no other agent than {task.agent} can be used", "see `orch agents`")
        if task.status is not Status.NEW:
            with self.write():
                self._restart(task, "rerouted", request.by)
        return self._choose(task, config, wish=request.agent, without=without)

    def _checked(self, agent: str, task: Task) -> Config:
        config = self.config_of(task.project)
        if agent and agent not in config.agents:
            known = ", ".join(sorted(config.agents))
            raise NotFound(f"there is no agent {agent!r}", f"known agents: {known}")
        return config

    def _choose(
        self, task: Task, config: Config, *, wish: str, without: str = ""
    ) -> TaskRouted | Later:
        """Route a waiting task anew: by the wish, by the router, or in turn."""
        with self.write():
            tasks.update(
                self.store, task.key, self.now(), status=Status.NEW, wanted_agent=wish, agent="",
                route_failures=0, profile=Profile(), not_before=0.0,
            )  # fmt: skip
        fresh = tasks.get(self.store, task.key)
        if self.needs_router(fresh, config, self.field(config)):
            later = Later()
            self.ask_router(fresh, without, later)
            return later
        chosen = self.routed(fresh, config, without)
        if not chosen.agent:
            raise Refused(chosen.reason)
        with self.write():
            reason = self.why_not_asked(fresh, config, chosen.reason)
            self.set_route(fresh, config, agent=chosen.agent, reason=reason)
        self.stir()
        return routed(tasks.get(self.store, task.key))

    def _take_over(
        self, task: Task, config: Config, running: Attempt, request: RerouteTask
    ) -> TaskRouted:
        """Stop a running attempt, and say who goes on: nobody is asked while an agent works."""
        if request.agent == running.agent:
            raise Refused(f"{task.key} is with {running.agent} already")
        fresh = self.routed(
            msgspec.structs.replace(task, wanted_agent=request.agent), config, running.agent
        )
        if not fresh.agent:
            raise Refused(fresh.reason)
        why = f"moved to {fresh.agent} by {request.by or 'a person'}"
        with self.write():
            model = self.model_for(fresh.agent, task.complexity, config) or ""
            tasks.update(
                self.store, task.key, self.now(), agent=fresh.agent, model=model,
                wanted_agent=request.agent, route_reason=why,
            )  # fmt: skip
            self.stop_attempt(running, REROUTED, why)
            self.event("task_routed", task.key, agent=fresh.agent, model=model, reason=why)
        return routed(tasks.get(self.store, task.key))
