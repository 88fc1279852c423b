"""Sessions of agents that speak a machine protocol: how a test plays one, and reads it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orch import agents
from orch.agents.plain import strip_ansi
from orch.model import Verdict
from orch.session.launch import State
from tests.support.scratch_sessions import Run, Sessions, sessions, until

FAKE = Path(__file__).with_name("fake_claude.py")
DONE = json.dumps({"status": "done", "summary": "all well"})


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def play(world: Sessions, *script: list[Any], mode: str = "supervised", **more: Any) -> Run:
    """Run a script as an agent; it is told `do the work`."""
    name = f"script-{len(world.runs)}"
    (world.root / f"{name}.json").write_text(json.dumps(script))
    (world.root / f"{name}.md").write_text("do the work\n")
    return world.start(
        sys.executable,
        str(FAKE),
        str(world.root / f"{name}.json"),
        protocol="structured",
        dialect="claude",
        settings={"permissions": mode, "worktree": str(world.root)},
        prompt=str(world.root / f"{name}.md"),
        **more,
    )


def shown(run: Run) -> str:
    """What the pane showed, as plain text."""
    return strip_ansi(run.log.decode())


def state(run: Run) -> State:
    """What the agent does, by its file."""
    return until(lambda: run.world.host.state(run.folder), "its state")


def question(run: Run) -> dict[str, Any]:
    """Wait until the agent asks something."""
    return until(lambda: state(run).question, "the question") or {}


def events(run: Run) -> list[Any]:
    """The record of messages."""
    return [json.loads(line) for line in (run.folder / "events.jsonl").read_bytes().splitlines()]


def sent(run: Run) -> list[Any]:
    """The texts that the agent was sent."""
    found = [event["orch_sent"] for event in events(run) if "orch_sent" in event]
    return [one["message"]["content"][0]["text"] for one in found if one["type"] == "user"]


def judged(run: Run) -> Verdict:
    """The verdict, as the engine makes it."""
    result, folder = run.ends(), run.folder
    ended = agents.Ended(
        ended_by=result.ended_by,
        exit_code=result.exit_code,
        signal=result.signal,
        message=result.message,
        ended_at=result.ended_at,
    )
    lines = tuple((folder / "events.jsonl").read_bytes().splitlines())
    errors = (folder / "stderr.txt").read_text(errors="replace")
    return agents.verdict("claude", agents.Recorded(result=ended, events=lines, stderr=errors))
