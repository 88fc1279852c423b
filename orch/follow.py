"""Following output and events in order, without gap or repeat, over restarts of every service.

    with Client(Home()) as client:
        for item in Follow(client).everything():
            match item:
                case Chunk():   # bytes of a session's output, each exactly once, in order
                    print(item.task, item.attempt, item.offset, item.data)
                case Logged():  # a row of the events log, each exactly once, in order
                    print(item.event.seq, item.event.name)
                case Ended():   # the session's last byte has been seen
                    print(item.session, item.size)

        for item in Follow(client).session("orch-demo-5", offset=0):
            ...                 # chunks from that byte on, then one Ended, and the loop is over

Events are only doorbells: whatever they tell is checked against `ReadOutput`, `EventsSince` and
`ListSessions`, after subscribing, on every ring, and every second. While a service cannot be
reached nothing is lost and nothing is concluded; after `patience` seconds of that the error is
raised. A chunk may end inside a character: decode with an incremental decoder per session.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

from orch.client import Client, Subscription
from orch.core.output import fit
from orch.errors import NotFound, NotRunning, Unavailable
from orch.messages import (
    EventLogged,
    EventsSince,
    ListSessions,
    Message,
    Occurred,
    OutputSeen,
    ReadOutput,
    Request,
    SessionChanged,
)
from orch.model import Event, Session

CHECK = 1.0
"""Seconds between two looks at the truth when nothing rings."""

SOON = 0.03
"""Seconds between two lists of sessions, however often it rings."""

SPOT_CHECKS = 8
"""Quiet sessions asked after at each look: a lost last event is found without asking for all."""

TIMEOUT = 2.0
"""Seconds that one question may take."""

PAUSE = 0.2
"""Seconds before a service that could not be reached is asked again."""

MARGIN = 60.0
"""Seconds that sessions are asked for further back than the last look."""

END = 1 << 62
"""A seq beyond all events."""

Key = tuple[str, int]
R = TypeVar("R", bound=Message)


class Chunk(NamedTuple):
    """Bytes of a session's output; the next chunk of the same attempt begins where it ends."""

    session: str
    task: str
    attempt: int
    offset: int
    data: bytes


class Logged(NamedTuple):
    """A row of the events log."""

    event: Event


class Ended(NamedTuple):
    """The session has ended and all its `size` bytes have been seen."""

    session: str
    task: str
    attempt: int
    size: int


Item = Chunk | Logged | Ended


class Reader:
    """How far one session has been read. `behind`: there is more than the events brought."""

    def __init__(self, session: Session, position: int) -> None:
        self.session = session
        self.position = position
        self.behind = True
        self.done = False

    @property
    def key(self) -> Key:
        """What tells one attempt's session from all others."""
        return self.session.session, self.session.attempt

    def take(self, event: OutputSeen) -> Chunk | None:
        """What is new in an event; one that is empty, or leaves a gap, tells that there is more."""
        piece = fit(self.position, event.offset, event.data)
        if piece.gap or self.behind or not event.data:
            self.behind = True
            return None
        return self.chunk(piece.data)

    def chunk(self, data: bytes) -> Chunk | None:
        """The bytes at the position as a chunk; None for no bytes. Moves on."""
        if not data:
            return None
        told = self.session
        begin, self.position = self.position, self.position + len(data)
        return Chunk(told.session, told.task, told.attempt, begin, data)

    def end(self) -> Ended:
        """The session is over and read."""
        self.done = True
        told = self.session
        return Ended(told.session, told.task, told.attempt, self.position)


class Follow:
    """Follows sessions and the events log through one client; see the module for its use."""

    def __init__(self, client: Client, patience: float = 120.0) -> None:
        self.client = client
        self.patience = patience
        self._readers: dict[Key, Reader] = {}
        self._alone = False
        self._seq = -1
        self._listed_at = 0.0
        self._reached = False
        self._failing: float | None = None
        self._pause_until = 0.0
        self._turn = 0

    def session(self, name: str, offset: int = 0, attempt: int = 0) -> Iterator[Chunk | Ended]:
        """One session from byte `offset` to its end; `attempt` 0 takes the latest.

        Raises `NotFound` when no session goes by that name.
        """
        with self.client.subscribe(OutputSeen) as bell:
            reader = Reader(self._find(name, attempt), offset)
            self._readers = {reader.key: reader}
            self._alone = True
            due = time.monotonic() + CHECK
            while True:
                yield from self._catch_up()
                if reader.done:
                    return
                for event in self._wait(bell, due):
                    yield from self._seen(event)
                if time.monotonic() >= due:
                    due = time.monotonic() + CHECK
                    reader.behind = True

    def everything(
        self,
        seq: int | None = None,
        *,
        from_start: bool = False,
        since: float | None = None,
        task: str = "",
    ) -> Iterator[Item]:
        """All sessions and all events, or those of one task, for ever.

        Events begin after `seq`, or at `since` (seconds since the epoch), or now. Sessions that
        begin later are read from their first byte. With `from_start` so are those that are open,
        and with `since` those that ended after it; without, open ones are read from now on.
        """
        with self.client.subscribe(OutputSeen, SessionChanged, EventLogged) as bell:
            yield from self._begin_events(seq, since, task)
            self._begin_sessions(from_start, since, task)
            list_due = log_due = looked = 0.0
            while True:
                if time.monotonic() >= log_due:
                    log_due = time.monotonic() + CHECK
                    yield from self._events(task)
                if time.monotonic() >= list_due:
                    looked = time.monotonic()
                    list_due = looked + CHECK
                    self._list(task)
                yield from self._catch_up()
                for event in self._wait(bell, min(list_due, log_due)):
                    if isinstance(event, EventLogged):
                        log_due = 0.0
                    elif isinstance(event, SessionChanged) or self._is_news(event, task):
                        list_due = min(list_due, looked + SOON)
                    yield from self._seen(event)

    # ---- where to begin ----------------------------------------------------------------------

    def _find(self, name: str, attempt: int) -> Session:
        told = self._insist(ListSessions(session=name, ended_since=0.0))
        found = [one for one in told.sessions if one.session == name]
        found = [one for one in found if attempt in (0, one.attempt)]
        if not found:
            raise NotFound(f"no session is called {name}", "`orch status` lists the open ones")
        return max(found, key=lambda one: (one.started_at, one.attempt))

    def _begin_events(self, seq: int | None, since: float | None, task: str) -> Iterator[Logged]:
        if seq is not None:
            self._seq = seq
        elif since is None:
            self._seq = self._insist(EventsSince(seq=END, limit=1)).last
        else:
            told = self._insist(EventsSince(since=since, task=task))
            self._seq = told.events[-1].seq if told.events else told.last
            yield from map(Logged, told.events)

    def _begin_sessions(self, from_start: bool, since: float | None, task: str) -> None:
        """What is there already: read from its first byte, from now on, or not at all."""
        self._listed_at = time.time()
        lately = self._insist(ListSessions(task=task, ended_since=self._listed_at - MARGIN))
        wanted = lately
        if since is not None:
            wanted = self._insist(ListSessions(task=task, ended_since=since))
        for session in (*lately.sessions, *wanted.sessions):
            reader = Reader(session, 0)
            reader.done = session.ended
            self._readers[reader.key] = reader
        for session in wanted.sessions:
            reader = self._readers[session.session, session.attempt]
            if from_start:
                reader.done = session.ended and since is None
            elif not session.ended:
                reader.position = self._size(session)

    def _size(self, session: Session) -> int:
        try:
            return self._insist(ReadOutput(session.session, 0, 1, session.attempt)).size
        except NotFound:
            return session.size

    # ---- the truth ---------------------------------------------------------------------------

    def _events(self, task: str) -> Iterator[Logged]:
        """Read the log on to its end."""
        while (told := self._try(EventsSince(seq=self._seq, task=task))) is not None:
            for event in told.events:
                if event.seq > self._seq:
                    self._seq = event.seq
                    yield Logged(event)
            if not told.events or self._seq >= told.last:
                return

    def _list(self, task: str) -> None:
        """Learn of new sessions (read from their first byte) and of ended ones."""
        asked_at = time.time()
        told = self._try(ListSessions(task=task, ended_since=self._listed_at - MARGIN))
        if told is None:
            return
        self._listed_at = asked_at
        listed: set[Key] = set()
        for session in told.sessions:
            known = self._readers.get((session.session, session.attempt))
            reader = known or Reader(session, 0)
            ended = session.ended and not reader.session.ended
            reader.behind = reader.behind or ended or session.size > reader.position
            reader.session = session
            self._readers[reader.key] = reader
            listed.add(reader.key)
        for key in [key for key, one in self._readers.items() if one.done and key not in listed]:
            del self._readers[key]
        self._spot_check()

    def _spot_check(self) -> None:
        """Look at a few sessions in turn, whether or not anything rang."""
        readers = [reader for reader in self._readers.values() if not reader.done]
        for place in range(min(SPOT_CHECKS, len(readers))):
            readers[(self._turn + place) % len(readers)].behind = True
        self._turn += SPOT_CHECKS

    def _catch_up(self) -> Iterator[Chunk | Ended]:
        """Read once from every session that is behind; yields what is new, and the ends."""
        for reader in list(self._readers.values()):
            if reader.done or not reader.behind:
                continue
            told = reader.session
            try:
                ask = ReadOutput(told.session, reader.position, attempt=told.attempt)
                output = self._try(ask)
            except NotFound:
                if self._alone:
                    raise
                reader.done = True
                continue
            if output is None:
                return
            chunk = reader.chunk(output.data)
            if chunk is not None:
                yield chunk
            reader.behind = bool(output.data) and reader.position < output.size
            if (output.ended or told.ended) and not reader.behind:
                yield reader.end()

    # ---- the doorbell ------------------------------------------------------------------------

    def _is_news(self, event: Occurred, task: str) -> bool:
        """Whether output comes from a session that is not known yet."""
        if not isinstance(event, OutputSeen) or task:
            return False
        return (event.session, event.attempt) not in self._readers

    def _seen(self, event: Occurred) -> Iterator[Chunk]:
        if isinstance(event, OutputSeen):
            reader = self._readers.get((event.session, event.attempt))
            chunk = reader.take(event) if reader is not None and not reader.done else None
            if chunk is not None:
                yield chunk

    def _wait(self, bell: Subscription, due: float) -> list[Occurred]:
        """Events, as soon as there is one; none at `due`, or at once when there is more to read."""
        now = time.monotonic()
        if any(reader.behind and not reader.done for reader in self._readers.values()):
            due = min(due, max(now, self._pause_until))
        return bell.poll(max(0.0, due - now))

    # ---- asking ------------------------------------------------------------------------------

    def _try(self, request: Request[R]) -> R | None:
        """The answer, or None while its service cannot be reached (up to `patience` seconds)."""
        now = time.monotonic()
        try:
            reply = self.client.ask(request, timeout=TIMEOUT)
        except Unavailable as error:
            if isinstance(error, NotRunning) and not self._reached:
                raise
            self._failing = self._failing or now
            if now - self._failing > self.patience:
                raise
            self._pause_until = time.monotonic() + PAUSE
            return None
        self._reached = True
        self._failing = None
        return reply

    def _insist(self, request: Request[R]) -> R:
        """The answer, however many tries it takes within `patience`."""
        while (reply := self._try(request)) is None:
            time.sleep(PAUSE)
        return reply
