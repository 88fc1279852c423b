"""Hooks while the engine dies: each event is told, none by two commands at once."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.support.world import World

ALONE = """\
mkdir "$OUT/busy" || echo together >> "$OUT/problems"
trap 'rmdir "$OUT/busy"; exit 1' TERM
echo "${ORCH_SEQ:-now}" >> "$OUT/begun"
while [ ! -e "$OUT/gate" ]; do sleep 0.05; done
cat > /dev/null; rmdir "$OUT/busy"
echo "${ORCH_SEQ:-now}" >> "$OUT/ended"
"""
"""A command that notes when it runs beside another of its kind, and waits for a gate."""


def command(world: World) -> tuple[Path, str]:
    """The folder into which the command writes, and the command as YAML."""
    out = world.root / "out"
    out.mkdir()
    return out, json.dumps(f"OUT={shlex.quote(str(out))}\n{ALONE}")


def lines(file: Path) -> list[str]:
    """What was noted."""
    return file.read_text().split() if file.exists() else []


def test_an_engine_killed_while_a_hook_runs_tells_it_again_and_never_twice_at_once(world):
    out, line = command(world)
    world.configure(f"hooks:\n  on_task_completed: {line}\n")
    world.up()
    tasks = [world.add(f"Task {n}", "write a.txt a") for n in range(3)]
    for task in tasks:
        world.wait_for(task=task, status="done")
    world.until(lambda: len(lines(out / "begun")) == 1, "the first hook")

    for kills in range(2, 5):
        world.kill("engine")
        world.until(lambda kills=kills: len(lines(out / "begun")) == kills, "the hook again")
    assert lines(out / "ended") == []

    (out / "gate").touch()
    world.until(lambda: len(lines(out / "ended")) == 3, "every hook")
    assert len(set(lines(out / "begun"))) == 3
    assert lines(out / "ended") == sorted(set(lines(out / "ended")), key=int), "in their order"
    assert lines(out / "problems") == []


def test_an_engine_killed_while_a_worktree_is_prepared_prepares_it_again(world):
    out, line = command(world)
    world.configure(f"hooks:\n  prepare_worktree: {line}\n")
    world.up()
    task = world.add("Prepared", "write a.txt a")
    for kills in range(1, 4):
        world.until(lambda kills=kills: len(lines(out / "begun")) == kills, "preparing")
        world.kill("engine")
    world.until(lambda: len(lines(out / "begun")) == 4, "preparing again")

    (out / "gate").touch()
    got = world.wait_for(task=task, status="done")
    assert len(got["attempts"]) == 1
    assert len(lines(out / "ended")) == 1
    assert lines(out / "problems") == []


def test_down_leaves_no_hook_behind_and_the_next_up_runs_it(world):
    out, line = command(world)
    world.configure(f"hooks:\n  on_task_completed: {line}\n  prepare_worktree: 'true'\n")
    world.up()
    task = world.add("Task", "write a.txt a")
    world.wait_for(task=task, status="done")
    world.until(lambda: len(lines(out / "begun")) == 1, "the hook")

    world.orch("down")
    world.until(lambda: not (out / "busy").exists(), "the hook has ended")
    (out / "gate").touch()
    world.up()
    world.until(lambda: len(lines(out / "ended")) == 1, "the hook again")


def test_a_task_killed_while_its_worktree_is_prepared_stops_at_once(world):
    out, line = command(world)
    world.configure(f"hooks:\n  prepare_worktree: {line}\n")
    world.up()
    task = world.add("Stuck", "write a.txt a")
    world.until(lambda: len(lines(out / "begun")) == 1, "preparing")

    world.orch("task", "kill", task)

    got = world.wait_for(task=task, status="blocked")
    assert got["attempts"][0]["error_class"] == "cancelled"
    assert lines(out / "ended") == []
