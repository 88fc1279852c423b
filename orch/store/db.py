"""The database file: opening, migrations with a backup first, and fenced transactions."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from orch.errors import Refused, Unknown

BUSY_MILLISECONDS = 5000

WAL_BYTES = 4 << 20
"""What the write-ahead log may keep on disk once everything in it has been moved into the database.
A reader that holds an old snapshot makes it grow beyond that, for as long as it does."""

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Fenced(Refused):
    """A newer engine has taken over this database; this one must leave."""


class Store:
    """One connection to `orch.db`. Written by the engine alone; every write is a transaction."""

    def __init__(self, path: Path) -> None:
        """Open (and bring up to date) the database. Raises `Refused` on a newer schema, `Unknown`
        when the file cannot be used."""
        self.path = path
        self.epoch = 0
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self.db = apsw.Connection(str(path))
            self.db.set_busy_timeout(BUSY_MILLISECONDS)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self.db.execute(f"PRAGMA {pragma}").fetchall()
            self.db.execute("PRAGMA wal_autocheckpoint=1000").fetchall()
            self.db.execute(f"PRAGMA journal_size_limit={WAL_BYTES}").fetchall()
            migrate(self)
        except (apsw.Error, OSError) as error:
            raise Unknown(
                f"the database {path} cannot be used: {error}", "see `orch doctor`"
            ) from error

    @classmethod
    def reader(cls, path: Path) -> Store:
        """One more connection, for reading aside; raises `Unknown` when it cannot be had."""
        made = cls.__new__(cls)
        made.path, made.epoch = path, 0
        try:
            made.db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            made.db.set_busy_timeout(BUSY_MILLISECONDS)
        except apsw.Error as error:
            raise Unknown(f"the database {path} cannot be read: {error}") from error
        return made

    def take_over(self) -> None:
        """Become the only writer: whoever wrote before is fenced off."""
        with self.transaction(fenced=False):
            self.execute(
                "INSERT INTO cursors (name, value) VALUES ('engine', 1)"
                " ON CONFLICT (name) DO UPDATE SET value = value + 1"
            )
            self.epoch = int(self.one("SELECT value FROM cursors WHERE name = 'engine'")[0])

    @contextmanager
    def transaction(self, *, fenced: bool = True) -> Iterator[None]:
        """All or nothing; may be nested (the outermost commits). Raises `Fenced` when another
        engine took over, `Unknown` when SQLite cannot write (disk full, locked, corrupt)."""
        if self.db.in_transaction:
            yield
            return
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                if fenced and self.epoch:
                    self._check_epoch()
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise
        except apsw.ConstraintError:
            raise
        except apsw.Error as error:
            raise Unknown(f"the database cannot be written: {error}", "free some disk") from error

    def execute(self, sql: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> apsw.Cursor:
        """Run one statement."""
        return self.db.execute(sql, values)

    def one(self, sql: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> tuple[Any, ...]:
        """The first row, or () when there is none."""
        row = self.db.execute(sql, values).fetchone()
        return tuple(row) if row is not None else ()

    def rows(self, sql: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> list[dict[str, Any]]:
        """All rows as dicts by column name."""
        cursor = self.db.execute(sql, values)
        try:
            names = [column[0] for column in cursor.get_description()]
        except apsw.ExecutionCompleteError:
            return []
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def check(self) -> str:
        """'' when the database is whole, else what SQLite says is wrong."""
        said = [str(row[0]) for row in self.db.execute("PRAGMA quick_check")]
        return "" if said == ["ok"] else "; ".join(said[:5])

    def wal_bytes(self) -> int:
        """How large the write-ahead log is on disk."""
        try:
            return self.path.with_name(f"{self.path.name}-wal").stat().st_size
        except OSError:
            return 0

    def shrink(self) -> bool:
        """Move the write-ahead log into the database and cut its file, unless a reader is in the
        way, who is never waited for; whether it was done."""
        try:
            self.db.set_busy_timeout(0)
            return self.one("PRAGMA wal_checkpoint(TRUNCATE)")[:1] == (0,)
        except apsw.Error:
            return False
        finally:
            self.db.set_busy_timeout(BUSY_MILLISECONDS)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def _check_epoch(self) -> None:
        row = self.one("SELECT value FROM cursors WHERE name = 'engine'")
        if not row or int(row[0]) != self.epoch:
            raise Fenced("another engine has taken over the database")


def packed(value: Any) -> str:
    """A value as the JSON text of a column."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unpacked(text: str | None) -> Any:
    """The value of a JSON column; None stays None."""
    return None if text is None else json.loads(text)


def migrate(store: Store) -> None:
    """Bring the schema up to date, one transaction a migration, after a backup of what is there.
    Raises `Refused` when the database is newer than this program."""
    scripts = _scripts()
    version = int(store.one("PRAGMA user_version")[0])
    if version > len(scripts):
        raise Refused(
            f"the database {store.path} has schema {version}, this orch knows {len(scripts)}",
            "install the newer orch again",
        )
    if version == len(scripts):
        return
    if version:
        _back_up(store, version)
    for number, (name, sql) in enumerate(scripts[version:], start=version + 1):
        with store.transaction(fenced=False):
            store.execute(sql)
            store.execute(
                "INSERT INTO schema_history (version, name, at) VALUES (?, ?, ?)",
                (number, name, time.time()),
            )
            store.execute(f"PRAGMA user_version = {number}")


def _scripts() -> list[tuple[str, str]]:
    folder = Path(__file__).with_name("migrations")
    found = [
        (match[2], path)
        for path in sorted(folder.iterdir())
        if (match := _NAME.fullmatch(path.name))
    ]
    return [(name, path.read_text()) for name, path in found]


def _back_up(store: Store, version: int) -> None:
    target = store.path.with_name(f"{store.path.name}.before-{version + 1}")
    copy = apsw.Connection(str(target))
    with copy.backup("main", store.db, "main") as backup:
        while not backup.done:
            backup.step(1000)
    copy.close()
