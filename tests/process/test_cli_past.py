"""What a task left: its diff from real git, its files, its recording."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.cli.main import run
from orch.paths import Home
from tests.process.canned_engine import Canned, attempt


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    command = ["git", *identity, *words]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def canned(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    monkeypatch.setenv("ORCH_HOME", str(short_home))
    repo = short_home / "repo"
    repo.mkdir()
    git(repo, "init", "-q", "-b", "main")
    (repo / ".orch.yml").write_text("gh:\n  repo: octo/demo\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "begin")
    base = git(repo, "rev-parse", "HEAD")
    git(repo, "checkout", "-qb", "orch/int-1-hello")
    (repo / "hello.txt").write_text("hi\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "hello")
    git(repo, "checkout", "-q", "main")
    monkeypatch.chdir(repo)
    folder = short_home / "a1"
    folder.mkdir()
    (folder / "terminal.log").write_bytes(b"one\ntwo\n")
    (folder / "terminal.timing").write_text("t 1714564800.0\nr 0.0 80 24\no 0.001 4\no 0.002 8\n")
    made = Canned(Home(short_home))
    made.engine.put(key="int-1", status="done")
    made.engine.log_event("task_changed", "int-1", status="done")
    made.engine.attempts["int-1"] = (
        attempt(phase="ended", branch="orch/int-1-hello", base=base, folder=str(folder)),
    )
    yield made
    made.close()


def test_the_diff_is_that_of_the_branch_even_without_its_worktree(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["task", "diff", "1"]) == 0
    out = capsys.readouterr().out
    assert "+++ b/hello.txt\n@@ -0,0 +1 @@\n+hi\n" in out
    assert "1 file changed" in out
    assert run(["task", "diff", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"id", "base", "branch", "diff"}


def test_a_task_without_a_branch_has_no_diff(
    canned: Canned, capsys: pytest.CaptureFixture[str]
) -> None:
    canned.engine.put(key="int-2")
    assert run(["task", "diff", "2"]) == 4
    assert "int-2 has no branch yet" in capsys.readouterr().err


def test_the_log_names_events_and_files(canned: Canned, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["task", "log", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [event["name"] for event in found["events"]] == ["task_changed"]
    assert {"name": "terminal.log", "bytes": 8} in found["attempts"][0]["files"]
    assert run(["task", "log", "1"]) == 0
    out = capsys.readouterr().out
    assert "task_changed  done" in out
    assert "terminal.log              8 B" in out


def test_a_replay_prints_what_was_printed_or_writes_a_cast(
    canned: Canned, capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    assert run(["task", "replay", "1", "--speed", "1000"]) == 0
    assert capsysbinary.readouterr().out == b"one\ntwo\n"
    file = tmp_path / "s.cast"
    assert run(["task", "replay", "1", "--cast", str(file)]) == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert (lines[0]["version"], lines[0]["width"]) == (2, 80)
    assert lines[1:] == [[0.001, "o", "one\r\n"], [0.002, "o", "two\r\n"]]
    assert run(["task", "replay", "1", "--attempt", "2"]) == 4
    assert run(["task", "replay", "1", "--cast", str(tmp_path / "no" / "s.cast")]) == 1
