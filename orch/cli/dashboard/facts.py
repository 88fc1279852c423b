"""What the dashboard shows, read from the services: each part by itself, the old where one fails.

A service that cannot be asked leaves its part as it was last known, and is named in `away`.
"""

from __future__ import annotations

import time
from typing import TypeVar

import msgspec

from orch import control
from orch.cli import show
from orch.cli.lines import plain
from orch.client import Client
from orch.errors import NotFound, NotRunning, OrchError, Unavailable
from orch.messages import (
    CountTasks,
    EventsSince,
    GetCosts,
    GetOverview,
    GetRoster,
    GetTask,
    ListSessions,
    ListTasks,
    Message,
    Overview,
    ReadOutput,
    Request,
    Roster,
    TaskDetail,
    TaskTotals,
)
from orch.model import Approval, ApprovalState, Cost, Session, Task, Usage
from orch.paths import Home

R = TypeVar("R", bound=Message)

ASK_SECONDS = 1.0
"""How long one question may take; a service that takes longer is away."""

LINE_BYTES, TAIL_BYTES = 4096, 24_576
"""How much of a session's end is read: for its last line, and for the one that is looked at."""

FULL_SECONDS = 5.0
"""How old the list of tasks may grow when the events log tells of no change."""

COST_SECONDS = 2.0
"""How old the costs may grow while agents work."""

MOST_TASKS = 1000
END = 1 << 62
"""A seq beyond all events."""

_JOINERS = {ord(char): None for char in "\u200d\ufe0e\ufe0f"}
"""What makes one picture of several: terminals disagree on its width, so it is left out."""


class Wish(msgspec.Struct, frozen=True):
    """What the screen wants to know beside the lists: the task it looks at, done ones or not."""

    task: str = ""
    all: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that is shown, as of `at` (seconds since the epoch). `lines` has each session's last
    line, `output` the last lines of the task looked at (`detail`); `today` is what today cost,
    `spent` the same by task; `away` names the services that cannot be asked, and why."""

    at: float = 0.0
    roster: Roster | None = None
    overview: Overview | None = None
    totals: TaskTotals | None = None
    tasks: tuple[Task, ...] = ()
    matching: int = 0
    sessions: tuple[Session, ...] = ()
    lines: dict[str, str] = {}
    detail: TaskDetail | None = None
    output: tuple[str, ...] = ()
    today: Cost | None = None
    spent: dict[str, Usage] = {}
    away: dict[str, str] = {}

    @property
    def notices(self) -> tuple[str, ...]:
        """What orch has told people of late, newest first."""
        rows = self.overview.notices if self.overview else ()
        found = [
            f"{show.ago(one.at, max(self.at, one.at))} ago: {one.data.get('text', '')}"
            for one in rows
        ]
        return tuple(safe(text) for text in found)

    @property
    def asked(self) -> tuple[Approval, ...]:
        """The questions of the task looked at that wait for an answer, oldest first."""
        rows = self.detail.approvals if self.detail else ()
        return tuple(one for one in rows if one.state is ApprovalState.ASKED)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each thing once: who is away, then what orchd and the engine report."""
        found = list(self.away.values())
        found += self.roster.problems if self.roster else ()
        found += self.overview.problems if self.overview else ()
        found += [
            f"{one.name} is {one.state}{f': {one.last_error}' if one.last_error else ''}"
            for one in (self.roster.services if self.roster else ())
            if one.state in ("failing", "backoff")
        ]
        return tuple(dict.fromkeys(safe(text) for text in found if text))


class Reader:
    """Reads the facts of one home, of one project or (`project` empty) of all; for one thread."""

    def __init__(self, home: Home, project: str = "") -> None:
        self.home = home
        self.project = project
        self.client = Client(home)
        self.facts = Facts()
        self._away: dict[str, str] = {}
        self._seq = -1
        self._full_at = 0.0
        self._all = False
        self._sizes: dict[tuple[str, int], int] = {}
        self._today: Cost | None = None
        self._spent: dict[str, Usage] = {}
        self._costs_at = 0.0

    def close(self) -> None:
        """Drop the connections."""
        self.client.close()

    def read(self, wish: Wish, full: bool = True) -> Facts:
        """The facts as they are now; never raises an `OrchError`. Not `full`: only what sessions
        have written is read again."""
        if full:
            self._away = {}
            self.facts = self._read(wish)
        sessions = self._sessions()
        detail = self.facts.detail
        self.facts = msgspec.structs.replace(
            self.facts,
            at=time.time(),
            sessions=sessions,
            lines=self._lines(sessions),
            output=self._output(detail),
            away=dict(self._away),
        )
        return self.facts

    def _read(self, wish: Wish) -> Facts:
        """All but what sessions write."""
        old = self.facts
        roster = self._roster()
        overview = self._ask(GetOverview())
        changed = self._changed(wish)
        tasks = self._ask(ListTasks(self.project, all=wish.all, limit=MOST_TASKS), changed)
        totals = self._ask(CountTasks(self.project), changed)
        self._read_costs(bool(old.sessions) or changed)
        detail = self._detail(wish)
        same = detail and old.detail and detail.task.key == old.detail.task.key
        return msgspec.structs.replace(
            old,
            roster=roster,
            overview=overview or old.overview,
            totals=totals or old.totals,
            tasks=tasks.tasks if tasks else old.tasks,
            matching=tasks.total if tasks else old.matching,
            detail=detail,
            output=old.output if same else (),
            today=self._today,
            spent=self._spent,
        )

    def _roster(self) -> Roster | None:
        try:
            return control.ask(self.home, GetRoster(), ASK_SECONDS)
        except NotRunning:
            self._away["orchd"] = f"orch is not running on {self.home.root}; waiting for it"
        except OrchError as error:
            self._away["orchd"] = f"{error.message}; waiting for it"
        return self.facts.roster

    def _sessions(self) -> tuple[Session, ...]:
        listed = self._ask(ListSessions())
        if listed is None:
            return self.facts.sessions
        known = {task.key for task in self.facts.tasks}
        return tuple(one for one in listed.sessions if not self.project or one.task in known)

    def _ask(self, request: Request[R], wanted: bool = True) -> R | None:
        """The answer; None when it is not wanted, there is none, or its service is away."""
        owner = type(request).owner
        if not wanted or owner in self._away:
            return None
        try:
            return self.client.ask(request, timeout=ASK_SECONDS)
        except NotFound:
            return None
        except Unavailable as error:
            told = "" if "orchd" in self._away else f"{error.message}; what it knows is shown old"
            self._away[owner] = told
        except OrchError as error:
            self._away[owner] = f"{owner}: {error.message}"
        return None

    def _changed(self, wish: Wish) -> bool:
        """Whether tasks may have changed since they were last read."""
        log = self._ask(EventsSince(seq=END, limit=1))
        seq = log.last if log else self._seq
        now = time.monotonic()
        old = seq != self._seq or wish.all != self._all or now - self._full_at > FULL_SECONDS
        if log and old:
            self._seq, self._full_at, self._all = seq, now, wish.all
        return old

    def _read_costs(self, wanted: bool) -> None:
        """What today cost, in all and by task; a sum over rows, so not at every look."""
        now = time.monotonic()
        if not wanted or now - self._costs_at < COST_SECONDS:
            return
        found = self._ask(GetCosts(project=self.project, by="task", since="today"))
        if found is not None:
            self._costs_at = now
            self._today = found.total
            self._spent = {row.task: row.usage for row in found.rows}

    def _detail(self, wish: Wish) -> TaskDetail | None:
        if not wish.task:
            return None
        found = self._ask(GetTask(wish.task))
        known = self.facts.detail
        if found is None and known is not None and known.task.key == wish.task:
            return known
        return found

    def _lines(self, sessions: tuple[Session, ...]) -> dict[str, str]:
        """The last line of each session, read again where it has grown."""
        found: dict[str, str] = {}
        for one in sessions:
            key = one.session, one.attempt
            if self._sizes.get(key) == one.size and one.session in self.facts.lines:
                found[one.session] = self.facts.lines[one.session]
                continue
            read = self._tail(one.session, one.attempt, one.size, LINE_BYTES)
            if read is None:
                found[one.session] = self.facts.lines.get(one.session, "")
                continue
            self._sizes[key] = one.size
            found[one.session] = next((line for line in reversed(read) if line.strip()), "")
        return found

    def _output(self, detail: TaskDetail | None) -> tuple[str, ...]:
        """The last lines of the latest session of the task looked at."""
        launched = [a for a in detail.attempts if a.launched_at] if detail else []
        if not launched:
            return ()
        last = launched[-1]
        size = next((s.size for s in self.facts.sessions if s.session == last.session), END)
        read = self._tail(last.session, last.n, size, TAIL_BYTES)
        return self.facts.output if read is None else tuple(read)

    def _tail(self, session: str, attempt: int, size: int, count: int) -> list[str] | None:
        """The last lines of a session, safe to show; None when they cannot be had."""
        if size == END:
            begun = self._ask(ReadOutput(session, 0, 1, attempt))
            size = begun.size if begun else 0
        offset = max(0, size - count)
        read = self._ask(ReadOutput(session, offset, 2 * count, attempt))
        if read is None:
            return None
        text = read.data.decode("utf-8", "replace")
        lines = text.split("\n")
        kept = lines[1:] if offset and len(lines) > 1 else lines
        return [safe(plain(line).expandtabs(4)) for line in kept]


def safe(text: str) -> str:
    """The text on one line, with nothing in it that a terminal obeys or that has no sure width."""
    return show.clean(text).translate(_JOINERS)
