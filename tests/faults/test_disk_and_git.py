"""The disk is full, git is in a bad state: said on the task, recovered from, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.world import World


@pytest.fixture
def small(world: World) -> World:
    """A world whose home is a file system of 24 MiB."""
    assert os.geteuid() == 0, "mounting a small file system takes root"
    size = "size=24m,mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", world.home.root], check=True)
    world.configure()
    yield world
    world.check()
    subprocess.run(["umount", "-l", world.home.root], check=True)


def fill(world: World) -> Path:
    """Use up every byte of the home's file system."""
    filler = world.home.root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0")
        except OSError:
            pass
    return filler


def test_a_full_disk_is_said_and_recovered_from(small: World):
    small.up()
    before = small.add("Before", "say hi", "write a.txt a")
    small.wait_for(task=before, status="done")
    gate = small.root / "gate"
    running = small.add("Running", f"wait {gate}", "lines 2000", "write b.txt b")
    small.wait_for(task=running, status="in_progress")
    filler = fill(small)
    refused = []
    for n in range(50):
        ran = small.orch("task", "add", f"refused {n} " + "x" * 9000, ok=None)
        refused.append(ran)
        if ran.code:
            break
    assert refused[-1].code == 1, refused[-1]
    assert "database cannot be written" in refused[-1].err
    assert "database" in small.orch("status").out
    gate.touch()
    filler.unlink()
    done = small.wait_for(task=running, status="done", seconds=90)
    lines = small.log_of(running).read_bytes().splitlines()
    assert len(lines) == 2000
    assert len(done["attempts"]) == 1
    after = small.add("After", "write c.txt c")
    small.wait_for(task=after, status="done")
    assert "database" not in small.orch("status").out
    listed = {task["title"][:9] for task in small.orch("task", "list", "--all", "--json").json}
    assert {"Before", "Running", "After"} <= listed


def test_a_remote_that_is_gone_is_told_on_the_task_and_retried(world: World):
    origin = world.root / "origin.git"
    world.git("clone", "-q", "--bare", str(world.repo), str(origin))
    world.git("remote", "add", "origin", str(origin))
    world.git("fetch", "-q", "origin")
    away = world.root / "away.git"
    origin.rename(away)
    world.up()
    task = world.add("Fetch", "write a.txt a")
    world.until(lambda: "git fetch" in world.task(task)["last_error"], "the error on the task")
    away.rename(origin)
    done = world.wait_for(task=task, status="done", seconds=60)
    assert done["attempts"][0]["error_class"] == "infrastructure"


def test_a_worktree_removed_by_hand_comes_back_with_its_branch(world: World):
    world.up()
    task = world.add("Twice", "first write a.txt a", "first exit 1", "write b.txt b")
    shutil.rmtree(world.wait_for(task=task, status="done")["worktree"])
    world.orch("task", "retry", task)
    world.until(lambda: len(world.task(task)["attempts"]) == 3, "another attempt")
    done = world.wait_for(task=task, status="done")
    files = world.git("diff", "--name-only", f"main...{done['branch']}").split()
    assert files == ["a.txt", "b.txt"]


def test_a_branch_deleted_by_hand_begins_anew(world: World):
    world.up()
    task = world.add("Anew", "write a.txt a")
    done = world.wait_for(task=task, status="done")
    world.git("worktree", "remove", "--force", done["worktree"])
    world.git("branch", "-D", done["branch"])
    world.orch("task", "retry", task)
    world.until(lambda: len(world.task(task)["attempts"]) == 2, "another attempt")
    done = world.wait_for(task=task, status="done")
    assert world.git("show", f"{done['branch']}:a.txt") == "a\n"


def test_work_that_cannot_be_committed_is_kept_and_told(world: World):
    world.up()
    objects = world.repo / ".git" / "objects"
    gate = world.root / "gate"
    task = world.add("Broken", "write a.txt a", f"wait {gate}")

    def worked() -> bool:
        return (Path(world.task(task)["worktree"] or "/x") / "a.txt").exists()

    world.until(worked, "the work")
    objects.rename(world.repo / ".git" / "gone")
    gate.touch()
    world.until(lambda: "git" in world.task(task)["last_error"], "the error on the task")
    (world.repo / ".git" / "gone").rename(objects)
    done = world.wait_for(task=task, status="done", seconds=60)
    assert len(done["attempts"]) == 1
    assert world.git("show", f"{done['branch']}:a.txt") == "a\n"


def test_a_project_folder_that_is_gone_holds_back_its_own_tasks_only(world: World):
    other = world.project("octo/other")
    world.up()
    other.rename(world.root / "moved")
    here = world.add("Here", "write a.txt a")
    world.wait_for(task=here, status="done")
    world.until(lambda: str(other) in world.orch("status").out, "status names the folder")
