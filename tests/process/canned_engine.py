"""An engine and a capture with canned answers, served over real sockets, for tests of commands."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec

from orch.core import names
from orch.errors import NotFound, Refused
from orch.messages import (
    ActOnTask,
    AddTask,
    BlockTask,
    CloseTask,
    CountTasks,
    Delivered,
    Done,
    Events,
    EventsSince,
    GetOverview,
    GetScreen,
    GetTask,
    KillTask,
    ListSessions,
    ListTasks,
    Output,
    Overview,
    ReadOutput,
    RerouteTask,
    RetryTask,
    RouteTask,
    RunTask,
    Screen,
    SendInput,
    Sessions,
    TaskAdded,
    TaskDetail,
    TaskRouted,
    Tasks,
    TaskTotals,
    UnblockTask,
)
from orch.model import Attempt, Event, Session, Status, Task, Usage
from orch.paths import Home
from orch.service import Service, answers
from orch.sockets import answers as listened_to


class CannedEngine(Service):
    """Keeps tasks in a dictionary; every act on a task is remembered in `acts`."""

    name = "engine"

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.tasks: dict[str, Task] = {}
        self.attempts: dict[str, tuple[Attempt, ...]] = {}
        self.sessions: list[Session] = []
        self.events: list[Event] = []
        self.acts: list[ActOnTask | RouteTask | RerouteTask] = []
        self.usage = Usage(input_tokens=1200, output_tokens=34, usd=0.5)
        self.keys: dict[str, str] = {}

    def put(self, **fields: Any) -> Task:
        """Store a task as it is given."""
        task = Task(**{"project": "octo/demo", "title": "Say hello", "created_at": 1.0, **fields})
        self.tasks[task.key] = task
        return task

    def log_event(self, name: str, task: str, **data: Any) -> None:
        """Append to the events log."""
        self.events.append(
            Event(seq=len(self.events) + 1, at=1714564800.1234, name=name, task=task, data=data)
        )

    def _find(self, text: str, project: str) -> Task:
        keys = [key for key in names.candidates(text, project) if key in self.tasks]
        key = names.pick(text, project, {key: self.tasks[key].project for key in keys})
        if not key:
            raise NotFound(f"there is no task {text}", "`orch task list --all` shows all tasks")
        return self.tasks[key]

    @answers(AddTask)
    def add(self, request: AddTask) -> TaskAdded:
        if request.key in self.keys:
            return TaskAdded(self.keys[request.key], "new")
        key = f"int-{len(self.tasks) + 1}"
        self.keys[request.key] = key
        self.put(
            key=key,
            project=request.project,
            title=request.title,
            body=request.body,
            labels=request.labels,
            author=request.author,
            parent=request.parent,
            after=request.after,
            wanted_agent=request.agent,
            complexity=request.complexity,
            created_at=time.time(),
        )
        return TaskAdded(key, "new")

    @answers(ListTasks)
    def list_tasks(self, request: ListTasks) -> Tasks:
        found = [
            task
            for task in self.tasks.values()
            if request.project in ("", task.project)
            and (request.all or request.statuses or task.status != Status.DONE)
            and (not request.statuses or task.status in request.statuses)
            and request.source in ("", task.source)
            and request.author in ("", task.author)
            and request.parent in ("", task.parent)
        ]
        total = len(found)
        if request.before:
            found = found[: [task.key for task in found].index(request.before)]
        return Tasks(tuple(found[-request.limit :]), total)

    @answers(GetTask)
    def get_task(self, request: GetTask) -> TaskDetail:
        task = self._find(request.id, request.project)
        children = tuple(key for key, other in self.tasks.items() if other.parent == task.key)
        waiting = "no slot is free" if task.status == Status.ROUTED else ""
        return TaskDetail(task, self.attempts.get(task.key, ()), waiting, children)

    @answers(CountTasks)
    def count(self, request: CountTasks) -> TaskTotals:
        counts: dict[str, int] = {}
        for task in self.tasks.values():
            counts[task.status] = counts.get(task.status, 0) + 1
        return TaskTotals(counts, self.usage)

    @answers(RunTask)
    @answers(RetryTask)
    @answers(UnblockTask)
    @answers(BlockTask)
    @answers(CloseTask)
    @answers(KillTask)
    def act(self, request: ActOnTask) -> Done:
        if request.id not in ("", "all"):
            task = self._find(request.id, request.project)
            if isinstance(request, KillTask) and task.status != Status.IN_PROGRESS:
                raise Refused(f"{task.key} has no running attempt", "`orch task get` shows it")
        self.acts.append(request)
        return Done()

    @answers(RouteTask)
    @answers(RerouteTask)
    def route(self, request: RouteTask | RerouteTask) -> TaskRouted:
        task = self._find(request.id, request.project)
        self.acts.append(request)
        return TaskRouted(task.key, request.agent, "tiny", "simple", "a \x1b[31mwhim", ("odd",))

    @answers(EventsSince)
    def events_since(self, request: EventsSince) -> Events:
        found = [
            event
            for event in self.events
            if event.seq > request.seq
            and event.at >= request.since
            and request.task in ("", event.task)
            and (not request.names or event.name in request.names)
        ]
        return Events(tuple(found[: request.limit]), len(self.events))

    @answers(ListSessions)
    def list_sessions(self, request: ListSessions) -> Sessions:
        return Sessions(
            tuple(
                one
                for one in self.sessions
                if (not one.ended or request.ended_since is not None)
                and request.task in ("", one.task)
                and request.session in ("", one.session)
            )
        )

    @answers(GetOverview)
    def overview(self, request: GetOverview) -> Overview:
        counts = self.count(CountTasks()).counts
        open_ = tuple(one for one in self.sessions if not one.ended)
        return Overview(1, 4, counts, open_, ("config.yml:6: engine.max_parallel: too many",))


class CannedCapture(Service):
    """Answers ranges of logs kept in memory; remembers what was sent."""

    name = "capture"

    def __init__(self, home: Home, engine: CannedEngine) -> None:
        super().__init__(home)
        self.engine = engine
        self.logs: dict[tuple[str, int], bytes] = {}
        self.sent: list[SendInput] = []
        self.answer = Delivered("submitted")

    @answers(ReadOutput)
    def read(self, request: ReadOutput) -> Output:
        found = [key for key in self.logs if key[0] == request.session]
        found = [key for key in found if request.attempt in (0, key[1])]
        if not found:
            raise NotFound(f"there is no session {request.session}")
        data = self.logs[max(found)]
        part = data[request.offset : request.offset + request.limit]
        ended = all(
            one.ended for one in self.engine.sessions if (one.session, one.attempt) == max(found)
        )
        return Output(request.session, request.offset, part, len(data), ended, max(found)[1])

    @answers(GetScreen)
    def screen(self, request: GetScreen) -> Screen:
        return Screen(request.session, ("$ ls", "hello.txt", "", ""), 2, 0, request.ansi)

    @answers(SendInput)
    def send(self, request: SendInput) -> Delivered:
        self.sent.append(request)
        return self.answer


class Canned:
    """Both services in threads of this process, on sockets of their own, until `close`."""

    def __init__(self, home: Home) -> None:
        home.make()
        self.home = home
        self.engine = CannedEngine(home)
        self.capture = CannedCapture(home, self.engine)
        self._threads = [
            threading.Thread(target=service.run, daemon=True)
            for service in (self.engine, self.capture)
        ]
        for thread, service in zip(self._threads, ("engine", "capture"), strict=True):
            thread.start()
            deadline = time.monotonic() + 30
            while not listened_to(home.socket(service, "req")):
                assert time.monotonic() < deadline, f"{service} does not listen"
                thread.join(0.01)

    def close(self) -> None:
        """Stop both and wait for them."""
        self.engine.stop()
        self.capture.stop()
        for thread in self._threads:
            thread.join(10)


def attempt(**fields: Any) -> Attempt:
    """A running attempt of int-1, but for the fields given."""
    usual: dict[str, Any] = {
        "id": 1,
        "task": "int-1",
        "n": 1,
        "phase": "running",
        "fence": 1,
        "agent": "shell",
        "session": "orch-int-1",
        "started_at": 1714564800.0,
    }
    return msgspec.convert({**msgspec.to_builtins(Attempt(**usual)), **fields}, Attempt)


def session(**fields: Any) -> Session:
    """A running session of int-1, but for the fields given."""
    usual: dict[str, Any] = {
        "session": "orch-int-1",
        "task": "int-1",
        "attempt": 1,
        "agent": "shell",
        "folder": "/nowhere",
        "started_at": 1714564800.0,
        "size": 12,
    }
    return Session(**{**usual, **fields})
