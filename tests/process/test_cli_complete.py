"""Shell completion knows what lives, and says nothing when nothing does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.paths import Home
from tests.process.canned_engine import Canned


@pytest.fixture
def canned(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    monkeypatch.setenv("ORCH_HOME", str(short_home))
    monkeypatch.chdir(short_home)
    made = Canned(Home(short_home))
    made.engine.put(key="int-1", title="Say hello")
    made.engine.put(key="int-2", title="Say more")
    yield made
    made.close()


def completed(words: str) -> list[str]:
    """What bash is offered for the last of `words`."""
    split = words.split(" ")
    ran = subprocess.run(
        [sys.executable, "-m", "orch"],
        env={
            **os.environ,
            "_ORCH_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(split) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.stderr == ""
    return [line.partition(",")[2] for line in ran.stdout.splitlines() if line]


def test_names_of_commands_options_ids_and_agents_are_completed(canned: Canned) -> None:
    assert completed("orch sta") == ["status"]
    assert completed("orch task re") == ["retry", "reroute", "review", "release", "replay"]
    assert "--watch" in completed("orch task add --wa")
    assert completed("orch task get int-") == ["int-1", "int-2"]
    assert "shell" in completed("orch task add x --agent sh")
    assert completed("orch log ca") == ["capture"]


def test_without_orchd_completion_is_silent(
    short_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_HOME", str(short_home / "none"))
    assert completed("orch task get int-") == []
    assert completed("orch log sch") == ["scheduler"]
