"""Watching files for changes, however an editor makes them: in place, or by renaming over them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

QUIET_SECONDS = 0.1
"""A change is told when nothing more has happened for so long."""

LONGEST_SECONDS = 1.0
"""A change is told at the latest after so long, however much goes on."""

CHECK_SECONDS = 2.0
"""How often files are looked at anyway: modes change, folders are replaced, disks are silent."""

POLL_SECONDS = 0.5
"""How often they are looked at where no folder can be watched: it is missing, or the system is at
its limit."""

Stamp = tuple[int, int, int, int, int]


class Watch:
    """Calls `changed` from a thread of its own soon after any of `paths` changed.

    The files' folders are watched, so that files may be missing, appear, and be replaced. What
    else happens in these folders is not told. `problem` is not empty when the system cannot watch
    (inotify is exhausted): the files are polled then.
    """

    def __init__(
        self,
        paths: Iterable[Path | str],
        changed: Callable[[], None],
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        self._check_seconds = check_seconds
        self.paths = tuple(Path(path).absolute() for path in paths)
        self.problem = ""
        self._changed = changed
        self._stirred = threading.Event()
        self._ended = threading.Event()
        self._seen = self._look()
        self._observer: Any = None
        self._folders: dict[Path, tuple[int, Any]] = {}
        self._missing = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch; changes from the moment of construction on are told."""
        self._follow_folders()
        self._thread.start()

    def stop(self) -> None:
        """End the watch. `changed` is not called any more once this returns."""
        self._ended.set()
        self._stirred.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        self._close_observer()

    def _run(self) -> None:
        while not self._ended.is_set():
            pause = POLL_SECONDS if self.problem or self._missing else self._check_seconds
            if self._stirred.wait(pause):
                self._settle()
            if self._ended.is_set():
                return
            self._follow_folders()
            now = self._look()
            if now != self._seen:
                self._seen = now
                self._changed()

    def _settle(self) -> None:
        """Wait until it is quiet: an editor writes, renames and sets modes in a row."""
        for _ in range(round(LONGEST_SECONDS / QUIET_SECONDS)):
            self._stirred.clear()
            if self._ended.wait(QUIET_SECONDS) or not self._stirred.is_set():
                return
        self._stirred.clear()

    def _look(self) -> tuple[Stamp | None, ...]:
        return tuple(_stamp(path) for path in self.paths)

    def _follow_folders(self) -> None:
        """Watch each folder that exists, again when another one has taken its place."""
        if self.problem:
            return
        try:
            folders = {os.path.realpath(p.parent) for path in self.paths for p in _links(path)}
            for folder in folders:
                self._follow(Path(folder))
            self._missing = not all(Path(folder) in self._folders for folder in folders)
        except OSError as error:
            self.problem = f"files are polled, the system cannot watch them: {error.strerror}"
            self._close_observer()

    def _follow(self, folder: Path) -> None:
        try:
            inode = folder.stat().st_ino
        except OSError:
            inode = 0
        known, watched = self._folders.get(folder, (0, None))
        if inode == known:
            return
        if watched is not None:
            self._observer.unschedule(watched)
            del self._folders[folder]
        if inode:
            self._folders[folder] = (inode, self._schedule(folder))

    def _schedule(self, folder: Path) -> Any:
        from watchdog import events, observers  # noqa: PLC0415 - slow, and only for services

        if self._observer is None:
            self._observer = observers.Observer()
            self._observer.start()
        handler = events.FileSystemEventHandler()
        handler.on_any_event = self._stir  # type: ignore[method-assign]
        heard: list[type[events.FileSystemEvent]] = [
            events.FileCreatedEvent,
            events.FileMovedEvent,
            events.FileDeletedEvent,
            events.FileClosedEvent,
            events.DirDeletedEvent,
        ]
        if sys.platform != "linux":  # there a file's end of writing is told, and that is enough:
            heard.append(events.FileModifiedEvent)  # a database in the folder writes all the time
        return self._observer.schedule(handler, str(folder), event_filter=heard)

    def _stir(self, event: Any) -> None:
        names = {Path(os.fsdecode(p)).name for p in (event.src_path, event.dest_path) if p}
        if event.is_directory or names & {p.name for path in self.paths for p in _links(path)}:
            self._stirred.set()

    def _close_observer(self) -> None:
        observer, self._observer = self._observer, None
        self._folders.clear()
        if observer is not None:
            observer.stop()
            observer.join()


def _links(path: Path) -> list[Path]:
    """The path, and where it leads to when it is a symbolic link."""
    try:
        return [path, path.resolve()] if path.is_symlink() else [path]
    except (OSError, RuntimeError):
        return [path]


def _stamp(path: Path) -> Stamp | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_mode)
