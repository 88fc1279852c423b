"""A small service with a SQLite events log, for tests of the frame itself."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any

from orch.errors import Refused
from orch.messages import Done, Message, Occurred, Request, decode, encode
from orch.service import Later, Service, answers, every, on, run


class Added(Message, frozen=True):
    """The row's number and the pid that made it."""

    seq: int
    pid: int


class AddRow(Request[Added], frozen=True):
    """Append a row, once per key."""

    owner = "toy"
    text: str = ""
    key: str = ""


class Rows(Message, frozen=True):
    """Rows after the asked one."""

    rows: tuple[tuple[int, str], ...]


class ReadRows(Request[Rows], frozen=True):
    """Rows after `seq`, oldest first."""

    owner = "toy"
    seq: int = 0


class Misbehave(Request[Done], frozen=True):
    """Do what `how` says: refuse, crash, hang, later, wrong."""

    owner = "toy"
    how: str
    seconds: float = 0.0


class Flood(Request[Done], frozen=True):
    """Publish `count` events with `size` bytes each."""

    owner = "toy"
    count: int
    size: int = 100


class RowAdded(Occurred, frozen=True):
    """The rows grew to `seq`."""

    owner = "toy"
    seq: int
    padding: bytes = b""


class Toy(Service):
    """Appends rows; a keyed row and its reply are stored in one transaction."""

    name = "toy"

    def setup(self) -> None:
        """Open the rows."""
        self.db = sqlite3.connect(self.home.root / "toy.db", isolation_level=None, timeout=5)
        self.db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS rows (seq INTEGER PRIMARY KEY AUTOINCREMENT, text);"
            "CREATE TABLE IF NOT EXISTS replies (key PRIMARY KEY, reply BLOB);"
        )
        self.nudges: list[bytes] = []
        self.ticks = 0
        self._publish_last()

    def teardown(self) -> None:
        """Close the rows."""
        if hasattr(self, "db"):
            self.db.close()

    def handle(self, request: Request[Any], handler: Any) -> Message | Later:
        """Keyed requests: reply and effect together."""
        key = getattr(request, "key", "")
        if not key:
            return handler(request)
        self.db.execute("BEGIN IMMEDIATE")
        with self.db:
            known = self.db.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            if known:
                return decode(known[0], Message)
            reply = handler(request)
            self.db.execute("INSERT INTO replies VALUES (?, ?)", (key, encode(reply)))
        if os.environ.get("TOY_DIES") == "after commit" and request.text == "die":
            os.kill(os.getpid(), 9)
        self._publish_last()
        return reply

    @answers(AddRow)
    def add(self, request: AddRow) -> Added:
        """Append."""
        row = self.db.execute("INSERT INTO rows (text) VALUES (?) RETURNING seq", (request.text,))
        return Added(row.fetchone()[0], os.getpid())

    @answers(ReadRows)
    def read(self, request: ReadRows) -> Rows:
        """Read on."""
        query = "SELECT seq, text FROM rows WHERE seq > ? ORDER BY seq LIMIT 500"
        return Rows(tuple(self.db.execute(query, (request.seq,)).fetchall()))

    @answers(Misbehave)
    def misbehave(self, request: Misbehave) -> Message | Later:
        """Do as told."""
        if request.how == "refuse":
            raise Refused("not now", "later")
        if request.how == "crash":
            raise ValueError("a bug")
        if request.how == "wrong":
            return Added(0, 0)
        if request.how == "later":
            later = Later()
            self.aside(lambda: time.sleep(request.seconds) or Done(), then=later, failed=later)
            return later
        time.sleep(request.seconds)
        return Done()

    @answers(Flood)
    def flood(self, request: Flood) -> Done:
        """Publish a lot."""
        for seq in range(request.count):
            self.publish(RowAdded(seq, b"x" * request.size))
        return Done()

    @every(seconds=0.05)
    def tick(self) -> None:
        """Count."""
        self.ticks += 1

    def on_nudge(self, data: bytes) -> None:
        """A datagram becomes a row."""
        self.db.execute("INSERT INTO rows (text) VALUES (?)", (data.decode(),))
        self._publish_last()

    def on_supervision(self, event: dict[str, Any]) -> None:
        """So does what orchd says."""
        self.db.execute("INSERT INTO rows (text) VALUES (?)", (f"orchd: {event['name']}",))

    def _publish_last(self) -> None:
        last = self.db.execute("SELECT max(seq) FROM rows").fetchone()[0] or 0
        self.publish(RowAdded(last))


class Hearer(Service):
    """Follows the toy's rows: rings on events, reads the truth, keeps where it is."""

    name = "hearer"

    def setup(self) -> None:
        """Open the copy."""
        self.db = sqlite3.connect(self.home.root / "hearer.db", isolation_level=None, timeout=5)
        self.db.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
            "CREATE TABLE IF NOT EXISTS seen (seq INTEGER PRIMARY KEY, text, at REAL);"
        )

    @on(RowAdded)
    @every(seconds=1)
    def read_on(self, _event: RowAdded | None = None) -> None:
        """Read the truth until there is no more of it."""
        while True:
            last = self.db.execute("SELECT max(seq) FROM seen").fetchone()[0] or 0
            rows = self.ask(ReadRows(last)).rows
            self.db.execute("BEGIN IMMEDIATE")
            with self.db:
                stamped = [(*row, time.monotonic()) for row in rows]
                self.db.executemany("INSERT INTO seen VALUES (?, ?, ?)", stamped)
            if len(rows) < 500:
                return


def main() -> None:
    """Run the service that `ORCH_SERVICE` names."""
    kind = {"toy": Toy, "hearer": Hearer}[os.environ["ORCH_SERVICE"]]
    raise SystemExit(run(kind))


if __name__ == "__main__":
    main()
