"""What lies on disk: measured by task; old logs and copies of the database; links left alone."""

from __future__ import annotations

import os
from pathlib import Path

from orch.core.keeping import DAY
from orch.paths import Home
from services.engine import artifacts

NOW = 1_000 * DAY


def put(path: Path, size: int = 10, days: float = 0) -> Path:
    """A file of so many bytes that was changed so many days ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - days * DAY,) * 2)
    return path


def test_each_tasks_artifacts_are_measured_and_those_of_nobody_passed_over(tmp_path: Path):
    home = Home(tmp_path)
    put(home.state / "internal/tasks/int-1/attempts/1/terminal.log", 100)
    put(home.state / "internal/tasks/int-1/attempts/2/deep/er.txt", 20)
    put(home.state / "internal/tasks/int-1/sidecar.json", 5000)
    put(home.state / "o/r/tasks/42/attempts/1/terminal.log", 7)
    put(home.state / "who/knows/tasks/1/attempts/1/terminal.log", 7)
    put(home.state / "internal/tasks/int-2/sidecar.json")
    outside = put(tmp_path / "outside" / "big", 9000)
    (home.state / "internal/tasks/int-1/attempts/1/link").symlink_to(outside.parent)

    found = {one.key: one for one in artifacts.measured(home, {"o/r": "o/r"})}

    assert set(found) == {"int-1", "o/r#42"}
    assert 120 <= found["int-1"].size < 1000
    assert artifacts.remove([one.folder for one in found.values()]) == []
    assert artifacts.remove([found["int-1"].folder]) == [], "gone already is as good"
    assert outside.exists()
    assert (home.state / "internal/tasks/int-1/sidecar.json").exists()


def test_old_logs_and_copies_of_the_database_may_go_but_never_the_newest_copy(tmp_path: Path):
    home = Home(tmp_path)
    old = put(home.logs / "engine.log.2", days=91)
    put(home.logs / "engine.log.1", days=2)
    put(home.logs / "engine.log", days=200)
    oldest = put(tmp_path / "orch.db.before-2", days=400)
    put(tmp_path / "orch.db.before-3", days=300)
    put(home.db, days=500)
    found = list(artifacts.old_files(home, NOW, 90))
    assert found == [("log", old), ("backup", oldest)]
