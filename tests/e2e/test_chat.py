"""A conversation: begun, left and come back to, over the death of everything but itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.pane import Pane

TALKER = """\
import os, pathlib, subprocess, sys
print("talker", os.getpid(), "in", os.getcwd(), flush=True)
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "bye":
        break
    if word == "die":
        print("oh no", flush=True)
        sys.exit(7)
    if word == "stay":
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    if word == "env":
        print("has", *sorted(os.environ), flush=True)
    if word == "told":
        print(pathlib.Path(os.environ["ORCH_SYSTEM_FILE"]).read_text()[:200], flush=True)
    if word == "orch":
        subprocess.run(["orch", *rest.split()])
    if word == "who":
        print("still talker", os.getpid(), flush=True)
"""


@pytest.fixture
def talker(world) -> Any:
    """A world whose agent to talk with is a script."""
    script = world.root / "talker.py"
    script.write_text(TALKER)
    command = json.dumps([sys.executable, str(script)])
    agent = f"agents:\n  talker: {{protocol: terminal, command: {command}}}\n  script:"
    text = world.home.config.read_text()
    world.home.config.write_text(text.replace("agents:\n  script:", agent))
    world.env["SECRET_TOKEN"] = "s3cret"
    return world


def chat(world: Any, *more: str, cwd: Path | None = None) -> Pane:
    argv = [sys.executable, "-m", "orch", "chat", *more]
    return Pane(world.root / "t.sock", argv, world.env, cwd or world.repo)


def pids(world: Any) -> list[int]:
    """The talkers that live."""
    script = str(world.root / "talker.py")
    return [p.pid for p in psutil.process_iter(["cmdline"]) if script in (p.info["cmdline"] or ())]


def test_a_conversation_outlives_orchd_and_is_come_back_to(talker) -> None:
    world = talker
    world.up()
    task = world.add("Be seen in the talk", "say x")
    pane = chat(world)
    try:
        pane.shows("talker", f"in {world.repo}")
        pane.type("orch task list --all\n")
        pane.shows("Be seen in the talk")
        pane.type("told\n")
        pane.shows("You are orch, an orchestrator")
        pane.type("env\n")
        seen = pane.shows("ORCH_HOME", "ORCH_RUN").replace("\n", "")
        assert "SECRET_TOKEN" not in seen
        pane.type("orch chat\n")
        pane.shows("you are in the conversation already")
        pane.press("C-b", "d")
        pane.shows("the conversation goes on", "left 0")
    finally:
        pane.close()
    (pid,) = pids(world)

    world.wait_for(task=task, status="done")
    items = world.orch("gc", "--json").json
    [verdict] = [one["verdict"] for one in items if one["name"] == "orch-main"]
    assert verdict == "stays: the conversation of `orch chat`"
    world.kill("engine")
    world.kill("orchd")
    world.orchd.wait(30)
    pane = chat(world)
    try:
        pane.shows("orch chat")
        pane.type("who\n")
        pane.shows(f"still talker {pid}")
        world.start()
        world.until(world.all_ready, "everything is back")
        pane.type("orch task list --all\n")
        pane.shows("Be seen in the talk")
        assert pids(world) == [pid]
        pane.type("stay\n")
        pane.type("bye\n")
        pane.shows("the conversation has ended", "left 0")
    finally:
        pane.close()
    world.until(lambda: not sleepers(world), "what it left behind has ended")
    assert world.task(task)["status"] == "done"


def sleepers(world: Any) -> list[int]:
    """Processes that a conversation of this home left running."""
    mark = f"{world.home.root}:chat:"
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ORCH_RUN", "").startswith(mark):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_another_conversation_begins_only_when_it_is_asked_for(talker) -> None:
    world = talker
    first = world.orch("chat", "--json").json
    assert (first["session"], first["agent"]) == ("orch-main", "talker")
    assert world.orch("chat", "--json").json == first
    ran = world.orch("chat", "--agent", "script", "--json", ok=False)
    assert "a conversation with talker goes on" in ran.json["error"]["message"]
    world.until(lambda: len(pids(world)) == 1, "the talker")
    (pid,) = pids(world)
    second = world.orch("chat", "--new", "--json").json
    assert second["folder"] != first["folder"]
    assert not psutil.pid_exists(pid)
    world.until(lambda: len(pids(world)) == 1, "the next talker")
    assert (Path(first["folder"]) / "exit.txt").exists()


def test_an_agent_that_fails_is_shown_with_its_last_words(talker) -> None:
    pane = chat(talker)
    try:
        pane.shows("talker")
        pane.type("die\n")
        pane.shows("oh no", "talker left: exit code 7", "left 1")
    finally:
        pane.close()


def test_without_an_agent_it_says_how_to_get_one(world) -> None:
    ran = world.orch("chat", "--json", ok=False)
    assert "no agent is installed that can be talked with" in ran.json["error"]["message"]
    assert "npm install -g @anthropic-ai/claude-code" in ran.json["error"]["hint"]
    ran = world.orch("chat", "--agent", "script", "--json", ok=False)
    assert "script cannot be talked with" in ran.json["error"]["message"]
    ran = world.orch("chat", ok=False)
    assert "needs a terminal" in ran.err
