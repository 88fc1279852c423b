"""What people ask about tasks and do to them."""

from __future__ import annotations

import msgspec

from orch.core import routing
from orch.core.status import OPEN
from orch.errors import Malformed, NotFound, Refused
from orch.messages import (
    ActOnTask,
    AddTask,
    BlockTask,
    CloseTask,
    CountTasks,
    Done,
    GetTask,
    KillTask,
    ListTasks,
    RetryTask,
    RunTask,
    TaskAdded,
    TaskDetail,
    Tasks,
    TaskTotals,
    UnblockTask,
)
from orch.model import Profile, Status, Task
from orch.service import answers
from orch.store import approvals, attempts, consultations, reviews, takeovers, tasks
from services.engine.attempts import Attempts

TITLE_CHARACTERS = 20_000
PAGE_BYTES = 900_000
FIRST = 1_000_000
"""The priority of a task that somebody wants to run now."""


class TaskDesk(Attempts):
    """Answers the requests about tasks."""

    @answers(AddTask)
    def add_task(self, request: AddTask) -> TaskAdded:
        """Create an internal task."""
        task = self.new_task(request)
        with self.write():
            key = self.keep_task(task)
        self.sidecar(key)
        self.stir()
        return TaskAdded(key, task.status.value)

    def keep_task(self, task: Task) -> str:
        """Store a new task, inside the caller's transaction; returns its key."""
        key = tasks.insert_internal(self.store, task, routing.priority(task.labels))
        for after in task.after:
            tasks.add_dependency(self.store, key, after)
        self.event("task_added", key, title=task.title[:300], project=task.project,
                   source=task.source)  # fmt: skip
        return key

    def new_task(self, request: AddTask) -> Task:
        """The task that a request describes, checked. Raises `Malformed`, `NotFound`."""
        if not request.title.strip():
            raise Malformed("a task needs a title")
        if len(request.title) > TITLE_CHARACTERS:
            raise Malformed(
                f"the title has {len(request.title)} characters, {TITLE_CHARACTERS} at most",
                "put the text into the body",
            )
        if "\0" in request.title + request.body:
            raise Malformed("a task cannot hold zero bytes")
        project = self.project_of(request.project)
        if request.agent and request.agent not in project.config.agents:
            known = ", ".join(sorted(project.config.agents))
            raise NotFound(f"there is no agent {request.agent!r}", f"known agents: {known}")
        if request.complexity not in ("", "simple", "medium", "complex"):
            raise Malformed(f"complexity {request.complexity!r} is none of simple, medium, complex")
        parent = self.find(request.parent, project.slug).key if request.parent else ""
        after = tuple(self.find(one, project.slug).key for one in request.after)
        return Task(
            key="", project=project.slug, title=request.title, body=request.body,
            labels=request.labels, author=request.author, source=request.source,
            wanted_agent=request.agent, parent=parent, after=tuple(dict.fromkeys(after)),
            complexity=routing.complexity(request.labels, request.complexity),
            created_at=self.now(),
        )  # fmt: skip

    # ---- looking -----------------------------------------------------------------------------

    @answers(ListTasks)
    def list_tasks(self, request: ListTasks) -> Tasks:
        """A page of tasks, without their bodies: the newest that fit into one message."""
        statuses = tuple(Status(name).value for name in _known(request.statuses))
        if not statuses and not request.all:
            statuses = tuple(status.value for status in OPEN)
        found, total = tasks.page(
            self.store, project=request.project, statuses=statuses, source=request.source,
            author=request.author, parent=request.parent,
            limit=max(1, min(request.limit, 1000)), before=request.before,
        )  # fmt: skip
        asks = self.asks()
        asked = {task.key: asks[task.key] for task in found if task.key in asks}
        return Tasks(_fitting(found), total, asked)

    @answers(GetTask)
    def get_task(self, request: GetTask) -> TaskDetail:
        """One task with its attempts and why it waits."""
        task = self.find(request.id, request.project)
        merge = reviews.merge_of(self.store, task.key)
        running = attempts.open_of(self.store, task.key)
        return TaskDetail(
            task=task,
            attempts=tuple(attempts.of_task(self.store, task.key)),
            waiting_for=self.why_waiting(task),
            children=tuple(tasks.children(self.store, task.key)),
            reviews=tuple(reviews.of_task(self.store, task.key, limit=3)),
            merged=merge.made if merge is not None and merge.done else "",
            merged_onto=merge.onto if merge is not None and merge.done else "",
            approvals=tuple(approvals.of_task(self.store, task.key, limit=20)),
            taken=takeovers.of_attempt(self.store, running.id) if running else None,
        )

    @answers(CountTasks)
    def count_tasks(self, request: CountTasks) -> TaskTotals:
        """Counts and usage."""
        return TaskTotals(
            tasks.counts(self.store, request.project),
            attempts.usage(self.store, request.project),
        )

    # ---- acting ------------------------------------------------------------------------------

    @answers(RunTask)
    def run_task(self, request: RunTask) -> Done:
        """Put a task first; with no id, look for work now."""
        if not request.id:
            self.stir()
            return Done()
        task = self._idle(request)
        if task.status not in (Status.NEW, Status.ROUTED):
            raise Refused(f"{task.key} is {task.status}", f"`orch task retry {task.key}` first")
        with self.write():
            tasks.update(self.store, task.key, self.now(), priority=FIRST, not_before=0.0)
            self.event("task_changed", task.key, status=task.status.value, reason="run next",
                       by=request.by)  # fmt: skip
        self.stir()
        return Done()

    @answers(RetryTask)
    def retry_task(self, request: RetryTask) -> Done:
        """Start over with every counter, chain and flag cleared."""
        task = self._idle(request)
        with self.write():
            self._restart(task, "retried", request.by, fresh=True)
        self.stir()
        return Done()

    @answers(UnblockTask)
    def unblock_task(self, request: UnblockTask) -> Done:
        """Let blocked tasks go on; what was counted stays counted."""
        waiting = (Status.BLOCKED, Status.NEEDS_REVIEW)
        if request.id == "all":
            page = self._all_blocked(request.project)
        else:
            page = [self.find(request.id, request.project)]
            if page[0].status not in waiting:
                raise Refused(f"{page[0].key} is {page[0].status}, not blocked")
        with self.write():
            for task in page:
                self._restart(task, "unblocked", request.by)
        self.stir()
        return Done()

    def _all_blocked(self, project: str) -> list[Task]:
        blocked = (Status.BLOCKED.value,)
        page, total = tasks.page(self.store, project=project, statuses=blocked, limit=1000)
        while len(page) < total:
            older, _ = tasks.page(
                self.store, project=project, statuses=blocked, limit=1000, before=page[0].key
            )
            if not older:
                break
            page = older + page
        return page

    @answers(BlockTask)
    def block_task(self, request: BlockTask) -> Done:
        """Hold a task back."""
        task = self._idle(request)
        reason = request.reason or f"blocked by {request.by or 'a person'}"
        with self.write():
            tasks.update(self.store, task.key, self.now(), status=Status.BLOCKED,
                         blocked_reason=reason, delegated=0)  # fmt: skip
            self.event("task_changed", task.key, status="blocked", reason=reason, by=request.by)
            self.tell_parent(task.parent)
        self.sidecar(task.key)
        return Done()

    @answers(CloseTask)
    def close_task(self, request: CloseTask) -> Done:
        """End a task by hand."""
        task = self.find(request.id, request.project)
        if task.status is Status.DONE:
            return Done()
        by = f"closed by {request.by or 'a person'}"
        running = attempts.open_of(self.store, task.key)
        with self.write():
            if running is not None:
                self.stop_attempt(running, "closed", by)
            else:
                tasks.update(self.store, task.key, self.now(), status=Status.DONE,
                             blocked_reason="")  # fmt: skip
                self.event("task_changed", task.key, status="done", reason=by, by=request.by)
                self.tell_parent(task.parent)
        self.sidecar(task.key)
        self.stir()
        return Done()

    @answers(KillTask)
    def kill_task(self, request: KillTask) -> Done:
        """Stop the running attempt."""
        task = self.find(request.id, request.project)
        running = attempts.open_of(self.store, task.key)
        if running is None:
            raise Refused(f"{task.key} is not running (it is {task.status})")
        with self.write():
            self.stop_attempt(running, "cancelled", f"stopped by {request.by or 'a person'}")
            self.event("attempt_stopped", task.key, attempt=running.n, by=request.by)
        return Done()

    def _idle(self, request: ActOnTask) -> Task:
        task = self.find(request.id, request.project)
        if attempts.open_of(self.store, task.key) is not None:
            raise Refused(f"{task.key} is running", f"stop it first: `orch task kill {task.key}`")
        return task

    def _restart(self, task: Task, how: str, by: str, *, fresh: bool = False) -> None:
        columns: dict[str, object] = {
            "status": Status.NEW, "blocked_reason": "", "last_error": "", "not_before": 0.0,
            "agent": "", "model": "", "route_reason": "", "delegated": 0,
            "route_failures": 0, "route_warnings": (), "profile": Profile(),
        }  # fmt: skip
        if fresh:
            past = attempts.of_task(self.store, task.key, limit=1)
            columns.update(attempts=0, route_attempts=0, fresh_after=past[-1].n if past else 0)
            reviews.start_over(self.store, task.key)
            consultations.start_over(self.store, task.key)
        tasks.update(self.store, task.key, self.now(), **columns)
        self.event("task_changed", task.key, status="new", reason=how, by=by)
        self.tell_parent(task.parent)


def _known(statuses: tuple[str, ...]) -> tuple[str, ...]:
    for name in statuses:
        if name not in list(Status):
            raise Malformed(f"there is no status {name!r}", f"one of {', '.join(Status)}")
    return statuses


def _fitting(found: list[Task]) -> tuple[Task, ...]:
    """As many of the newest tasks as fit into one message, at least one; the reader asks for those
    before them."""
    kept: list[Task] = []
    size = 0
    for task in reversed(found):
        size += len(msgspec.msgpack.encode(task))
        if kept and size > PAGE_BYTES:
            break
        kept.append(task if size <= PAGE_BYTES else _shortened(task))
    return tuple(reversed(kept))


def _shortened(task: Task) -> Task:
    """A task that is too long for a message even alone, with its texts cut."""
    cut = PAGE_BYTES // 20
    return msgspec.structs.replace(
        task, title=task.title[:cut], summary=task.summary[:cut],
        last_error=task.last_error[:cut], blocked_reason=task.blocked_reason[:cut],
    )  # fmt: skip
