"""Anything is killed at random under load: every task ends done, once, and no byte is missing."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from tests.support.world import World

SEED = int(os.environ.get("ORCH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
SECONDS = float(os.environ.get("ORCH_STORM_SECONDS", "60"))
VICTIMS = ("engine", "scheduler", "capture", "orchd")


def add(world: World, title: str, *does: str) -> str:
    """Add a task whatever is dead just now: the same key is the same task."""
    body = "\n".join(f"do: {one}" for one in does)
    deadline = time.monotonic() + 60
    while True:
        ran = world.orch(
            "task", "add", "--key", title, "-b", "-", "--json", title, text=body, ok=None
        )
        if ran.code == 0:
            return ran.json["id"]
        assert ran.code == 3, ran
        assert time.monotonic() < deadline, ran


def strike(world: World, victim: str) -> None:
    """Kill one process; a dead orchd is started again, as launchd or systemd would."""
    if victim == "orchd":
        world.orchd.kill()
        world.orchd.wait()
        world.start()
        return
    for process in psutil.process_iter():
        try:
            told = " ".join(process.cmdline())
            if f"orch-{victim}" in told and str(world.home.root) in told:
                process.kill()
        except psutil.Error:
            continue


def heard(lines: list[str]) -> dict[str, bytes]:
    """What `orch tail --json` printed, per session; a gap or a repeat fails here."""
    sessions: dict[str, bytes] = defaultdict(bytes)
    for line in lines:
        item = json.loads(line)
        if item["kind"] != "output":
            continue
        data = base64.b64decode(item["base64"]) if "base64" in item else item["text"].encode()
        session = item["session"]
        assert item["offset"] == len(sessions[session]), (session, item["offset"])
        sessions[session] += data
    return sessions


@pytest.mark.timeout(600)
def test_a_storm_of_kills_loses_and_doubles_nothing(world: World):
    print(f"seed {SEED}: repeat with ORCH_SEED={SEED}")
    chance = random.Random(SEED)
    world.start()
    world.until(world.all_ready, "every service ready")
    said = (world.root / "tail.jsonl").open("w+")
    world.follow("tail", "--json", "--since", "0", into=said)
    ran = world.root / "ran"
    ends = time.monotonic() + SECONDS
    added: list[str] = []
    struck: list[str] = []
    while time.monotonic() < ends:
        if len(added) < SECONDS * 1.5:
            n = len(added)
            added.append(
                add(world, f"storm-{n}", f"count {ran}", f"slow {chance.randrange(5, 60)} 20",
                    f"write f{n}.txt {n}", "say end")
            )  # fmt: skip
        if chance.random() < 0.6:
            victim = chance.choice(VICTIMS)
            struck.append(victim)
            strike(world, victim)
    world.until(world.all_ready, "every service ready")
    done = world.wait_all_done(len(added), seconds=200)
    assert {task.key for task in done} == set(added)
    print(f"{len(added)} tasks, {len(struck)} kills: { {v: struck.count(v) for v in VICTIMS} }")
    logs = {}
    for task in added:
        shown = world.task(task)
        assert [a["outcome"] for a in shown["attempts"]] == ["done"], shown
        files = world.git("diff", "--name-only", f"main...{shown['branch']}").split()
        assert files == [f"f{added.index(task)}.txt"]
        [attempt] = shown["attempts"]
        logs[attempt["session"]] = (Path(attempt["folder"]) / "terminal.log").read_bytes()
    assert ran.stat().st_size == len(added), "an agent ran twice"

    def all_heard() -> bool:
        said.flush()
        text = (world.root / "tail.jsonl").read_text()
        return heard(text[: text.rfind("\n") + 1].splitlines()) == logs

    world.until(all_heard, "tail printed every log, byte for byte", seconds=30)
    said.close()
    assert len(world.git("worktree", "list").splitlines()) == len(added) + 1
