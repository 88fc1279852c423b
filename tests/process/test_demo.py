"""`orch demo` as a person sees it, and what it leaves behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.world import ROOT, survivors


@pytest.fixture
def demo(short_home: Path) -> Iterator[dict[str, str]]:
    """The environment of a demo; its person's own home stays untouched."""
    own = {"HOME": str(short_home), "ORCH_HOME": str(short_home / "untouched"), "NO_COLOR": "1"}
    yield {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **own}
    assert not (short_home / "untouched").exists(), "the person's own home was touched"


def start(env: dict[str, str], *options: str) -> subprocess.Popen[str]:
    """Start `orch demo`."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "orch", "demo", *options],
        env=env,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def scratch_of(text: str) -> Path:
    """The demo's scratch folder, as it tells it."""
    return Path(next(word for word in text.split() if word.startswith("/tmp/orch-demo-"))).parent


def check_gone(scratch: Path) -> None:
    """Fail unless the folder is gone, and within a moment every process that names it."""
    assert not scratch.exists()
    deadline = time.monotonic() + 10
    while (left := survivors(scratch)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def test_the_demo_tells_a_whole_story_live_and_leaves_nothing(demo):
    process = start(demo, "--json")
    told = [(time.monotonic(), json.loads(line)) for line in process.stdout]
    assert process.wait(30) == 0, process.stderr.read()

    stages = [line for _, line in told if line["kind"] == "stage"]
    output = [(at, line["text"]) for at, line in told if line["kind"] == "output"]
    text = "".join(said for _, said in output)
    assert text.index("not ok  Ada") < text.index("ok      Dennis Ritchie")
    assert output[-1][0] - output[0][0] > 1, "lines come while the work goes on"
    assert any(line.get("status") == "done" for line in stages)
    assert any('+echo "Hello, ${1:-world}!"' in line.get("diff", "") for line in stages)
    assert stages[-1]["text"] == "everything is stopped and removed"
    check_gone(scratch_of(stages[0]["text"]))


@pytest.mark.parametrize(
    "number, moment",
    [
        (signal.SIGINT, "not ok"),
        (signal.SIGTERM, "not ok"),
        (signal.SIGINT, "scratch project"),
        (signal.SIGHUP, "added"),
    ],
)
def test_an_interrupted_demo_leaves_nothing_either(demo, number, moment):
    process = start(demo)
    seen = ""
    while moment not in seen:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        seen += line
    scratch = scratch_of(seen)
    assert scratch.exists()

    process.send_signal(number)

    assert process.wait(30) == 130
    check_gone(scratch)


def test_a_demo_with_an_unknown_agent_says_which_there_are(demo):
    process = start(demo, "--agent", "nobody")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 4
    assert "there are claude, codex, kimi, minimax, opencode, shell" in errors
