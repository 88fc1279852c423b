"""Seven clients write flat out beside a held snapshot: nobody meets BUSY, and the WAL shrinks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import closing
from urllib.parse import quote

import pytest

from orch.client import Client
from orch.messages import AddTask, SetMeta
from tests.support.world import World

SECONDS = float(os.environ.get("ORCH_SNAPSHOT_SECONDS", "60"))
WRITERS = 7
SMALL_BYTES = 8 << 20
"""What a WAL may keep for the next writes."""


class Writer(threading.Thread):
    """A client that adds tasks and writes on them until it is told to stop."""

    def __init__(self, world: World, number: int, over: threading.Event) -> None:
        super().__init__(name=f"writer-{number}")
        self.world = world
        self.over = over
        self.added: list[str] = []
        self.failed: list[str] = []
        self.slowest = 0.0

    def run(self) -> None:
        """Write until it is over; whatever is refused is kept."""
        with Client(self.world.home) as client:
            while not self.over.is_set():
                title = f"{self.name} {len(self.added)}"
                began = time.monotonic()
                try:
                    made = client.ask(AddTask(title, "octo/demo", body="x" * 2000), timeout=30.0)
                    client.ask(SetMeta(made.id, {"by": self.name}), timeout=30.0)
                except Exception as error:
                    self.failed.append(repr(error))
                    continue
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.added.append(made.id)


@pytest.mark.timeout(400)
def test_writers_flat_out_beside_a_held_snapshot_never_meet_a_busy_database(world: World):
    world.configure(max_parallel=1)
    world.up()
    held = world.add("Hold the only slot", f"wait {world.root / 'never'}")
    wal = world.home.db.with_name("orch.db-wal")
    over = threading.Event()
    writers = [Writer(world, number, over) for number in range(WRITERS)]
    address = f"file:{quote(os.fspath(world.home.db))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        [before] = reader.execute("SELECT count(*) FROM tasks").fetchone()
        for writer in writers:
            writer.start()
        over.wait(SECONDS)  # how long the snapshot is held: the point of the test
        [during] = reader.execute("SELECT count(*) FROM tasks").fetchone()
        grown = wal.stat().st_size
        reader.execute("COMMIT")
    over.set()
    for writer in writers:
        writer.join(60)

    added = [task for writer in writers for task in writer.added]
    slowest = max(writer.slowest for writer in writers)
    print(f"{len(added)} tasks in {SECONDS:g} s, WAL {grown >> 20} MiB, slowest {slowest:.2f} s")
    assert [failure for writer in writers for failure in writer.failed] == []
    assert before == during == 1, "the reader saw its snapshot throughout"
    assert len(set(added)) == len(added) > WRITERS
    assert grown > SMALL_BYTES, "nothing could be taken out of the WAL meanwhile"
    engine = world.home.log("engine").read_text()
    assert "cannot be written" not in engine
    assert "busy" not in engine.lower()
    world.until(lambda: wal.stat().st_size <= SMALL_BYTES, "the WAL shrinks", seconds=90)
    with closing(sqlite3.connect(address, uri=True)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        keys = {row[0] for row in reader.execute("SELECT key FROM tasks")}
        metas = {row[0] for row in reader.execute("SELECT task FROM meta WHERE key = 'by'")}
    assert keys == {held, *added}
    assert metas == set(added)
