"""Jobs: which there are, and firing one exactly once for each of its times."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import msgspec

from orch.config.schema import SHELL, JobConfig
from orch.core import routing
from orch.core.job_runs import Admission, admit
from orch.core.redact import masked
from orch.core.schedule import problem
from orch.errors import Ambiguous, NotFound, Refused, Unknown
from orch.messages import (
    FireJob,
    GetJob,
    JobDetail,
    JobFired,
    Jobs,
    JobsChanged,
    ListJobs,
    RunJob,
)
from orch.model import Job, JobRun, Task
from orch.service import answers
from orch.store import job_runs, jobs, tasks
from services.engine import job_work
from services.engine.job_runs import JobRuns
from services.engine.self_review import SelfReview

MOST_RUNS = 200


class JobDesk(SelfReview, JobRuns):
    """Answers the scheduler and `orch job`."""

    def on_config(self) -> None:
        """The jobs may have changed; a new one owes nothing from before it was seen."""
        super().on_config()
        with self.write():
            for project, job in self._all_jobs():
                line = f"{job.schedule} {job.timezone}".strip()
                jobs.see(self.store, project, job.id, line, self.now())
        self.publish(JobsChanged())

    def dispatch(self) -> None:
        """Before anything starts: note which jobs' tasks are over."""
        self._settle_runs()
        super().dispatch()

    # ---- looking -----------------------------------------------------------------------------

    @answers(ListJobs)
    def list_jobs(self, request: ListJobs) -> Jobs:
        """All jobs as configured, with their state."""
        return Jobs(
            tuple(
                self._job(project, job)
                for project, job in self._all_jobs()
                if request.project in ("", project)
            )
        )

    @answers(GetJob)
    def get_job(self, request: GetJob) -> JobDetail:
        """One job with its newest runs."""
        project, job = self._job_named(request.project, request.id)
        limit = max(1, min(request.limit, MOST_RUNS))
        return JobDetail(
            self._job(project, job), tuple(job_runs.of_job(self.store, project, job.id, limit))
        )

    def _all_jobs(self) -> Iterator[tuple[str, JobConfig]]:
        """Every job with its project: those of the projects, then those of `config.yml`, which
        belong to the project they name, or to the only one there is."""
        for slug, project in self.loaded.projects.items():
            yield from ((slug, job) for job in project.config.jobs)
        slugs = list(self.loaded.projects)
        for job in self.loaded.config.jobs:
            slug = job.project or (slugs[0] if len(slugs) == 1 else "")
            yield slug, job

    def _job(self, project: str, job: JobConfig) -> Job:
        runs = job_runs.of_job(self.store, project, job.id, 1)
        last = runs[0] if runs else None
        seen_at, count = jobs.seen(self.store, project, job.id)
        task = tasks.find(self.store, last.task) if last and last.task else None
        result = (task.status if task else last.outcome or last.state) if last else ""
        command = masked(_shown(job.command), self.secrets_of(project)) if job.command else ""
        return Job(
            id=job.id, project=project, schedule=job.schedule, timezone=job.timezone,
            type=job.type, title=job.task.title, body=job.task.body, labels=job.task.labels,
            agent=job.task.agent, enabled=job.enabled, catch_up=job.catch_up,
            overlap=job.overlap, problem=job.problem or _problem(project, job),
            command=command, dir=job.dir, timeout_seconds=job.timeout_seconds,
            seen_at=seen_at, last_due=job_runs.last_due(self.store, project, job.id),
            last_run=last.due if last else None, last_task=last.task if last else "",
            last_result=result, active=job_runs.going_on(self.store, project, job.id)[0],
            runs=count,
        )  # fmt: skip

    # ---- firing ------------------------------------------------------------------------------

    @answers(FireJob)
    def fire_job(self, request: FireJob) -> JobFired:
        """Make the task, or start the run, of a job's due time, once."""
        past = job_runs.fired(self.store, request.project, request.id, request.at)
        if past is not None:
            return msgspec.structs.replace(_told(past), before=True)
        project, job = self._job_named(request.project, request.id)
        if not job.enabled:
            raise Refused(f"the job {job.id} is disabled", f"`orch job enable {job.id}`")
        return self._fire_run(project, job, JobRun(project=project, job=job.id, due=request.at))

    @answers(RunJob)
    def run_job(self, request: RunJob) -> JobFired:
        """Run a job now, by hand."""
        project, job = self._job_named(request.project, request.id)
        run = JobRun(project=project, job=job.id, due=self.now(), manual=True)
        return self._fire_run(project, job, run, by=request.by)

    def _fire_run(self, project: str, job: JobConfig, run: JobRun, by: str = "") -> JobFired:
        wrong = job.problem or _problem(project, job)
        if wrong:
            raise Refused(f"the job {job.id} cannot run: {wrong}", "mend it in its file")
        run = msgspec.structs.replace(run, type=job.type, fired_at=self.now())
        with self.write():
            self._settle_runs()
            busy, waiting = job_runs.going_on(self.store, project, job.id)
            run = self._admitted(job, run, admit(job.overlap, busy, waiting), busy)
            run = msgspec.structs.replace(run, run=job_runs.fire(self.store, run))
            if run.state in ("queued", "starting"):
                run = self._with_session(run)
            self.event("job_fired", run.task, job=job.id, project=project, due=run.due,
                       type=job.type, run=run.run, reason=run.reason, by=by)  # fmt: skip
            if job.type == "self-review":
                self.job_ended(run, run.outcome, run.summary)
        self.post(lambda: self.advance_run(run))
        self.stir()
        return _told(run)

    def _admitted(self, job: JobConfig, run: JobRun, admission: Admission, busy: str) -> JobRun:
        """The run with what it begins with: a task, a place in the queue, or a reason for nothing.
        A queued task is held back by the one before it."""
        step, reason = admission
        if step == "skip":
            return msgspec.structs.replace(run, outcome="skipped", reason=reason)
        if job.type == "bash":
            state = "queued" if step == "queue" else "starting"
            return msgspec.structs.replace(run, state=state, reason=reason)
        if job.type == "self-review":
            outcome, summary = self.run_self_review(run.project, job)
            return msgspec.structs.replace(
                run, outcome=outcome, summary=summary, ended_at=self.now()
            )
        after = (busy,) if step == "queue" else ()
        key = self._task_of(run.project, job, after)
        return msgspec.structs.replace(run, state="running", task=key, reason=reason)

    def _with_session(self, run: JobRun) -> JobRun:
        """Give the run of a command its session and folder, known before it begins."""
        session = job_work.session_name(run.job, run.run)
        folder = str(job_work.folder_of(self.home, run.project, run.job, run.run))
        job_runs.update(self.store, run, session=session, folder=folder)
        return msgspec.structs.replace(run, session=session, folder=folder)

    def _task_of(self, project: str, job: JobConfig, after: tuple[str, ...]) -> str:
        labels = (*job.task.labels, "scheduled", f"job:{job.id}")
        task = Task(
            key="", project=project, title=job.task.title, body=job.task.body, labels=labels,
            source="cron", author=f"job:{job.id}", wanted_agent=job.task.agent,
            complexity=routing.complexity(labels, ""), after=after, created_at=self.now(),
        )  # fmt: skip
        key = tasks.insert_internal(self.store, task, routing.priority(labels))
        for one in after:
            tasks.add_dependency(self.store, key, one)
        self.event("task_added", key, title=task.title[:300], project=project, source="cron")
        return key

    def _settle_runs(self) -> None:
        """End the runs whose task is over, was closed by hand, or is gone."""
        over = job_runs.over(self.store)
        if not over:
            return
        try:
            with self.write():
                for run, status, words in over:
                    summary = masked(" ".join(words.split())[:300])
                    job_runs.update(self.store, run, state="ended", outcome=status,
                                    summary=summary, ended_at=self.now())  # fmt: skip
                    self.job_ended(run, status, summary)
        except Unknown as error:
            self.log.warning("runs of jobs: %s", error.message)

    # ---- finding -----------------------------------------------------------------------------

    def job_of(self, project: str, name: str) -> JobConfig | None:
        """The configured job of a project; None when there is none."""
        found = (job for slug, job in self._all_jobs() if (slug, job.id) == (project, name))
        return next(found, None)

    def _job_named(self, project: str, name: str) -> tuple[str, JobConfig]:
        """A job by its project and id; without a project the id must be that of one job alone.
        Raises `NotFound`, `Ambiguous`."""
        if project:
            self.project_of(project)
        found = [
            (slug, job)
            for slug, job in self._all_jobs()
            if job.id == name and project in ("", slug)
        ]
        if not found:
            where = f" in {project}" if project else ""
            raise NotFound(f"there is no job {name}{where}", "`orch job list` shows the jobs")
        if len({slug for slug, _ in found}) > 1:
            names = ", ".join(slug or "(all)" for slug, _ in found)
            raise Ambiguous(f"{name!r} is a job of {names}", "pass --project owner/repo")
        return found[0]


def _told(run: JobRun) -> JobFired:
    """What is answered to whoever fired the run."""
    outcome = {"queued": "queued", "ended": run.outcome}.get(run.state, "started")
    return JobFired(run.task, run.reason or run.summary, run.run, outcome)


def _shown(command: tuple[str, ...]) -> str:
    """A command as it is written: a script's text, or an argv quoted for a shell."""
    if command[:2] == SHELL and len(command) == 3:
        return command[2]
    return shlex.join(command)


def _problem(project: str, job: JobConfig) -> str:
    if not project:
        return "several projects are registered: say which with `project: owner/repo`"
    return problem(job.schedule, job.timezone)
