"""`orch parse` on recorded runs: files, standard input, and the folder of an attempt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orch.cli.main import run

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def parse(tmp_path, monkeypatch, capsys):
    """Runs `orch parse --json` on a home of its own, in New York; gives exit code and document."""
    monkeypatch.setenv("ORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = run(("parse", "--json", *map(str, words)))
        return code, json.loads(capsys.readouterr().out)

    return call


def recording(cli, scenario):
    return GOLDEN / "recordings" / cli / f"{scenario}.out"


@pytest.mark.parametrize(
    ("cli", "scenario"),
    [
        ("claude", "e401-stream"),
        ("codex", "resume-bad"),
        ("opencode", "ok"),
        ("qwen", "context-stream"),
        ("gemini", "ok-json"),
    ],
)
def test_every_cli_is_understood(parse, cli, scenario):
    expected = json.loads((GOLDEN / f"verdicts_{cli}.json").read_text())[scenario]
    out = recording(cli, scenario)
    err = out.with_suffix(".err")
    errors = ("--stderr", err) if err.exists() else ()

    code, said = parse("--agent", cli, "--exit", expected["code"], *errors, out)

    usage = said.pop("usage")
    assert code == 0
    assert set(said) == {"ok", "class", "message", "retry_at", "answer", "native_session"}
    assert (said["ok"], said["class"]) == (expected["class"] is None, expected["class"])
    assert [
        usage[f"{kind}_tokens"] for kind in ("input", "output", "cache_read", "cache_write")
    ] == (expected["tokens"])
    assert said["native_session"] == expected["session"]


def test_a_clock_time_is_the_machines_and_seen_from_when_the_file_was_written(parse, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_bytes(recording("codex", "usage").read_bytes())
    at = datetime(2026, 11, 22, 15, 0, tzinfo=UTC).timestamp()
    os.utime(out, (at, at))

    _, said = parse("--agent", "codex", "--exit", "1", out)

    assert (said["class"], said["retry_at"]) == ("usage_limit", "2026-11-22T18:31:00.000Z")


@pytest.mark.parametrize(
    ("agent", "log", "error"),
    [("codex", "events.jsonl", "network"), ("opencode", "terminal.log", "timeout")],
)
def test_the_folder_of_an_attempt_is_read_with_how_its_session_ended(
    parse, tmp_path, agent, log, error
):
    scenario = {"codex": "refused", "opencode": "cut"}[agent]
    (tmp_path / "terminal.log").write_text("")
    (tmp_path / log).write_bytes(recording(agent, scenario).read_bytes())
    ended = {"ended_by": "timeout", "signal": 15, "ended_at": 1795344109.0}
    (tmp_path / "result.json").write_text(json.dumps(ended))
    (tmp_path / "exit.txt").write_text("-15\n")

    _, said = parse("--agent", agent, tmp_path)

    assert said["class"] == error


def test_standard_input_is_read_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "orch", "parse", "--json", "--agent", "claude", "-"],
        input=recording("claude", "ok-stream").read_bytes(),
        env={**os.environ, "ORCH_HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["ok"] is True


def test_an_agent_that_nobody_knows_is_an_error_that_names_the_known(parse):
    code, said = parse("--agent", "nobody", "out.txt")
    assert code == 4
    assert "codex" in said["error"]["hint"]


def test_a_file_that_is_missing_is_an_error(parse):
    code, said = parse("--agent", "codex", "missing.jsonl")
    assert (code, said["error"]["class"]) == (4, "NotFound")
