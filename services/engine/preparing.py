"""Preparing: the command of `hooks.prepare_worktree` runs in the worktree before the agent."""

from __future__ import annotations

import os
from pathlib import Path

from orch.errors import Unknown
from orch.model import Attempt, ErrorClass, Phase, Task, Verdict
from orch.store import attempts, events, tasks
from orch.tools import process
from services.engine import work
from services.engine.attempts import Attempts
from services.engine.commands import Came, Command, Commands

LOG = "prepare.log"
"""In the attempt's folder: what the command wrote."""

FAILED = "the worktree could not be prepared"

TRIES = 3
"""After so many failures in a row a person must look."""


class Preparing(Commands, Attempts):
    """Prepares worktrees. The attempt stays in its phase `prepare` meanwhile, so an engine that
    dies in it does it again, after it has ended what the dead one left running."""

    def _prepared(self, attempt: Attempt, prepared: work.Prepared) -> None:
        self._tell_of_worktree(attempt, prepared)
        task = tasks.get(self.store, attempt.task)
        config = self.config_of(task.project).hooks
        stopped = attempts.get(self.store, attempt.id).outcome
        if not config.prepare_worktree or stopped:
            super()._prepared(attempt, prepared)
            return
        command = Command(
            argv=config.prepare_worktree,
            cwd=Path(attempt.worktree),
            env=self._environment(attempt, task),
            mark=work.run_marker(self.home, attempt),
            log=Path(attempt.folder) / LOG,
            timeout_seconds=config.prepare_timeout_seconds,
        )
        self._busy.add(attempt.id)
        self.aside(
            lambda: self.host.sweep(command.mark),
            lambda _: self._run(attempt, prepared, command),
            lambda error: self._unready(attempt, Came(problem=str(error), output="")),
        )

    def _tell_of_worktree(self, attempt: Attempt, prepared: work.Prepared) -> None:
        """Log that a worktree was made, once for an attempt, by whichever engine comes to it."""
        first = not any(one.base for one in attempts.of_task(self.store, attempt.task))
        told = events.since(self.store, 0, 0.0, attempt.task, ("worktree_created",), 1000)
        if not (prepared.fresh or first) or any(e.data["attempt"] == attempt.n for e in told):
            return
        with self.write():
            self.event("worktree_created", attempt.task, attempt=attempt.n,
                       worktree=attempt.worktree, branch=attempt.branch)  # fmt: skip

    def _run(self, attempt: Attempt, prepared: work.Prepared, command: Command) -> None:
        if attempts.get(self.store, attempt.id).outcome:  # somebody stopped it meanwhile
            self._go_on(attempt, prepared)
            return
        self.beside(command, lambda came: self._came(attempt, prepared, came))

    def _came(self, attempt: Attempt, prepared: work.Prepared, came: Came) -> None:
        if came.problem and not attempts.get(self.store, attempt.id).outcome:
            self._unready(attempt, came)
        else:
            self._go_on(attempt, prepared)

    def _go_on(self, attempt: Attempt, prepared: work.Prepared) -> None:
        self._busy.discard(attempt.id)
        try:
            super()._prepared(attempt, prepared)
        except Unknown:
            self.put_off(attempt.id)

    def _unready(self, attempt: Attempt, came: Came) -> None:
        """End the attempt with what the command said: charged to nobody, and at the third time in
        a row put to a person."""
        self._busy.discard(attempt.id)
        said = f"\n{came.output[-1500:]}" if came.output else ""
        message = f"{FAILED} (hooks.prepare_worktree: {came.problem}){said}"
        failures = 1
        for old in reversed(attempts.before(self.store, attempt)):
            if not old.error.startswith(FAILED):
                break
            failures += 1
        often = failures >= TRIES
        error = ErrorClass.WAITING_FOR_INPUT if often else ErrorClass.INFRASTRUCTURE
        try:
            self.finish(attempt, Verdict(ok=False, error=error, message=message), None)
        except Unknown:
            self.put_off(attempt.id)

    def stop_attempt(self, attempt: Attempt, outcome: str, reason: str) -> None:
        """See `Attempts.stop_attempt`: what prepares its worktree is ended too."""
        super().stop_attempt(attempt, outcome, reason)
        if attempt.phase is Phase.PREPARE:
            mark = work.run_marker(self.home, attempt)
            self.aside(lambda: process.end(process.marked(mark)))

    def _environment(self, attempt: Attempt, task: Task) -> dict[str, str]:
        project = self.loaded.projects.get(task.project)
        told = {
            "HOOK": "prepare_worktree", "TASK": task.key, "PROJECT": task.project,
            "ATTEMPT": str(attempt.n), "AGENT": attempt.agent, "BRANCH": attempt.branch,
            "WORKTREE": attempt.worktree, "ATTEMPT_DIR": attempt.folder,
            "PROJECT_DIR": project.path if project else "", "HOME": str(self.home.root),
        }  # fmt: skip
        kept = {k: v for k, v in os.environ.items() if k not in ("ORCH_FDS", "ORCH_SERVICE")}
        return kept | {f"ORCH_{name}": value for name, value in told.items()}
