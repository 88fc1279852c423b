"""What is next in the queue, for whoever wants to run it now."""

from __future__ import annotations

from orch.errors import NotFound
from orch.messages import RunNext, TaskAdded
from orch.model import Status
from orch.service import answers
from orch.store import tasks
from services.engine.notices import Notices
from services.engine.tasks import FIRST


class QueueDesk(Notices):
    """Runs the next task, by name."""

    @answers(RunNext)
    def run_next(self, request: RunNext) -> TaskAdded:
        """Put the first task that nothing of its own holds back before all others."""
        if request.project:
            self.project_of(request.project)
        projects = (request.project,) if request.project else tuple(self.loaded.projects)
        found = [
            one
            for status in (Status.NEW, Status.ROUTED)
            for one in tasks.ready(self.store, status, self.now(), projects, tasks.FRONT, 1)
        ]
        if not found:
            raise NotFound("no task waits that could run", "`orch task list` shows what there is")
        task = min(found)[1]
        with self.write():
            tasks.update(self.store, task.key, self.now(), priority=FIRST)
            self.event("task_changed", task.key, status=task.status.value, reason="run next",
                       by=request.by)  # fmt: skip
        self.stir()
        return TaskAdded(task.key, task.status.value)
