"""Jobs: which there are, and firing one exactly once for each of its times."""

from __future__ import annotations

from collections.abc import Iterator

from orch.config.schema import JobConfig
from orch.core import routing
from orch.core.schedule import problem
from orch.errors import NotFound, Refused
from orch.messages import FireJob, JobFired, Jobs, JobsChanged, ListJobs
from orch.model import Job, Status, Task
from orch.service import answers
from orch.store import jobs, tasks
from services.engine.reports import ReportDesk


class JobDesk(ReportDesk):
    """Answers the scheduler and `orch job`."""

    def on_config(self) -> None:
        """The jobs may have changed; a new one owes nothing from before it was seen."""
        super().on_config()
        with self.write():
            for project, job in self._all_jobs():
                line = f"{job.schedule} {job.timezone}".strip()
                jobs.see(self.store, project, job.id, line, self.now())
        self.publish(JobsChanged())

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

    def _all_jobs(self) -> Iterator[tuple[str, JobConfig]]:
        """Every job with its project: those of the projects, then those of `config.yml`, which
        belong to the project they name, or to the only one there is."""
        for slug, project in self.loaded.projects.items():
            yield from ((slug, job) for job in project.config.jobs)
        slugs = list(self.loaded.projects)
        for job in self.loaded.config.jobs:
            slug = job.project or (slugs[0] if len(slugs) == 1 else "")
            yield slug, job

    @answers(FireJob)
    def fire_job(self, request: FireJob) -> JobFired:
        """Make the task of a job's due time, once."""
        past = jobs.fired(self.store, request.project, request.id, request.at)
        if past is not None:
            return JobFired(past["task"], past["reason"])
        job = self._configured(request.project, request.id)
        if not job.enabled:
            raise Refused(f"the job {job.id} is disabled", f"`orch job enable {job.id}`")
        with self.write():
            busy = self._unfinished(request.project, job)
            reason = f"skipped: {busy} is not finished" if busy and job.overlap == "skip" else ""
            after = (busy,) if busy and job.overlap == "queue" else ()
            key = "" if reason else self._task_of(request.project, job, after)
            jobs.fire(self.store, request.project, job.id, request.at, key, reason, self.now())
            self.event("job_fired", key, job=job.id, due=request.at, reason=reason)
        self.stir()
        return JobFired(key, reason)

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

    def _unfinished(self, project: str, job: JobConfig) -> str:
        """The task of the job's last run while it may still run; '' when it is over, or when it
        waits for a person: that is no reason to stop the job for ever."""
        last = jobs.last(self.store, project, job.id)
        over = (Status.DONE, Status.BLOCKED, Status.NEEDS_REVIEW)
        return str(last["task"]) if last and last["task"] and last["status"] not in over else ""

    def _configured(self, project: str, name: str) -> JobConfig:
        self.project_of(project)
        for slug, job in self._all_jobs():
            if (slug, job.id) == (project, name):
                return job
        raise NotFound(f"there is no job {name} in {project}", "`orch job list` shows the jobs")

    def _job(self, project: str, job: JobConfig) -> Job:
        last = jobs.last(self.store, project, job.id)
        return Job(
            id=job.id, project=project, schedule=job.schedule, timezone=job.timezone,
            type=job.type, title=job.task.title, body=job.task.body, labels=job.task.labels,
            agent=job.task.agent, enabled=job.enabled, catch_up=job.catch_up,
            overlap=job.overlap, problem=job.problem or _problem(project, job),
            seen_at=jobs.seen(self.store, project, job.id),
            last_due=last["due"] if last else None, last_task=last["task"] if last else "",
            last_result=(last["status"] or last["reason"]) if last else "",
            runs=last["runs"] if last else 0,
        )  # fmt: skip


def _problem(project: str, job: JobConfig) -> str:
    if not project:
        return "several projects are registered: say which with `project: owner/repo`"
    return problem(job.schedule, job.timezone)
