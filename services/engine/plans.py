"""A plan becomes tasks: all of them in one transaction, or none."""

from __future__ import annotations

from orch.core import plan
from orch.errors import Refused
from orch.messages import AddPlan, AddTask, PlanAdded, PlannedTask
from orch.model import Status
from orch.service import answers
from orch.store import consultations, tasks
from services.engine.tasks import TaskDesk

SOURCE = "plan"
"""Where the tasks of a plan come from, as their `source`."""


class PlanDesk(TaskDesk):
    """Creates the steps of plans as children of the task that holds their goal."""

    @answers(AddPlan)
    def add_plan(self, request: AddPlan) -> PlanAdded:
        """Create the goal, unless it is there already, and its steps in their order."""
        plan.check(request.tasks)
        with self.write():
            parent = self._goal(request)
            consultations.adopt(self.store, request.asked, parent)
            keys: list[str] = []
            for step in request.tasks:
                keys.append(self._planned(request, parent, step, keys))
        for key in (parent, *keys):
            self.sidecar(key)
        self.stir()
        return PlanAdded(parent, tuple(keys))

    def _goal(self, request: AddPlan) -> str:
        if request.parent:
            parent = self.find(request.parent, request.project)
            if parent.status is Status.DONE:
                raise Refused(f"{parent.key} is done: it waits for nothing any more")
            return parent.key
        goal = AddTask(
            request.title, request.project, request.body, source=SOURCE, author=request.author
        )
        return self.keep_task(self.new_task(goal))

    def _planned(self, request: AddPlan, parent: str, step: PlannedTask, before: list[str]) -> str:
        task = AddTask(
            title=step.title, project=tasks.get(self.store, parent).project, body=step.body,
            labels=step.labels, agent=step.agent, complexity=step.complexity, parent=parent,
            after=tuple(before[place] for place in step.after), source=SOURCE,
            author=request.author,
        )  # fmt: skip
        return self.keep_task(self.new_task(task))
