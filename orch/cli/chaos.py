"""`orch doctor --chaos`: kills each process in turn while a task runs, and shows what follows."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from orch import control
from orch.cli import daemon, show
from orch.cli.demo import make_project
from orch.cli.demo_map import session_pid
from orch.cli.demo_story import SLUG
from orch.cli.scratch_home import scratch_home
from orch.client import Client
from orch.errors import OrchError, Unavailable
from orch.follow import Chunk, Follow
from orch.messages import (
    AddTask,
    GetRoster,
    GetTask,
    ListSessions,
    Ping,
    R,
    ReadOutput,
    Request,
    Roster,
)
from orch.model import Attempt, Session, Status
from orch.paths import Home

TITLE = "Count while everything around it is killed"
BODY = """Count until told otherwise.

```sh
n=0
while [ ! -e {gate} ]; do n=$((n+1)); echo "count $n"; sleep 0.02; done
echo "$n" > counted.txt
```
"""
SECONDS = 60.0
"""How long any one thing may take to come back; more is a failure of orch."""

LOOK_SECONDS = 0.002
COUNT = re.compile(rb"^count (\d+)\r?$", re.MULTILINE)


class Kill(msgspec.Struct, kw_only=True):
    """One process killed: when a question that was put at once was answered, when its replacement
    was ready (seconds since the kill), what the task did, and what was lost."""

    victim: str
    pid: int
    answered_seconds: float | None
    ready_seconds: float
    task: str
    lost: tuple[str, ...] = ()


class Report(msgspec.Struct, kw_only=True):
    """All kills, and what the task came to: bytes that its sessions printed, and bytes that
    somebody who followed them throughout was shown."""

    kills: list[Kill]
    task: str
    status: str
    attempts: list[str]
    printed_bytes: int
    streamed_bytes: int
    lost: list[str]


class Reader(threading.Thread):
    """Follows one session from its first byte to its end, through everything that happens."""

    def __init__(self, home: Home, session: Session) -> None:
        super().__init__(daemon=True)
        self.home = home
        self.session = session
        self.seen = bytearray()
        self.problem = ""

    def run(self) -> None:
        """Read; a gap or a repeat would be seen by the offset."""
        try:
            with Client(self.home) as client:
                for item in Follow(client).session(self.session.session, 0, self.session.attempt):
                    if isinstance(item, Chunk):
                        if item.offset != len(self.seen):
                            self.problem = f"a gap at byte {len(self.seen)} of its stream"
                        self.seen += item.data
        except OrchError as error:
            self.problem = f"its stream ended: {error.message}"


class Chaos:
    """One run on a scratch home that is up."""

    def __init__(self, home: Home, client: Client, tell: Callable[[str], None]) -> None:
        self.home = home
        self.client = client
        self.tell = tell
        self.gate = home.root.parent / "gate"
        self.task = ""
        self.readers: list[Reader] = []
        self.kills: list[Kill] = []

    def run(self) -> Report:
        """Begin the task, kill one after the other, let it end, and count."""
        body = BODY.format(gate=self.gate)
        self.task = self.client.ask(AddTask(TITLE, SLUG, body=body, agent="shell")).id
        self.tell(f"task {self.task} runs on a scratch home, {self.home.root}")
        self._read(self._running(1))
        for name in self._services():
            self._kill_service(name)
        self._kill_orchd()
        self._kill_session()
        self.gate.touch()
        return self._report()

    # ---- the kills ---------------------------------------------------------------------------

    def _services(self) -> list[str]:
        return [one.name for one in self._roster().services]

    def _kill_service(self, name: str) -> None:
        pid = self._pid(name)

        def ask() -> None:
            if name == "engine":
                self._detail()
            elif name == "capture":
                self._ask(ReadOutput(self.readers[0].session.session, 0, 1))
            else:
                self._ask(Ping(), to=name)

        def ready() -> bool:
            seen = {one.name: one for one in self._roster().services}[name]
            return seen.state == "ready" and seen.pid != pid

        self._strike(name, pid, ask, ready)

    def _kill_orchd(self) -> None:
        roster = self._roster()

        def start_again() -> None:
            """What launchd and systemd do when it ends."""
            _until(lambda: not daemon.alive(roster.pid), "orchd ended")
            daemon.start(self.home)

        def ask() -> None:
            start_again()
            self._detail()

        def ready() -> bool:
            return all(one.state == "ready" for one in self._roster().services)

        self._strike("orchd", roster.pid, ask, ready)

    def _strike(
        self, name: str, pid: int, ask: Callable[[], None], ready: Callable[[], bool]
    ) -> None:
        """Kill a process of orch's own: its agent must neither notice nor be tried again."""
        before, printed = self._sessions(), self._printed()
        self.tell(f"kill -9 {pid} ({name})")
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        ask()
        answered = time.monotonic() - began
        _until(ready, f"{name} is back")
        took = time.monotonic() - began
        lost = [] if self._sessions() == before else ["the session"]
        _until(lambda: self._printed() > printed, "the agent prints on")
        told = "its session changed" if lost else "went on, same attempt"
        self.kills.append(
            Kill(
                victim=name,
                pid=pid,
                answered_seconds=answered,
                ready_seconds=took,
                task=told,
                lost=tuple(lost),
            )
        )

    def _kill_session(self) -> None:
        """Kill a session process: its agent ends with it, and the task is tried again."""
        first = self._open_attempt()
        pid = session_pid(Path(first.folder))
        self.tell(f"kill -9 {pid} (session process)")
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        second = self._running(first.n + 1)
        _until(lambda: bool(COUNT.search(_bytes(second))), "the next attempt prints")
        took = time.monotonic() - began
        self._read(second)
        ended = next(one for one in self._detail() if one.n == first.n)
        counts = "counted" if ended.counted else "not counted"
        told = f"attempt {first.n} {ended.outcome}, {counts}; {second.attempt}"
        self.kills.append(
            Kill(
                victim="session process",
                pid=pid,
                answered_seconds=None,
                ready_seconds=took,
                task=f"{told} began",
                lost=("an attempt",) if ended.counted else (),
            )
        )

    # ---- what is there -----------------------------------------------------------------------

    def _ask(self, request: Request[R], to: str = "") -> R:
        """A service's reply, as somebody gets it who asks again while orchd is away."""
        return _patiently(lambda: self.client.ask(request, timeout=SECONDS, to=to))

    def _roster(self) -> Roster:
        return _patiently(lambda: control.ask(self.home, GetRoster()))

    def _detail(self) -> tuple[Attempt, ...]:
        return self._ask(GetTask(self.task, SLUG)).attempts

    def _open_attempt(self) -> Attempt:
        return self._detail()[-1]

    def _pid(self, name: str) -> int:
        roster = self._roster()
        return next(one.pid for one in roster.services if one.name == name)

    def _sessions(self) -> list[tuple[str, int, int]]:
        """Each open session with its attempt and the pid of its session process."""
        found = self._ask(ListSessions(task=self.task)).sessions
        return [(one.session, one.attempt, session_pid(Path(one.folder))) for one in found]

    def _running(self, n: int) -> Session:
        """The session of attempt `n`, once it prints."""
        found: list[Session] = []

        def there() -> bool:
            asked = ListSessions(task=self.task, ended_since=0.0)
            sessions = self._ask(asked).sessions
            found[:] = [one for one in sessions if one.attempt == n and one.size]
            return bool(found)

        _until(there, f"attempt {n} prints")
        return found[0]

    def _read(self, session: Session) -> None:
        self.readers.append(Reader(self.home, session))
        self.readers[-1].start()

    def _printed(self) -> int:
        return len(_bytes(self.readers[-1].session))

    # ---- what it came to ---------------------------------------------------------------------

    def _report(self) -> Report:
        done: list[Status] = []

        def ended() -> bool:
            asked = GetTask(self.task, SLUG)
            done[:] = [self._ask(asked).task.status]
            return done[0] in (Status.DONE, Status.BLOCKED, Status.NEEDS_REVIEW)

        _until(ended, "the task ends")
        lost = [f"{kill.victim}: {what}" for kill in self.kills for what in kill.lost]
        if done[0] is not Status.DONE:
            lost.append(f"the task: it is {done[0]}")
        for reader in self.readers:
            reader.join(SECONDS)
            lost += [f"{reader.session.session}: {text}" for text in _missing(reader)]
        return Report(
            kills=self.kills, task=self.task, status=done[0], lost=lost,
            attempts=[one.outcome for one in self._detail()],
            printed_bytes=sum(len(_bytes(reader.session)) for reader in self.readers),
            streamed_bytes=sum(len(reader.seen) for reader in self.readers),
        )  # fmt: skip


def run(as_json: bool) -> int:
    """Run chaos on a scratch home and show the report; exit 1 when anything was lost."""
    began = time.monotonic()

    def tell(text: str) -> None:
        show.note(f"{time.monotonic() - began:6.2f} s  {text}")

    with scratch_home("orch-chaos-", partial(tell, "interrupted: stopping everything")) as home:
        make_project(home, {}, "shell")
        daemon.wait_ready(home, daemon.start(home))
        with Client(home) as client:
            report = Chaos(home, client, tell).run()
    tell("everything is stopped and removed")
    if as_json:
        show.json(report)
    else:
        _show(report)
    return 1 if report.lost else 0


def _show(report: Report) -> None:
    show.table(
        ("KILLED", "PID", "ANSWERS AFTER", "READY AFTER", "THE TASK", "LOST"),
        [
            (
                one.victim,
                str(one.pid),
                "-" if one.answered_seconds is None else show.duration(one.answered_seconds),
                show.duration(one.ready_seconds),
                one.task,
                ", ".join(one.lost) or "nothing",
            )
            for one in report.kills
        ],
        grow=4,
    )
    outcomes = " and ".join(report.attempts)
    show.line(
        f"{report.task} is {show.state(report.status)}; its attempts: {outcomes}; "
        f"{report.streamed_bytes:,} of {report.printed_bytes:,} bytes streamed"
    )
    for what in report.lost:
        show.line(f"{show.paint('lost', 'red')}  {what}")
    if not report.lost:
        show.line("nothing was lost")


def _missing(reader: Reader) -> list[str]:
    """What a reader was not shown, or the agent did not get to print."""
    log = _bytes(reader.session)
    found = [reader.problem] if reader.problem else []
    if reader.is_alive() or bytes(reader.seen) != log:
        found.append(f"{len(log) - len(reader.seen)} bytes of its stream")
    counts = [int(number) for number in COUNT.findall(log)]
    if counts != list(range(1, len(counts) + 1)):
        found.append("some of what its agent printed")
    return found


def _bytes(session: Session) -> bytes:
    try:
        return (Path(session.folder) / "terminal.log").read_bytes()
    except OSError:
        return b""


def _patiently(ask: Callable[[], R]) -> R:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
        time.sleep(LOOK_SECONDS)


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise OrchError(f"not within {SECONDS:g} s: {what}", "please report this")
        time.sleep(LOOK_SECONDS)
