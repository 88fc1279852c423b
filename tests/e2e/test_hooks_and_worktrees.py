"""Hooks by the real command: told of what happens, delaying nothing, and preparing worktrees."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tests.support.world import World

WRITE = 'cat > "$OUT/$ORCH_HOOK.$ORCH_SEQ.part" && mv "$OUT/$ORCH_HOOK.$ORCH_SEQ.part" '
LINE = WRITE + '"$OUT/$ORCH_HOOK.$ORCH_SEQ"; printf "%s" "$ORCH_TITLE" > "$OUT/title"'
"""A hook that keeps what it was told, in a file of its own."""


def hooked(world: World, *hooks: str, more: str = "") -> Path:
    """Configure these hooks to write into the folder that is returned."""
    out = world.root / "out"
    out.mkdir(exist_ok=True)
    line = json.dumps(f"OUT={shlex.quote(str(out))}; {LINE}")
    world.configure("hooks:\n" + "".join(f"  {hook}: {line}\n" for hook in hooks) + more)
    return out


def told(out: Path, hook: str) -> list[dict[str, Any]]:
    """What a hook was told, in its order."""
    files = [file for file in out.glob(f"{hook}.*") if not file.name.endswith(".part")]
    ordered = sorted(files, key=lambda file: int(file.name.rpartition(".")[2]))
    return [json.loads(file.read_bytes()) for file in ordered]


def test_hooks_hear_a_tasks_whole_life_and_no_history(world):
    kinds = ("on_task_created", "on_task_routed", "on_task_started", "on_worktree_created",
             "on_session_started", "on_session_ended", "on_task_completed", "on_task_failed",
             "on_service_started", "on_service_stopped", "on_notice_given")  # fmt: skip
    world.up()
    before = world.add("Before there were hooks", "say one")
    world.wait_for(task=before, status="done")
    out = hooked(world, *kinds)
    world.until(lambda: "hooks.on_task_created" in world.logs(), "the config applied")
    title = "$(touch pwned) `touch pwned` ; touch pwned 'ü"

    good = world.add(title, "write a.txt a")
    world.wait_for(task=good, status="done")
    bad = world.add("Bad", 'answer {"status": "needs_review", "reason": "look"}')
    world.wait_for(task=bad, status="needs_review")
    world.orch("service", "restart", "capture")

    def heard() -> dict[str, int]:
        return {kind: len(told(out, kind)) for kind in kinds}

    wanted = {
        **dict.fromkeys(kinds, 2), "on_task_completed": 1, "on_task_failed": 1,
        "on_service_started": 1, "on_service_stopped": 1, "on_notice_given": 1,
    }  # fmt: skip
    world.until(lambda: heard() == wanted, "every hook", show=lambda: str(heard()))
    created, _ = told(out, "on_task_created")
    assert (created["task"]["id"], created["task"]["title"]) == (good, title)
    assert (created["event"], created["data"]["source"]) == ("task_added", "cli")
    assert told(out, "on_task_completed")[0]["task"]["id"] == good
    assert told(out, "on_service_stopped")[0]["data"]["service"] == "capture"
    assert f"{bad} needs a look: look" in told(out, "on_notice_given")[0]["data"]["text"]
    assert list(world.root.rglob("pwned")) == [], "nothing from outside is a command"


def test_a_hook_that_hangs_or_fails_delays_nothing_and_is_ended(world):
    out = hooked(world, "on_task_started", more=(
        "  on_task_created: [sh, -c, 'exec sleep 600']\n"
        "  on_task_routed: [no-such-program]\n"
        "  timeout_seconds: 2\n"
    ))  # fmt: skip
    world.up()
    tasks = [world.add(f"Task {n}", "write a.txt a") for n in range(3)]

    for task in tasks:
        world.wait_for(task=task, status="done")

    world.until(lambda: len(told(out, "on_task_started")) == 3, "the other hooks")
    for words in ("did not end within 2 s", "no-such-program is not installed"):
        world.until(lambda words=words: words in world.orch("log", "engine").out, words)


def test_a_worktree_is_prepared_before_its_agent_and_a_failure_is_told(world):
    (world.repo / ".env").write_text("SECRET=1\n")
    (world.repo / ".gitignore").write_text(".env\nready\n")
    world.git("add", ".gitignore")
    world.git("commit", "-qm", "Ignore")
    line = 'cp "$ORCH_PROJECT_DIR/.env" . && echo prepared for $ORCH_ATTEMPT | tee ready'
    world.configure(f"hooks:\n  prepare_worktree: {json.dumps(line)}\n")
    world.up()
    task = world.add("Prepared", "write seen.txt x")
    got = world.wait_for(task=task, status="done")
    worktree, folder = Path(got["worktree"]), Path(got["attempts"][0]["folder"])
    assert (worktree / ".env").read_text() == "SECRET=1\n"
    assert (folder / "prepare.log").read_text() == "prepared for 1\n"
    assert "prepare.log" in world.orch("task", "log", task).out

    world.orch("config", "set", "hooks.prepare_worktree", "echo npm is on strike; exit 3")
    world.until(lambda: "on strike" in world.orch("config", "get").out, "the config")
    bad = world.add("Unprepared", "write seen.txt x")
    got = world.wait_for(task=bad, status="needs_review")
    assert "hooks.prepare_worktree: exit code 3" in got["blocked_reason"]
    assert "npm is on strike" in got["blocked_reason"]
    assert [one["error_class"] for one in got["attempts"]] == [
        "infrastructure", "infrastructure", "waiting_for_input",
    ]  # fmt: skip
