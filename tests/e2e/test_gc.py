"""`orch gc` removes what nothing needs, and fails closed: each thing that stays says why."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from orch.tools.tmux import Tmux
from tests.support.world import World

OLD_SECONDS = 100 * 86400


def verdicts(world: World, *options: str) -> dict[tuple[str, str], str]:
    """What `orch gc` says, by kind and name."""
    items = world.orch("gc", "--json", *options).json
    return {(one["kind"], one["name"]): one["verdict"] for one in items}


def age(world: World, *tasks: str, seconds: float = OLD_SECONDS) -> None:
    """Make tasks, and their events, so much older; orch must be down."""
    with closing(sqlite3.connect(world.home.db)) as db, db:
        for task in tasks:
            db.execute(
                "UPDATE tasks SET updated_at = updated_at - ? WHERE key = ?", (seconds, task)
            )
            db.execute("UPDATE events SET at = at - ? WHERE task = ?", (seconds, task))


def events_of(world: World, task: str) -> int:
    """How many events a task has."""
    with closing(sqlite3.connect(world.home.db)) as db:
        return int(db.execute("SELECT count(*) FROM events WHERE task = ?", (task,)).fetchone()[0])


def done(world: World, title: str, *does: str) -> dict[str, str]:
    """A task that is done, as `orch task get` shows it."""
    return world.wait_for(task=world.add(title, *does), status="done")


@pytest.fixture
def running(world: World) -> World:
    world.up()
    return world


def test_gc_takes_what_is_merged_and_leaves_what_is_dirty_unmerged_or_unknown(running: World):
    world = running
    merged = done(world, "Merged", "write merged.txt m")
    unmerged = done(world, "Unmerged", "write unmerged.txt u")
    dirty = done(world, "Dirty", "write dirty.txt d")
    adrift = done(world, "Adrift", "write adrift.txt a")
    busy = done(world, "Busy", "write busy.txt b")
    blocked = world.add("Blocked", 'answer {"status": "blocked", "reason": "no key"}')
    blocked_at = world.wait_for(task=blocked, status="blocked")["worktree"]
    world.git("merge", "-q", "--no-edit", *(one["branch"] for one in (merged, dirty, busy)))
    (Path(dirty["worktree"]) / "more.txt").write_text("not committed\n")
    commit = ("commit", "-q", "--allow-empty", "-m", "On no branch")
    for words in (("checkout", "-q", "--detach"), commit):
        world.git(*words, cwd=Path(adrift["worktree"]))
    world.git("branch", "orch/by-hand", "main")
    stray = world.home.worktrees / "octo" / "demo" / "stray"
    stray.mkdir()
    Tmux(world.home.tmux).new_session("by-hand", ["sleep", "600"], busy["worktree"])

    foretold = verdicts(world, "--dry-run")
    found = verdicts(world)

    assert {name: one.replace("removable", "removed") for name, one in foretold.items()} == found
    assert found["worktree", merged["worktree"]] == "removed"
    assert found["branch", f"octo/demo {merged['branch']}"] == "removed"
    assert not Path(merged["worktree"]).exists()
    for task, why in (
        (dirty, "stays: something in it is not committed"),
        (adrift, "stays: its commits are on no branch"),
        (busy, "stays: processes work in it ("),
    ):
        assert found["worktree", task["worktree"]].startswith(why)
        assert Path(task["worktree"]).is_dir()
    assert found["worktree", unmerged["worktree"]] == "removed", "its commits are on its branch"
    said = found["branch", f"octo/demo {unmerged['branch']}"]
    assert said == "stays: it is not merged into main"
    assert world.git("show", f"{unmerged['branch']}:unmerged.txt") == "u\n"
    assert found["branch", f"octo/demo {dirty['branch']}"] == "stays: a worktree is on it"
    assert found["branch", "octo/demo orch/by-hand"] == "stays: no task is known for it"
    assert found["worktree", str(stray)] == "stays: no task is known for it"
    assert found["worktree", blocked_at] == f"stays: {blocked} is blocked"
    assert found["session", "by-hand"] == "stays: orch did not start it"
    assert set(verdicts(world).values()) == {one for one in found.values() if one != "removed"}


def test_what_is_old_goes_by_itself_or_by_gc_and_nothing_of_an_open_task(running: World):
    world = running
    old = done(world, "Old", "write a.txt a")["id"]
    older = done(world, "Older", "write b.txt b")["id"]
    fresh = done(world, "Fresh", "write c.txt c")["id"]
    held = world.add("Held", 'answer {"status": "blocked", "reason": "no key"}')
    world.wait_for(task=held, status="blocked")
    world.down()
    age(world, old, held)
    age(world, older, seconds=4 * OLD_SECONDS)
    kept = {task: events_of(world, task) for task in (fresh, held)}
    world.configure("keep: {days: 300}")
    world.up()
    world.until(lambda: not world.log_of(older).exists(), "the oldest goes by itself")
    world.until(lambda: events_of(world, older) == 0, "its events too")
    assert events_of(world, old) > 0
    world.configure("keep: {days: 90}")

    def due() -> list[str]:
        return [name for kind, name in verdicts(world, "--dry-run") if kind == "artifacts"]

    world.until(lambda: due() != [], "a new limit holds at once")
    assert due()[0].startswith(f"{old} (")
    assert any(kind == "events" for kind, _ in verdicts(world, "--dry-run"))
    assert world.log_of(old).exists(), "a dry run removes nothing"
    assert "removed" in verdicts(world).values()

    assert not world.log_of(old).exists()
    assert (world.home.state / "internal/tasks" / old / "sidecar.json").exists()
    assert world.log_of(fresh).exists()
    assert world.log_of(held).exists()
    world.until(lambda: events_of(world, old) == 0, "its events are forgotten")
    assert {task: events_of(world, task) for task in kept} == kept
    assert world.task(old)["attempts"][0]["outcome"] == "done", "what was done stays known"


def test_a_finished_session_that_still_stands_and_a_dead_socket_are_taken_away(running: World):
    world = running
    session = done(world, "Short", "write a.txt a")["attempts"][0]["session"]
    tmux = Tmux(world.home.tmux)
    world.until(lambda: session not in tmux.sessions(), "its pane has left")
    tmux.new_session(session, ["sleep", "600"], "/")
    dead = world.home.run / "s" / "orch-int-99.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(dead))

    found = verdicts(world)

    assert found["socket", str(dead)] == "removed"
    assert not dead.exists()
    assert found["session", session].startswith(("removed", "stays: "))


SLOW_GIT = """#!/bin/sh
case "$*" in *"worktree list"*)
    [ -e {armed} ] && touch {reached} && while [ ! -e {gate} ]; do sleep 0.02; done ;;
esac
exec {git} "$@"
"""
"""A git that stands still just before a worktree is removed, once it is told to."""


def test_a_task_that_is_begun_again_during_gc_waits_and_loses_nothing(world: World):
    places = {name: world.root / name for name in ("armed", "reached", "gate")}
    folder = world.root / "bin"
    folder.mkdir()
    (folder / "git").write_text(SLOW_GIT.format(git=shutil.which("git"), **places))
    (folder / "git").chmod(0o755)
    world.env["PATH"] = f"{folder}:{world.env['PATH']}"
    world.up()
    task = done(world, "Again", "write a.txt a")
    places["armed"].touch()
    collecting = world.follow("gc", "--json")
    world.until(places["reached"].exists, "it is about to be removed")
    world.orch("task", "retry", task["id"])
    world.until(lambda: len(world.task(task["id"])["attempts"]) == 2, "it is begun again")
    world.until(lambda: world.orch("task", "live", "--json").json == [], "and waits")
    assert world.task(task["id"])["attempts"][1]["phase"] == "prepare"
    places["gate"].touch()
    out, _ = collecting.communicate(timeout=60)
    said = {one["name"]: one["verdict"] for one in json.loads(out)}
    assert said[task["worktree"]] == "removed"
    attempts = world.wait_for(task=task["id"], status="done")["attempts"]
    assert [one["outcome"] for one in attempts] == ["done", "done"]


def test_old_rows_go_in_small_steps(world: World):
    world.up()
    done(world, "One", "write a.txt a")
    world.down()
    past = time.time() - OLD_SECONDS
    with closing(sqlite3.connect(world.home.db)) as db, db:
        rows = [(past, "service_ready", "", "{}")] * 12_000
        db.executemany("INSERT INTO events (at, name, task, data) VALUES (?, ?, ?, ?)", rows)
    world.up()
    world.orch("gc")
    world.until(lambda: events_of(world, "") < 1000, "the old events are forgotten")
