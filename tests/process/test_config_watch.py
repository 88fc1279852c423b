"""Watching files: every way of changing one is told, once, and nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.tools.watch import QUIET_SECONDS, Watch

PATIENCE = 30.0
NEVER = 3600.0
"""A safety net so wide that only what the system tells is heard."""


class Heard:
    """Counts what a watch tells."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, PATIENCE), self.count

    def more_than(self, count: int, within: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count > count, within)


class Scene:
    """A file in a folder, watched."""

    def __init__(self, root: Path, check_seconds: float = NEVER, missing: str = "") -> None:
        self.file = root / "folder" / "config.yml"
        self.file.parent.mkdir()
        self.file.write_text("a: 1\n")
        self.heard = Heard()
        paths = [self.file, *([root / missing] if missing else [])]
        self.watch = Watch(paths, self.heard, check_seconds)
        self.watch.start()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.watch.stop()


def in_place(file: Path) -> None:
    file.write_text("a: in place\n")


def appended(file: Path) -> None:
    with file.open("a") as out:
        out.write("b: 2\n")


def replaced(file: Path) -> None:
    fresh = file.with_name("config.yml~")
    fresh.write_text("a: replaced\n")
    fresh.replace(file)


def moved_away_and_written(file: Path) -> None:
    file.rename(file.with_name("config.yml.bak"))
    file.write_text("a: written anew\n")


def removed(file: Path) -> None:
    file.unlink()


def closed_to_others(file: Path) -> None:
    file.chmod(0o600)


WAYS = [in_place, appended, replaced, moved_away_and_written, removed]


@pytest.mark.parametrize("change", WAYS, ids=lambda change: change.__name__)
def test_a_change_is_told(scene, change):
    change(scene.file)
    scene.heard.wait_for(1)


def test_changes_go_on_being_told_after_each_way_of_changing(scene):
    for change in (*WAYS, in_place, replaced, in_place, replaced):
        before = scene.heard.count
        change(scene.file)
        scene.heard.wait_for(before + 1)
    assert not scene.watch.problem


def test_a_change_that_the_system_does_not_tell_is_found_and_told_once(tmp_path):
    scene = Scene(tmp_path, check_seconds=0.01)
    for word in range(3):
        closed_to_others(scene.file) if word == 0 else scene.file.chmod(0o600 + word)
        scene.heard.wait_for(word + 1)
    assert not scene.heard.more_than(3, within=0.3)
    scene.watch.stop()


def test_a_file_may_come_later_in_a_folder_that_comes_later(tmp_path):
    scene = Scene(tmp_path, missing="absent/.orch.yml")
    absent = scene.watch.paths[1]
    absent.parent.mkdir()
    absent.write_text("gh: {}\n")
    scene.heard.wait_for(1)
    replaced(absent)
    scene.heard.wait_for(2)
    scene.watch.stop()


def test_a_folder_that_is_replaced_is_watched_again(scene):
    folder = scene.file.parent
    shutil.rmtree(folder)
    scene.heard.wait_for(1)
    folder.mkdir()
    scene.file.write_text("a: back\n")
    scene.heard.wait_for(2)
    in_place(scene.file)
    scene.heard.wait_for(3)


def test_a_file_behind_a_link_is_watched_too(tmp_path):
    real = tmp_path / "real" / "config.yml"
    real.parent.mkdir()
    real.write_text("a: 1\n")
    link = tmp_path / "config.yml"
    link.symlink_to(real)
    heard = Heard()
    watch = Watch([link], heard, NEVER)
    watch.start()
    try:
        replaced(real)
        heard.wait_for(1)
    finally:
        watch.stop()


def test_a_burst_of_changes_is_told_when_it_is_quiet_again(scene):
    started = time.monotonic()
    for n in range(2000):
        scene.file.write_text(f"a: {n}\n")
    scene.heard.wait_for(1)
    assert scene.heard.count <= 1 + (time.monotonic() - started) / QUIET_SECONDS

    told = scene.heard.count
    replaced(scene.file)  # and what comes after the burst is told as well
    scene.heard.wait_for(told + 1)


def test_other_files_in_the_folder_are_nobodys_business(scene):
    for n in range(20):
        (scene.file.parent / f"other{n}").write_text("x")
    replaced(scene.file)
    scene.heard.wait_for(1)
    scene.watch.stop()
    assert scene.heard.count == 1


def test_nothing_is_told_after_the_stop_and_no_thread_stays(tmp_path):
    before = set(threading.enumerate())
    scene = Scene(tmp_path)
    scene.watch.stop()
    in_place(scene.file)
    assert scene.heard.count == 0
    assert set(threading.enumerate()) <= before


def test_a_watch_may_be_stopped_from_its_own_callback(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text("a: 1\n")
    done = threading.Event()

    def stop() -> None:
        watch.stop()
        done.set()

    watch = Watch([file], stop)
    watch.start()
    in_place(file)
    assert done.wait(PATIENCE)


def test_where_the_system_watches_no_more_folders_the_files_are_polled_and_it_is_said(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text("a: 1\n")
    code = """
    import os, resource, sys, threading
    from watchdog import events, observers  # loaded while there are descriptors
    from orch.tools.watch import QUIET_SECONDS, Watch
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    kept = []
    while True:
        try:
            kept.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            break
    heard = threading.Event()
    watch = Watch([sys.argv[1]], heard.set)
    watch.start()
    print(watch.problem, flush=True)
    os.close(kept.pop())
    with open(sys.argv[1], "a") as out:
        out.write("b: 2\\n")
    print("heard" if heard.wait(30) else "deaf", flush=True)
    watch.stop()
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), os.fspath(file)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    problem, heard = ran.stdout.splitlines()
    assert problem.startswith("files are polled, the system cannot watch them: "), ran.stderr
    assert heard == "heard"
