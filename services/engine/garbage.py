"""`orch gc`: what nothing needs any more. Anything dirty, unmerged, unpushed or unknown stays."""

from __future__ import annotations

from pathlib import Path

from orch.core import keeping
from orch.errors import OrchError, Refused
from orch.messages import CollectGarbage, Garbage
from orch.service import Later, answers
from orch.store import job_runs, leftovers
from services.engine import sweep
from services.engine.ages import BATCH, Ages

SWEEP_SECONDS = 600.0
"""How long one round of looking and removing may take."""

REPLY_BYTES = 700_000
"""How much of what was found goes into the reply."""


class GarbageDesk(Ages):
    """Answers `orch gc`: looks aside, asks the database whose it is, removes aside."""

    @answers(CollectGarbage)
    def collect_garbage(self, request: CollectGarbage) -> Later:
        """Look (and remove) aside; the answer comes when it is done."""
        if not self.begin_measuring():
            raise Refused("something is being removed already", "try again in a moment")
        later, repos = Later(), {s: Path(p.path) for s, p in self.loaded.projects.items()}
        folders = self.project_folders()
        self.aside(
            lambda: sweep.look(self.home, self.host, repos, folders),
            lambda found: self._clear(found, repos, request.dry_run, later),
            lambda error: self._not_collected(error, later),
            timeout=SWEEP_SECONDS,
        )
        return later

    def _clear(
        self, found: sweep.Found, repos: dict[str, Path], dry_run: bool, later: Later
    ) -> None:
        """Judge what was found by what the database knows now. Until it is over, no task that is
        done now begins again."""
        branches = {name for one in found.branches.values() for name in one}
        of_keys = leftovers.of_keys(self.store, [one.key for one in found.artifacts])
        scene = sweep.Scene(
            home=self.home, host=self.host, repos=repos, found=found, dry_run=dry_run,
            of_worktrees=leftovers.of_worktrees(self.store, found.worktrees),
            of_branches=leftovers.of_branches(self.store, branches),
            of_sessions=self._of_sessions(found.sessions),
            expendable=tuple(
                keeping.expendable(found.artifacts, of_keys, self.bounds, self.now())
            ),
            days=self.bounds.days, now=self.now(),
        )  # fmt: skip
        owners = [*scene.of_worktrees.values(), *scene.of_branches.values(), *of_keys.values()]
        if not dry_run:
            self.clearing = frozenset(one.key for one in owners if not keeping.why_kept(one))
        self.aside(
            lambda: list(sweep.clear(scene)),
            lambda items: self._cleared(items, dry_run, later),
            lambda error: self._not_collected(error, later),
            timeout=SWEEP_SECONDS,
        )

    def _of_sessions(self, names: tuple[str, ...]) -> dict[str, tuple[str, bool]]:
        """Whose sessions these are, of tasks and of jobs: the folder, and whether it is open."""
        of_jobs = job_runs.sessions(self.store)
        jobs = {name: (of_jobs[name][0], not of_jobs[name][1]) for name in names if name in of_jobs}
        return leftovers.of_sessions(self.store, names) | jobs

    def _not_collected(self, error: Exception, later: Later) -> None:
        self.rest()
        later(OrchError(f"not all could be looked at: {error}") if isinstance(error, OSError)
              else error)  # fmt: skip

    def _cleared(self, items: list[sweep.Item], dry_run: bool, later: Later) -> None:
        self.rest()
        old = leftovers.old_events(self.store, *self.event_bounds())
        if old:
            verdict = "removable" if dry_run else f"removed, {BATCH} at a time"
            items.append(("events", f"{old} of the log", verdict))
            if not dry_run:
                self.forget_the_old()
        kept: list[sweep.Item] = []
        size = 0
        for item in items:
            size += sum(len(text.encode()) for text in item) + 20
            if size > REPLY_BYTES:
                break
            kept.append(item)
        later(Garbage(tuple(kept), len(items) - len(kept)))
