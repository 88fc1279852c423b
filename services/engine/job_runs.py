"""Runs of bash jobs: started once, watched to their end, whatever dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from orch.config.layers import secrets
from orch.config.schema import JobConfig
from orch.core.redact import masked
from orch.errors import OrchError, Refused, ToolFailed, Unknown
from orch.model import JobRun
from orch.service import every
from orch.store import job_runs
from services.engine import job_work
from services.engine.attempts import Attempts

T = TypeVar("T")

STEP_SECONDS = 120.0
RETRY_SECONDS = 2.0
MOST_AT_ONCE = 32
"""Commands that run at a time; more that are due wait a moment, whosever they are."""
KEPT_RUNS = 100
"""Of how many runs of each job the output is kept."""
KEEP_SECONDS = 90 * 86400.0
"""How long it is known what a run came to."""


class JobRuns(Attempts):
    """Drives every open run of a command: starting → running → ended. A run whose session was seen
    once is never started again; one that is gone without a result is lost, and told so."""

    def setup(self) -> None:
        """Nothing is watched until `adopt` has looked."""
        self._job_running: dict[str, JobRun] = {}
        self._job_secrets: dict[str, tuple[str, ...]] = {}
        self._job_moving: set[int] = set()
        self._job_absent: dict[str, int] = {}
        self._job_put_off: dict[int, float] = {}
        self._job_looking = False
        super().setup()

    def adopt(self) -> None:
        """Take the next step of every open run, after that of every open attempt."""
        super().adopt()
        if self.swept:
            for run in job_runs.open_ones(self.store):
                self.advance_run(run)

    def advance_run(self, run: JobRun) -> None:
        """Take the next step of a command's run, unless one is under way."""
        if run.type != "bash" or run.run in self._job_moving or not self.swept:
            return
        if run.state == "queued":
            self.start_queued(run.project, run.job)
        elif run.state == "starting":
            self._start_run(run)
        elif run.state == "running" and run.session not in self._job_running:
            self._job_running[run.session] = run
            self._check_run(run.session)

    def job_of(self, project: str, name: str) -> JobConfig | None:
        """The configured job; see `JobDesk`."""
        raise LookupError(f"{project} {name}")

    def on_config(self) -> None:
        """What is secret may have changed."""
        super().on_config()
        self._job_secrets.clear()

    def secrets_of(self, project: str) -> tuple[str, ...]:
        """The secret values of a project's configuration."""
        if project not in self._job_secrets:
            self._job_secrets[project] = secrets(self.config_of(project))
        return self._job_secrets[project]

    # ---- starting ----------------------------------------------------------------------------

    def _start_run(self, run: JobRun) -> None:
        if len(self._job_running) + len(self._job_moving) >= MOST_AT_ONCE:
            self._job_put_off[run.run] = self.clock()
            return
        job, project = self.job_of(run.project, run.job), self.loaded.projects.get(run.project)
        if job is None or project is None or not job.command:
            text = "the job is not configured any more"
            self._end_run(run, job_work.Came(outcome="failed", summary=text))
            return
        self._aside_for_run(
            run,
            lambda: job_work.launch(self.home, self.host, run, job, Path(project.path)),
            lambda _: self._run_started(run),
        )

    def _run_started(self, run: JobRun) -> None:
        with self.write():
            job_runs.update(self.store, run, state="running")
        self.advance_run(msgspec.structs.replace(run, state="running"))

    # ---- running -----------------------------------------------------------------------------

    def on_nudge(self, data: bytes) -> None:
        """A session process says that it ended: look, whoever said it."""
        super().on_nudge(data)
        for session in [name for name in self._job_running if name.encode() in data]:
            self._check_run(session)

    @every(seconds=1)
    def look_at_runs(self) -> None:
        """The safety net under the nudges: look for exit files, ask tmux which sessions live."""
        for session in list(self._job_running):
            self._check_run(session)
        for number in [n for n, at in self._job_put_off.items() if at <= self.clock()]:
            del self._job_put_off[number]
            self._take_up_run(number)
        if self._job_running and not self._job_looking:
            self._job_looking = True
            asked = frozenset(self._job_running)
            self.aside(
                self.host.alive,
                lambda alive: self._runs_counted(asked, alive),
                self._runs_uncounted,
                timeout=30.0,
            )

    def _runs_counted(self, asked: frozenset[str], alive: dict[str, int]) -> None:
        self._job_looking = False
        for session in asked & self._job_running.keys():
            missing = 0 if session in alive else self._job_absent.get(session, 0) + 1
            self._job_absent[session] = missing
            if missing >= 2 and not self._check_run(session):
                self._collect_run(self._job_running[session])

    def _runs_uncounted(self, error: Exception) -> None:
        self._job_looking = False
        self._job_absent.clear()
        self.log.warning("tmux cannot be asked: %s", error)

    def _check_run(self, session: str) -> bool:
        """Whether a run has ended; then it is collected."""
        run = self._job_running.get(session)
        if run is None:
            return True
        try:
            ended = self.host.finished(Path(run.folder)) is not None
        except OrchError as error:
            self.log.warning("%s: %s", session, error.message)
            return False
        if ended:
            self._collect_run(run)
        return ended

    # ---- ending ------------------------------------------------------------------------------

    def _collect_run(self, run: JobRun) -> None:
        if run.run not in self._job_moving:
            self._aside_for_run(
                run,
                lambda: job_work.collect(self.home, self.host, run),
                lambda came: self._end_run(run, came),
            )

    def _end_run(self, run: JobRun, came: job_work.Came) -> None:
        """Write down what a run came to; the next one that waits for it begins."""
        summary = masked(came.summary, self.secrets_of(run.project))
        with self.write():
            job_runs.update(
                self.store, run, state="ended", outcome=came.outcome, summary=summary,
                exit_code=came.exit_code, ended_at=self.now(),
            )  # fmt: skip
            self.job_ended(run, came.outcome, summary, exit_code=came.exit_code)
        self._job_running.pop(run.session, None)
        self._job_absent.pop(run.session, None)
        self.start_queued(run.project, run.job)

    def job_ended(self, run: JobRun, outcome: str, summary: str, **more: object) -> None:
        """Tell in the events log what a run came to, inside the transaction of the change."""
        more |= {"type": run.type, "outcome": outcome, "summary": summary}
        self.event("job_ended", run.task, job=run.job, project=run.project, run=run.run,
                   due=run.due, **more)  # fmt: skip

    def start_queued(self, project: str, job: str) -> None:
        """Start the oldest queued run of a job, if none of it runs."""
        run = job_runs.next_queued(self.store, project, job)
        if run is not None:
            with self.write():
                job_runs.update(self.store, run, state="starting", reason="")
            self.advance_run(msgspec.structs.replace(run, state="starting", reason=""))

    # ---- steps -------------------------------------------------------------------------------

    def _aside_for_run(
        self, run: JobRun, work: Callable[[], T], then: Callable[[T], object]
    ) -> None:
        """One step of a run at a time. What cannot be found out is asked again later; a session
        that is refused for good ends the run."""

        def settle(go_on: Callable[[], object]) -> None:
            self._job_moving.discard(run.run)
            try:
                go_on()
            except Unknown as error:
                self._run_later(run, error)

        self._job_moving.add(run.run)
        try:
            self.aside(
                work, lambda found: settle(lambda: then(found)),
                lambda error: settle(lambda: self._run_failed(run, error)), timeout=STEP_SECONDS,
            )  # fmt: skip
        except Refused as refused:
            self._job_moving.discard(run.run)
            self._run_later(run, refused)

    def _run_failed(self, run: JobRun, error: Exception) -> None:
        if not isinstance(error, OrchError | OSError):
            self.log.error("a step of job %s broke", run.job, exc_info=error)
        began = self.host.size(Path(run.folder), "session.json") > 0
        if run.state == "starting" and not began and isinstance(error, Refused | ToolFailed):
            came = job_work.Came(outcome="failed", summary=f"cannot be started: {error}")
            self._end_run(run, came)
        else:
            self._run_later(run, error)

    def _run_later(self, run: JobRun, error: Exception) -> None:
        self.seldom.warning(f"job {run.run}", f"job {run.job}, run {run.run}: {error}")
        self._job_put_off[run.run] = self.clock() + RETRY_SECONDS

    def _take_up_run(self, number: int) -> None:
        run = job_runs.get(self.store, number)
        if run is not None:
            self.advance_run(run)

    # ---- age ---------------------------------------------------------------------------------

    @every(seconds=3600)
    def forget_old_runs(self) -> None:
        """Remove the output that is past its number, and rows past their age."""
        with self.write():
            job_runs.prune(self.store, self.now() - KEEP_SECONDS)
        surplus = job_runs.surplus(self.store, KEPT_RUNS, 500)
        if surplus:
            self.aside(
                lambda: job_work.remove([run.folder for run in surplus]),
                lambda _: self._run_folders_gone(surplus),
            )

    def _run_folders_gone(self, runs: list[JobRun]) -> None:
        with self.write():
            for run in runs:
                job_runs.forget_folder(self.store, run.folder)
