"""What is past its age or too much goes by itself: events, artifacts, replies, the WAL's size."""

from __future__ import annotations

from orch.core import keeping, names
from orch.errors import OrchError
from orch.model import Attempt, Phase
from orch.service import every
from orch.store import leftovers, notices, outbox
from orch.store.db import WAL_BYTES
from services.engine import artifacts
from services.engine.attempts import Attempts

BATCH = 5000
"""Rows forgotten in one transaction; more wait for the next turn of the loop."""

ANSWERED_SECONDS = 2 * keeping.DAY
"""How long replies, deliveries and finished effects are kept."""

MEASURE_SECONDS = 6 * 3600.0
"""How often artifacts are measured."""

CHECKPOINT_SECONDS = 30.0
"""How long moving a large write-ahead log into the database may keep the loop busy."""


class Ages(Attempts):
    """Forgets what is old, in small steps. Nothing of an open task goes, whatever its age."""

    def setup(self) -> None:
        """Begin with nobody measuring, and nothing being removed."""
        self._measuring = False
        self.clearing: frozenset[str] = frozenset()
        self._measure = self.alarm(self.forget_artifacts)
        super().setup()
        self._measure.set(self.clock() + self.loaded.config.engine.sync_interval)

    def advance(self, attempt: Attempt) -> None:
        """While what a task left is being removed, its next attempt waits with its beginning."""
        if attempt.task in self.clearing and attempt.phase is Phase.PREPARE:
            self.put_off(attempt.id)
            return
        super().advance(attempt)

    @property
    def bounds(self) -> keeping.Bounds:
        """How much is kept, as configured now."""
        keep = self.loaded.config.keep
        return keeping.Bounds(keep.days, int(keep.artifacts_gib * (1 << 30)), keep.events)

    @every(seconds=3600)
    def forget_the_old(self) -> None:
        """Forget a batch of old rows, and come back soon while there are more."""
        try:
            with self.write():
                outbox.prune(self.store, self.now() - ANSWERED_SECONDS)
                notices.prune(self.store, self.event_bounds()[0])
                gone = leftovers.forget_events(self.store, *self.event_bounds(), BATCH)
        except OrchError as error:
            self.log.warning("pruning has to wait: %s", error.message)
            return
        if gone == BATCH:
            self.post(self.forget_the_old)

    def event_bounds(self) -> tuple[float, int]:
        """Events before this time (seconds since the epoch), or beyond so many, may go."""
        bounds = self.bounds
        return self.now() - bounds.days * keeping.DAY, bounds.events or 1 << 60

    def forget_artifacts(self) -> None:
        """Measure what finished tasks left on disk, aside, and remove what is old or too much. Not
        at once at the start: an engine that was replaced has better things to do."""
        self._measure.set(self.clock() + MEASURE_SECONDS)
        if not self.begin_measuring():
            return
        folders = self.project_folders()
        self.aside(
            lambda: artifacts.measured(self.home, folders), self._measured, self._unmeasured,
            timeout=1800.0,
        )  # fmt: skip

    def begin_measuring(self) -> bool:
        """Whether nobody else measures or removes now; until `rest`, nobody else may."""
        if self._measuring or not self.swept:
            return False
        self._measuring = True
        return True

    def project_folders(self) -> dict[str, str]:
        """The slug of each project by the folder that its tasks' artifacts are in."""
        return {names.project_folder(slug): slug for slug in leftovers.projects(self.store)}

    def _measured(self, found: list[keeping.Artifacts]) -> None:
        owners = leftovers.of_keys(self.store, [one.key for one in found])
        going = keeping.expendable(found, owners, self.bounds, self.now())
        folders = [one.folder for one, _ in going]
        self.clearing |= {one.key for one, _ in going}
        self.aside(
            lambda: artifacts.remove(folders), lambda failed: self._removed(len(folders), failed),
            self._unmeasured, timeout=1800.0,
        )  # fmt: skip

    def _removed(self, count: int, failed: list[str]) -> None:
        self.rest()
        for problem in failed[:20]:
            self.log.warning("artifacts stay: %s", problem)
        if count > len(failed):
            self.log.info("removed the artifacts of %d old tasks", count - len(failed))

    def _unmeasured(self, error: Exception) -> None:
        self.rest()
        self.log.warning("artifacts stay: %s", error)

    def rest(self) -> None:
        """Measuring and removing are over."""
        self._measuring = False
        self.clearing = frozenset()

    @every(seconds=60)
    def cut_the_wal(self) -> None:
        """After somebody held an old snapshot for long: give the disk its room back."""
        if self.store.wal_bytes() > 2 * WAL_BYTES:
            self.extend(CHECKPOINT_SECONDS)
            self.store.shrink()
