"""What rested before there were accounts rests on, each for whom it concerned."""

from __future__ import annotations

from pathlib import Path

import apsw

from orch.model import Rest
from orch.store import cooldowns
from orch.store.db import Store

MIGRATIONS = Path(cooldowns.__file__).parent / "migrations"


def test_what_rested_before_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "orch.db"
    old = apsw.Connection(str(path))
    for script in sorted(MIGRATIONS.glob("000[1-6]_*.sql")):
        old.execute(script.read_text())
    for row in (
        ("claude", "", 50.0, "limit", 0),
        ("claude", "opus", 90.0, "limit of opus", 0),
        ("codex", "", 1.0, "auth: 401", 1),
        ("cli", "", 1.0, "missing_tool: no rg", 1),
        ("old", "", 1.0, "launch_failed: bad flag", 1),
    ):
        old.execute("INSERT INTO cooldowns VALUES (?, ?, ?, ?, ?)", row)
    old.execute("PRAGMA user_version = 6")
    old.close()

    store = Store(path)
    assert cooldowns.lasting(store, 10.0) == (
        Rest(agent="cli", until=1.0, reason="missing_tool: no rg", broken=True),
        Rest(agent="old", until=1.0, reason="launch_failed: bad flag", broken=True),
        Rest(account="claude", until=50.0, reason="limit"),
        Rest(account="claude", model="opus", until=90.0, reason="limit of opus"),
        Rest(account="codex", until=1.0, reason="auth: 401", broken=True),
    )
    store.close()
