"""The scheduler process: fires jobs when their time comes; what is due: see core/schedule.py."""

from __future__ import annotations

from typing import ClassVar

from orch.core.schedule import Agenda, Firing, Key, key
from orch.errors import OrchError, Unavailable, Unknown
from orch.marks import answers, every, on
from orch.messages import FireJob, JobsChanged, ListJobs, PassRun, RunPass
from orch.service import Service, run

RETRY = 1.0
"""Seconds until an engine that did not answer is asked again."""

Fired = tuple[str, float, str, str]


class Scheduler(Service):
    """Fires jobs when their time comes; safe to repeat, for the engine fires a time only once."""

    name = "scheduler"
    glance_seconds: ClassVar[float] = 30.0
    """The longest sleep between two looks at the wall clock: it may jump, and machines sleep."""

    def setup(self) -> None:
        """Nothing is planned until the engine has said which jobs there are."""
        self.agenda = Agenda()
        self.loaded = False
        self._problems: dict[Key, str] = {}
        self._refusals: dict[Key, int] = {}
        self._alarm = self.alarm(self.wake)
        self._alarm.set(self.clock())

    @on(JobsChanged)
    @every(seconds=60)
    def reload(self, _event: JobsChanged | None = None) -> None:
        """Have the jobs asked for again, as soon as the engine answers."""
        self.loaded = False
        self._alarm.set(self.clock())

    def wake(self) -> None:
        """Fire what is due; sleep until the next time, or for a glance at the clock."""
        self._alarm.set(self.clock() + self.glance_seconds)
        try:
            if not self.loaded:
                self._load()
            self._fire_due()
        except (Unavailable, Unknown) as error:
            self._alarm.set(self.clock() + RETRY)
            self.seldom.warning("engine", f"jobs wait for the engine: {error}")
        else:
            self._plan()

    @answers(RunPass)
    def run_pass(self, _request: RunPass) -> PassRun:
        """One pass now: ask for the jobs, fire what is due."""
        self._load()
        fired = self._fire_due()
        self._plan()
        return PassRun(tuple(fired))

    def _load(self) -> None:
        self.agenda.load(self.ask(ListJobs()).jobs, self.now())
        self.loaded = True
        for name, wrong in self.agenda.problems.items():
            if self._problems.get(name) != wrong:
                self.log.warning(f"job {name[1]} cannot run: {wrong}", extra={"project": name[0]})
        self._problems = dict(self.agenda.problems)

    def _fire_due(self) -> list[Fired]:
        """Fire what is due, those last that got no answer before, so that none blocks another.

        Raises `Unavailable` when the engine does not answer, and `Unknown` when it cannot write it
        down; what is left stays due.
        """
        due = self.agenda.due(self.now())
        fired = []
        for firing in sorted(due, key=lambda one: self._refusals.get(key(one.job), 0)):
            fired += self._fire(firing)
            self.agenda.settled(firing)
            self._refusals.pop(key(firing.job), None)
        return fired

    def _fire(self, firing: Firing) -> list[Fired]:
        job, at = firing
        try:
            done = self.ask(FireJob(job.id, job.project, at))
        except (Unavailable, Unknown):
            self._refusals[key(job)] = self._refusals.get(key(job), 0) + 1
            raise
        except OrchError as error:
            self.log.warning(f"job {job.id} was not fired: {error}", extra={"due": at})
            return [(job.id, at, "", "refused")]
        if done.before:  # by another scheduler, or before the clock was set back
            return []
        self.log.info(
            f"fired job {job.id}",
            extra={"due": at, "task": done.task, "run": done.run, "reason": done.reason},
        )
        return [(job.id, at, done.task, done.outcome)]

    def _plan(self) -> None:
        nearest = self.agenda.nearest()
        wait = self.glance_seconds if nearest is None else max(0.0, nearest - self.now())
        self._alarm.set(self.clock() + min(self.glance_seconds, wait))


def main() -> None:
    """Serve until stopped."""
    raise SystemExit(run(Scheduler))


if __name__ == "__main__":
    main()
