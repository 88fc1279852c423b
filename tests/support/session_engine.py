"""A stand-in for the engine, and a stage on which capture and the scheduler run as processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec

from orch.client import Client
from orch.errors import OrchError, Refused
from orch.marks import answers
from orch.messages import (
    AddInput,
    Delivered,
    Done,
    EffectDone,
    EffectFailed,
    Effects,
    Events,
    EventsSince,
    FireJob,
    JobFired,
    Jobs,
    ListJobs,
    ListSessions,
    Ping,
    ReportQuestions,
    SessionChanged,
    Sessions,
    TakeEffects,
)
from orch.model import Effect, Event, Job, Session
from orch.paths import Home, scratch
from orch.service import Service

PATIENCE = 20.0


class World:
    """What the engine knows; outlives the engine's own restarts."""

    def __init__(self) -> None:
        self.sessions: dict[tuple[str, int], Session] = {}
        self.lists = 0
        self.effects: list[Effect] = []
        self.reports: list[EffectDone | EffectFailed] = []
        self.questions: list[ReportQuestions] = []
        self.held: list[AddInput] = []
        self.events: list[Event] = []
        self.jobs: list[Job] = []
        self.fired: dict[tuple[str, str, float], str] = {}
        self.firings: list[FireJob] = []
        self.refuses: set[str] = set()
        self.on_fire: Callable[[FireJob], None] = lambda _request: None


class SessionEngine(Service):
    """Answers from a `World` what capture, the scheduler and followers ask of the engine."""

    name = "engine"

    def __init__(self, home: Home, world: World) -> None:
        super().__init__(home)
        self.world = world

    @answers(ListSessions)
    def list_sessions(self, request: ListSessions) -> Sessions:
        """Sessions in the order in which they began."""
        self.world.lists += 1
        found = [
            one
            for one in self.world.sessions.values()
            if request.session in ("", one.session)
            and request.task in ("", one.task)
            and (not one.ended or request.ended_since is not None)
        ]
        return Sessions(tuple(found))

    @answers(EventsSince)
    def events_since(self, request: EventsSince) -> Events:
        """The log, at most three rows at a time."""
        rows = [row for row in self.world.events if row.seq > request.seq]
        rows = [row for row in rows if request.task in ("", row.task)]
        return Events(tuple(rows[:3]), len(self.world.events))

    @answers(TakeEffects)
    def take_effects(self, request: TakeEffects) -> Effects:
        """All effects of the target, once."""
        taken = [one for one in self.world.effects if one.target == request.target]
        self.world.effects = [one for one in self.world.effects if one not in taken]
        return Effects(tuple(taken))

    @answers(EffectDone)
    @answers(EffectFailed)
    def effect_reported(self, request: EffectDone | EffectFailed) -> Done:
        """Keep the report."""
        self.world.reports.append(request)
        return Done()

    @answers(ReportQuestions)
    def report_questions(self, request: ReportQuestions) -> Done:
        """Keep what is asked."""
        self.world.questions.append(request)
        return Done()

    @answers(AddInput)
    def add_input(self, request: AddInput) -> Delivered:
        """Keep a text for a session that is taken."""
        self.world.held.append(request)
        return Delivered("queued", "taken")

    @answers(ListJobs)
    def list_jobs(self, _request: ListJobs) -> Jobs:
        """All jobs."""
        return Jobs(tuple(self.world.jobs))

    @answers(FireJob)
    def fire_job(self, request: FireJob) -> JobFired:
        """Fire a time once."""
        self.world.firings.append(request)
        self.world.on_fire(request)
        if request.id in self.world.refuses:
            raise Refused(f"{request.id} may not run")
        key = request.project, request.id, request.at
        task = self.world.fired.setdefault(key, f"int-{len(self.world.fired) + 1}")
        return JobFired(task)


class Stage:
    """A scratch home with a stand-in engine in a thread and services as real processes."""

    def __init__(self) -> None:
        self.home = Home(scratch("orch-c-"))
        self.home.make()
        self.world = World()
        self.client = Client(self.home)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[tuple[str, int], FileIO] = {}
        self._engine: tuple[SessionEngine, threading.Thread] | None = None
        self._bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._bell.setblocking(False)

    # ---- processes ---------------------------------------------------------------------------

    def start_engine(self) -> None:
        """Serve the world."""
        service = SessionEngine(self.home, self.world)
        thread = threading.Thread(target=service.run, daemon=True)
        thread.start()
        self._engine = service, thread
        self.wait_for(lambda: self.answers("engine"), "the engine answers")

    def stop_engine(self) -> None:
        """The engine is gone until it is started again."""
        if self._engine is not None:
            service, thread = self._engine
            service.stop()
            thread.join(PATIENCE)
            self._engine = None

    def ring(self, *events: Any) -> None:
        """Publish events as the engine."""
        assert self._engine is not None
        service = self._engine[0]
        for event in events:
            service.post(lambda event=event: service.publish(event))

    def start(self, name: str, key: str = "") -> subprocess.Popen[bytes]:
        """Start `services.{name}` as a process; a further one under another `key`."""
        root = Path(__file__).parents[2]
        env = {**os.environ, "ORCH_HOME": str(self.home.root), "PYTHONPATH": str(root)}
        env["ORCH_SERVICE"] = key or name
        out = self.home.raw_log(key or name).open("ab")
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"], env=env, stdout=out, stderr=out, cwd=root
        )
        out.close()
        self.processes[key or name] = process
        lists = self.world.lists
        self.wait_for(lambda: self.answers(key or name), f"{key or name} answers")
        if name == "capture" and self._engine is not None:
            self.wait_for(lambda: self._listed(lists + 2), "capture knows the sessions")
        return process

    def _listed(self, lists: int) -> bool:
        """Ring until so many lists were asked for: the one before the last has been read."""
        self.ring(SessionChanged(""))
        return self.world.lists >= lists

    def kill(self, name: str) -> None:
        """`kill -9` it."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)

    def answers(self, name: str) -> bool:
        """Whether the service answers a ping."""
        try:
            self.client.ask(Ping(), timeout=1.0, to=name)
        except OrchError:
            return False
        return True

    # ---- sessions ----------------------------------------------------------------------------

    def open(self, name: str, attempt: int = 1, data: bytes = b"", tell: bool = True) -> Path:
        """A session begins: its folder, with what it has written so far."""
        folder = self.home.state / "internal" / name / str(attempt)
        folder.mkdir(parents=True)
        (folder / "terminal.log").write_bytes(data)
        self.world.sessions[name, attempt] = Session(
            session=name,
            task=f"int-{name}",
            attempt=attempt,
            agent="shell",
            folder=str(folder),
            started_at=time.time(),
        )
        if tell:
            self.ring(SessionChanged(name))
        return folder

    def write(self, name: str, data: bytes, attempt: int = 1, nudge: bool = True) -> None:
        """A session writes to its log and nudges capture."""
        log = self._logs.get((name, attempt))
        if log is None:
            folder = Path(self.world.sessions[name, attempt].folder)
            log = (folder / "terminal.log").open("ab", buffering=0)
            self._logs[name, attempt] = log
        log.write(data)
        size = log.tell()
        if nudge:
            self.nudge(msgspec.msgpack.encode({"session": name, "size": size, "ended": False}))

    def nudge(self, data: bytes) -> None:
        """Send a datagram to capture, best effort."""
        try:
            self._bell.sendto(data, str(self.home.socket("capture", "nudge")))
        except OSError:
            return

    def end(self, name: str, attempt: int = 1) -> None:
        """The engine has seen the session end."""
        key = name, attempt
        self.world.sessions[key] = msgspec.structs.replace(self.world.sessions[key], ended=True)
        if self._engine is not None:
            self.ring(SessionChanged(name))

    def log(self, name: str, attempt: int = 1) -> bytes:
        """All that the session wrote."""
        return (Path(self.world.sessions[name, attempt].folder) / "terminal.log").read_bytes()

    # ---- waiting -----------------------------------------------------------------------------

    def wait_for(self, happens: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Until it happens; a failure shows the services' own output."""
        deadline = time.monotonic() + seconds
        while not happens():
            if time.monotonic() > deadline:
                logs = [path.read_text()[-3000:] for path in self.home.logs.iterdir()]
                raise AssertionError(f"not in {seconds} s: {what}\n" + "\n".join(logs))
            time.sleep(0.01)

    def close(self) -> None:
        """End everything and remove the home."""
        for name in list(self.processes):
            self.kill(name)
        self.client.close()
        self.stop_engine()
        self._bell.close()
        for log in self._logs.values():
            log.close()
        shutil.rmtree(self.home.root, ignore_errors=True)
        if self.home.run.parent != self.home.root:
            shutil.rmtree(self.home.run, ignore_errors=True)


@contextmanager
def stage(*services: str) -> Iterator[Stage]:
    """A stage with the engine and these services running."""
    made = Stage()
    try:
        made.start_engine()
        for name in services:
            made.start(name)
        yield made
    finally:
        made.close()
