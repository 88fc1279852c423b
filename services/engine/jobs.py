"""Jobs: which there are, and firing one exactly once for each of its times."""

from __future__ import annotations

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
        with self.write():
            for slug, project in self.loaded.projects.items():
                for job in project.config.jobs:
                    line = f"{job.schedule} {job.timezone}".strip()
                    jobs.see(self.store, slug, job.id, line, self.now())
        self.publish(JobsChanged())

    @answers(ListJobs)
    def list_jobs(self, request: ListJobs) -> Jobs:
        """All jobs as configured, with their state."""
        found = []
        for slug, project in self.loaded.projects.items():
            if request.project in ("", slug):
                found += [self._job(slug, job) for job in project.config.jobs]
        return Jobs(tuple(found))

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
            reason = self._overlap(request.project, job)
            key = "" if reason else self._task_of(request.project, job)
            jobs.fire(self.store, request.project, job.id, request.at, key, reason, self.now())
            self.event("job_fired", key, job=job.id, due=request.at, reason=reason)
        self.stir()
        return JobFired(key, reason)

    def _task_of(self, project: str, job: JobConfig) -> str:
        labels = (*job.task.labels, "scheduled", f"job:{job.id}")
        task = Task(
            key="", project=project, title=job.task.title, body=job.task.body, labels=labels,
            source="cron", author=f"job:{job.id}", wanted_agent=job.task.agent,
            complexity=routing.complexity(labels, ""), created_at=self.now(),
        )  # fmt: skip
        key = tasks.insert_internal(self.store, task, routing.priority(labels))
        self.event("task_added", key, title=task.title[:300], project=project, source="cron")
        return key

    def _overlap(self, project: str, job: JobConfig) -> str:
        last = jobs.last(self.store, project, job.id)
        busy = last is not None and last["task"] and last["status"] not in (
            Status.DONE, Status.BLOCKED, Status.NEEDS_REVIEW,
        )  # fmt: skip
        if not busy or last is None or job.overlap == "allow":
            return ""
        if job.overlap == "queue":
            return ""
        return f"skipped: {last['task']} of the last run is {last['status']}"

    def _configured(self, project: str, name: str) -> JobConfig:
        for job in self.project_of(project).config.jobs:
            if job.id == name:
                return job
        raise NotFound(f"there is no job {name} in {project}", "`orch job list` shows the jobs")

    def _job(self, project: str, job: JobConfig) -> Job:
        last = jobs.last(self.store, project, job.id)
        return Job(
            id=job.id, project=project, schedule=job.schedule, timezone=job.timezone,
            type=job.type, title=job.task.title, body=job.task.body, labels=job.task.labels,
            agent=job.task.agent, enabled=job.enabled, catch_up=job.catch_up,
            overlap=job.overlap, problem=job.problem or problem(job.schedule, job.timezone),
            seen_at=jobs.seen(self.store, project, job.id),
            last_due=last["due"] if last else None, last_task=last["task"] if last else "",
            last_result=(last["status"] or last["reason"]) if last else "",
            runs=last["runs"] if last else 0,
        )  # fmt: skip
