"""Hooks: people's commands on events, told of each at least once, delaying nothing."""

from __future__ import annotations

import os
from pathlib import Path

from orch.core import hooks
from orch.errors import Unknown
from orch.model import Event, Task
from orch.service import every
from orch.store import events, tasks
from orch.store import hooks as rows
from orch.tools import process
from services.engine.commands import Came, Command, Commands

AT_ONCE = 4
"""Hooks that run at a time; of each kind one, so that it hears its events in their order."""

PAGE = 100
"""Events looked through in one go."""

BEHIND = 1000
"""Events without work for a hook after which its place is written down all the same."""


class HookDesk(Commands):
    """Fires hooks. A hook's place in the events log moves on when its command has ended, well or
    not; so after a crash a command may be run again, and none is left out."""

    def setup(self) -> None:
        """Begin when what an earlier engine's hooks left running has ended."""
        self._hook_mark = f"{self.home.root}:hook"
        self._hooks_at: dict[str, int] = {}
        self._hooks_running: set[str] = set()
        self._hooks_ready = False
        super().setup()
        mark = self._hook_mark
        self.aside(lambda: process.end(process.marked(mark)), lambda _: self._begin_hooks())

    def on_config(self) -> None:
        """Hear which hooks there are now: a new one hears nothing of the past."""
        super().on_config()
        wanted = tuple(hook for hook in hooks.FIRED_BY if self._is_configured(hook))
        known = rows.places(self.store)
        if set(wanted) != set(known):
            with self.write():
                rows.keep(self.store, wanted, events.last(self.store))
            known = rows.places(self.store)
        self._hooks_at = {hook: max(at, self._hooks_at.get(hook, 0)) for hook, at in known.items()}

    def _tell(self) -> None:
        super()._tell()
        if self._hooks_at:
            self.post(self.run_hooks)

    @every(seconds=1)
    def run_hooks(self) -> None:
        """Run what is due and fits."""
        if not self._hooks_ready:
            return
        for hook, at in list(self._hooks_at.items()):
            if hook in self._hooks_running or at >= self._seen:
                continue
            if len(self._hooks_running) >= AT_ONCE:
                return
            self._next(hook, at)

    def _begin_hooks(self) -> None:
        self._hooks_ready = True
        self.run_hooks()

    def _next(self, hook: str, at: int) -> None:
        """Look for a hook's next event, and fire it."""
        page = events.since(self.store, at, 0.0, "", hooks.names(hook), PAGE)
        for event in page:
            task = tasks.find(self.store, event.task) if event.task else None
            argv = self._argv(hook, task) if hooks.fires(hook, event) else ()
            self._hooks_at[hook] = event.seq
            if argv:
                self._fire(hook, event, task, argv)
                return
        if len(page) < PAGE:
            self._hooks_at[hook] = max(self._hooks_at[hook], self._seen)
        if self._hooks_at[hook] - rows.places(self.store).get(hook, 0) >= BEHIND:
            self._note(hook, self._hooks_at[hook])

    def _fire(self, hook: str, event: Event, task: Task | None, argv: tuple[str, ...]) -> None:
        self._hooks_running.add(hook)
        config = self.config_of(task.project) if task else self.loaded.config
        project = self.loaded.projects.get(task.project) if task else None
        self.beside(
            Command(
                argv=argv,
                cwd=Path(project.path) if project else self.home.root,
                env={
                    **hooks.environment(hook, event, task, os.environ),
                    "ORCH_HOME": str(self.home.root),
                },
                mark=self._hook_mark,
                log=self.home.logs / "hooks" / f"{hook}.out",
                timeout_seconds=config.hooks.timeout_seconds,
                input=hooks.document(hook, event, task),
            ),
            lambda came: self._fired(hook, event, came),
        )

    def _fired(self, hook: str, event: Event, came: Came) -> None:
        self._hooks_running.discard(hook)
        said = f": {came.output}" if came.output else ""
        if came.problem:
            self.log.warning("%s (event %s): %s%s", hook, event.seq, came.problem, said)
        else:
            self.log.info("%s (event %s)%s", hook, event.seq, said)
        self._note(hook, event.seq)
        self.run_hooks()

    def _note(self, hook: str, seq: int) -> None:
        """Write a hook's place down; where that cannot be, it may be told again after a crash."""
        try:
            with self.write():
                rows.move(self.store, hook, seq)
        except Unknown as error:
            self.log.warning("%s: its place cannot be kept: %s", hook, error.message)

    def _is_configured(self, hook: str) -> bool:
        configs = [self.loaded.config, *(one.config for one in self.loaded.projects.values())]
        return any(getattr(config.hooks, hook) for config in configs)

    def _argv(self, hook: str, task: Task | None) -> tuple[str, ...]:
        config = self.config_of(task.project) if task else self.loaded.config
        found: tuple[str, ...] = getattr(config.hooks, hook)
        return found
