"""The terminal logs that are followed: which there are, how far each is published, what is new."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import structs

from orch.core.output import CHUNK, cut, whole
from orch.errors import OrchError, Unknown
from orch.hosts import Host
from orch.messages import OutputSeen
from orch.model import Session

ENDED = 4000
"""Ended sessions remembered, so that readers of them need no question to the engine."""

TURN = 4
"""Chunks of one session published before the others have their turn."""

ANNOUNCEMENTS = 3
"""How often, a second apart, offsets are told after a start: subscribers take time to return."""

HELD = 3
"""The most bytes of an unfinished character that are held back."""

Key = tuple[str, int]


class Followed:
    """One session's log: `offset` bytes of it are published."""

    def __init__(self, session: Session, offset: int) -> None:
        self.session = session
        self.folder = Path(session.folder)
        self.offset = offset
        self.ended = False


class Logs:
    """Follows the logs of all open sessions and publishes what is new in them."""

    def __init__(self, host: Host, publish: Callable[[OutputSeen], None]) -> None:
        self._host = host
        self._publish = publish
        self._open: dict[Key, Followed] = {}
        self._by_name: dict[str, Followed] = {}
        self._ended: OrderedDict[Key, Session] = OrderedDict()
        self._dirty: dict[Key, Followed] = {}
        self._began = False
        self._announcements = ANNOUNCEMENTS

    def learn(self, sessions: Iterable[Session]) -> None:
        """Take over what the engine says: all open sessions, and those that ended lately.

        The first time, the sessions are older than we are: they go on where they are now, and
        their readers are told the offset, so that they fetch what was written meanwhile.
        """
        told = {(session.session, session.attempt): session for session in sessions}
        for key, session in told.items():
            if session.ended and not self._began:
                self._remember(session)
            elif key not in self._open and key not in self._ended:
                self._follow(session)
        for key, followed in list(self._open.items()):
            now = told.get(key)
            followed.session = now or followed.session
            if now is None or now.ended:
                self._end(followed)
        self._began = True

    def live(self) -> list[Session]:
        """The sessions that are followed."""
        return [followed.session for followed in self._open.values()]

    def nudged(self, name: str) -> bool:
        """Something was written to this session's log; False when nobody knows the session."""
        followed = self._by_name.get(name)
        if followed is None:
            return False
        self._mark(followed)
        return True

    def compare(self) -> None:
        """Find the logs that grew without a nudge."""
        for followed in self._open.values():
            try:
                size = self._host.size(followed.folder)
            except Unknown:
                continue
            followed.offset = min(followed.offset, size)
            if size > followed.offset or followed.ended:
                self._mark(followed)

    def look(self) -> None:
        """Each second: find what no nudge told of, let go of characters that stay unfinished,
        and, after a start, tell the offsets."""
        self.compare()
        for followed in list(self._dirty.values()):
            if not self._publish_some(followed, patient=False):
                self._clean(followed)
        if self._began and self._announcements:
            self._announcements -= 1
            for followed in self._open.values():
                self._tell(followed)

    def flush(self) -> bool:
        """Publish what is new in the logs that were written to; True when there is more."""
        for followed in list(self._dirty.values()):
            if not self._publish_some(followed, patient=not followed.ended):
                self._clean(followed)
        return bool(self._dirty)

    def waiting(self) -> bool:
        """Whether `flush` has something to do."""
        return bool(self._dirty)

    def find(self, name: str, attempt: int = 0) -> Session | None:
        """The session of that name and attempt (0: the latest) among those that are known."""
        followed = self._by_name.get(name)
        if followed is not None and attempt in (0, followed.session.attempt):
            return followed.session
        if followed is not None or not attempt:
            return None  # which one is the latest, the engine knows
        return self._ended.get((name, attempt))

    def _follow(self, session: Session) -> None:
        offset = 0
        if not self._began:
            offset = self._present(session)
        followed = Followed(session, offset)
        self._open[session.session, session.attempt] = followed
        self._by_name[session.session] = followed
        if not self._began:
            self._tell(followed)
        self._mark(followed)

    def _present(self, session: Session) -> int:
        """The log's size, less the beginning of a character at its end."""
        try:
            size = self._host.size(Path(session.folder))
            tail = self._host.read(Path(session.folder), max(0, size - HELD), HELD)
        except Unknown:
            return session.size
        return size - (len(tail) - whole(tail))

    def _tell(self, followed: Followed) -> None:
        """Publish the offset alone, so that readers look what they lack."""
        told = followed.session
        self._publish(OutputSeen(told.session, followed.offset, b"", told.attempt))

    def _end(self, followed: Followed) -> None:
        followed.ended = True
        self._mark(followed)

    def _mark(self, followed: Followed) -> None:
        self._dirty[followed.session.session, followed.session.attempt] = followed

    def _clean(self, followed: Followed) -> None:
        self._dirty.pop((followed.session.session, followed.session.attempt), None)

    def _remember(self, session: Session) -> None:
        self._ended[session.session, session.attempt] = session
        self._ended.move_to_end((session.session, session.attempt))
        while len(self._ended) > ENDED:
            self._ended.popitem(last=False)

    def _publish_some(self, followed: Followed, patient: bool) -> bool:
        """Publish up to a few chunks; True when there is more. `patient` holds back the
        beginning of a character at the end of the log."""
        told = followed.session
        for _ in range(TURN):
            try:
                data = self._host.read(followed.folder, followed.offset, CHUNK + HELD)
            except OrchError:
                return False  # the next look tries again
            piece = cut(data, CHUNK)
            if patient and len(piece) == len(data):
                piece = data[: whole(data)]
            if piece:
                self._publish(OutputSeen(told.session, followed.offset, piece, told.attempt))
                followed.offset += len(piece)
            if len(data) < CHUNK + HELD and len(piece) >= whole(data):
                if followed.ended and not patient:
                    self._close(followed)
                return False
        return True

    def _close(self, followed: Followed) -> None:
        """All is published: tell the readers to look for the end."""
        told = structs.replace(followed.session, ended=True)
        self._tell(followed)
        self._open.pop((told.session, told.attempt), None)
        if self._by_name.get(told.session) is followed:
            del self._by_name[told.session]
        self._remember(told)
