"""What every part of the engine stands on: store, config, and one transaction a request."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from orch.config.files import Stamp, stamp
from orch.config.load import Loaded, ProjectConfig, difference, load
from orch.config.schema import Config
from orch.core import names
from orch.errors import ConfigError, NotFound, Refused, Unknown
from orch.hosts.local import Local
from orch.messages import EventLogged, Message, Request, decode, encode
from orch.model import Task
from orch.paths import Home
from orch.service import Later, Service
from orch.store import events, outbox, tasks
from orch.store.db import Fenced, Store
from orch.tools import process
from orch.tools.watch import Watch

MARK = "ORCH_RUN"
"""Environment variable that marks the tools (git) which the engine started, as it marks the
processes of an attempt."""


class Ledger(Service):
    """The engine's store and config. `write()` is the only way to change the database."""

    name = "engine"
    aside_threads = 12

    def __init__(self, home: Home, name: str = "") -> None:
        super().__init__(home, name)
        self.problem = ""
        self.config_problem = ""
        self.loaded = Loaded(config=Config(), projects={}, problems=(), hints=(), files={})
        self._stirred = False

    def setup(self) -> None:
        """Take over home and database, end what a dead engine left running, read the config."""
        self._lock_file = _hold(self.home.run / "engine.lock")
        self.swept = False
        self.aside(lambda: _end_old_tools(self.home), lambda _: self.on_swept(), _unswept)
        self.store = Store(self.home.db)
        self.store.take_over()
        self.host = Local(self.home)
        self._seen = events.last(self.store)
        self._file_watch: Watch | None = None
        self._watched: tuple[Path, ...] = ()
        self.reload()

    def on_swept(self) -> None:
        """Nothing that a dead engine started works on beside this one: work may begin."""
        self.swept = True
        self.stir()

    def teardown(self) -> None:
        """Close what `setup` opened."""
        if self._file_watch is not None:
            self._file_watch.stop()
        self.store.close()
        self._lock_file.close()

    # ---- transactions ------------------------------------------------------------------------

    @contextmanager
    def write(self) -> Iterator[None]:
        """Change the database, all or nothing; afterwards subscribers are told. Raises `Unknown`
        when it cannot be written: nothing happened then, and new work waits."""
        try:
            with self.store.transaction():
                yield
        except Fenced:
            self.log.error("another engine has taken over; leaving")
            self.stop()
            raise
        except Unknown as error:
            if not self.problem:
                self.log.error("no new work until the database can be written: %s", error.message)
            self.problem = error.message
            raise
        if self.problem:
            self.log.warning("the database can be written again")
            self.problem = ""
            self.stir()
        if not self.store.db.in_transaction:
            self._tell()

    def handle(
        self, request: Request[Any], handler: Callable[[Any], Message | Later]
    ) -> Message | Later:
        """What a request names may have been configured a moment ago, and not be heard of yet."""
        try:
            return self._once(request, handler)
        except NotFound:
            if self._stamps() == self._files_read:
                raise
            self.reload()
            return self._once(request, handler)

    def _once(
        self, request: Request[Any], handler: Callable[[Any], Message | Later]
    ) -> Message | Later:
        """A keyed request is done once: its reply is stored with what it did."""
        key = getattr(request, "key", "")
        if not key:
            return handler(request)
        key = f"{type(request).__name__}:{key}"
        stored = outbox.reply(self.store, key)
        if stored is not None:
            return decode(stored, Message)
        with self.write():
            reply = handler(request)
            if isinstance(reply, Message):
                outbox.keep_reply(self.store, key, encode(reply), self.now())
        return reply

    def event(self, name: str, task: str = "", /, **data: Any) -> None:
        """Append to the events log, inside the transaction of the change."""
        events.append(self.store, self.now(), name, task, **data)

    def _tell(self) -> None:
        last = events.last(self.store)
        if last != self._seen:
            self._seen = last
            self.publish(EventLogged(last))

    # ---- dispatch is asked for from everywhere -----------------------------------------------

    def stir(self) -> None:
        """Have the dispatcher look soon; many calls are one look."""
        if not self._stirred:
            self._stirred = True
            self.post(self._dispatch_now)

    def _dispatch_now(self) -> None:
        self._stirred = False
        self.dispatch()

    def dispatch(self) -> None:
        """Start what can start; see `Dispatch`."""

    # ---- config ------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the config; an invalid one is told and the last good one stays."""
        self._files_read = self._stamps()
        try:
            loaded = load(self.home, self.loaded)
        except ConfigError as error:
            self.config_problem = error.message
            self.log.error("config: %s", error.message)
        else:
            if self.config_problem:
                self.log.warning("config: valid again")
            self.config_problem = ""
            changed = difference(self.loaded.config, loaded.config)
            self.loaded = loaded
            self._files_read = dict(loaded.files)
            self.log.info("config applied: %s", ", ".join(changed) or "nothing changed")
            self._applied()
        self._watch_files()
        self.stir()

    def look_at_files(self) -> None:
        """The safety net under the watch: read the config again if a file of it changed."""
        if self._stamps() != self.loaded.files or self.config_problem:
            self.reload()

    def _stamps(self) -> dict[str, Stamp | None]:
        return {path: stamp(Path(path)) for path in self.loaded.files}

    def _applied(self) -> None:
        for hint in (*self.loaded.problems, *self.loaded.hints):
            self.log.warning("config: %s", hint)
        try:
            self.on_config()
        except Unknown as error:
            self.log.warning("config: %s", error.message)

    def on_config(self) -> None:
        """Hear that a new config applies."""

    def _watch_files(self) -> None:
        files = tuple(Path(path) for path in self.loaded.files) or (self.home.config, self.home.env)
        if self._file_watch is not None:
            if self._watched == files:
                return
            self._file_watch.stop()
        self._watched = files
        self._file_watch = Watch(files, lambda: self.post(self.reload))
        self._file_watch.start()

    # ---- looking things up -------------------------------------------------------------------

    def find(self, text: str, project: str) -> Task:
        """The task that `text` names. Raises `NotFound`, `Ambiguous`, `Malformed`."""
        keys = names.candidates(text, project)
        key = names.pick(text, project, tasks.projects_of(self.store, keys))
        if not key:
            raise NotFound(f"there is no task {text}", "`orch task list --all` shows all tasks")
        return tasks.get(self.store, key)

    def project_of(self, slug: str) -> ProjectConfig:
        """A registered project; raises `NotFound`."""
        project = self.loaded.projects.get(slug)
        if project is None:
            known = ", ".join(sorted(self.loaded.projects)) or "none"
            raise NotFound(
                f"the project {slug!r} is not registered (known: {known})",
                self.config_problem or "run `orch init` in its folder",
            )
        return project

    def config_of(self, slug: str) -> Config:
        """The config that holds for a project (the global one when it is not registered)."""
        project = self.loaded.projects.get(slug)
        return project.config if project is not None else self.loaded.config


def _hold(path: Path) -> IO[bytes]:
    held = path.open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise Refused("another engine runs on this home", "stop it first: `orch down`") from None
    return held


def _end_old_tools(home: Home) -> None:
    """End git commands that an engine killed in mid-work left running: they would race with what
    this one does next. What they half did is repeated."""
    mark = f"{home.root}:engine"
    process.end(process.marked(mark, below=True))
    os.environ[MARK] = mark


def _unswept(error: Exception) -> None:
    raise RuntimeError("cannot look for what an earlier engine left running") from error
