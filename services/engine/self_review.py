"""Self-review: files tasks for what the attempts of the last days say should be improved."""

from __future__ import annotations

from orch.config.schema import JobConfig
from orch.core import routing
from orch.core.redact import masked
from orch.core.self_review import WINDOW, Finding, findings, to_file
from orch.errors import NotFound, OrchError
from orch.model import Task
from orch.store import job_runs, tasks
from services.engine.notices import Notices


class SelfReview(Notices):
    """Looks at a project's attempts, inside the transaction of the job's run."""

    def run_self_review(self, project: str, job: JobConfig) -> tuple[str, str]:
        """File what is to be improved; returns the outcome (done, no_issues, failed) and a
        summary."""
        try:
            self._check_agent(project, job.task.agent)
            ended = job_runs.ended_attempts(self.store, project, self.now() - WINDOW)
            found = findings(ended, self.now())
            filed = job_runs.improvements(self.store, project)
            keys = [
                f"{self._file_improvement(project, job, one)}: {one.title}"
                for one in to_file(found, filed, self.now())
            ]
        except OrchError as error:
            return "failed", error.message
        if keys:
            return "done", "filed " + "; ".join(keys)
        if found:
            return "no_issues", f"nothing new: {len(found)} known findings are not filed again"
        return "no_issues", f"{len(ended)} attempts of the last seven days show nothing to improve"

    def _check_agent(self, project: str, agent: str) -> None:
        if agent and agent not in self.config_of(project).agents:
            known = ", ".join(sorted(self.config_of(project).agents))
            raise NotFound(f"there is no agent {agent} to give the tasks to (known: {known})")

    def _file_improvement(self, project: str, job: JobConfig, finding: Finding) -> str:
        labels = (*job.task.labels, "self-review", f"job:{job.id}")
        task = Task(
            key="", project=project, title=finding.title, body=masked(finding.body),
            labels=labels, source="self-review", author=f"job:{job.id}",
            wanted_agent=job.task.agent, complexity=routing.complexity(labels, ""),
            created_at=self.now(),
        )  # fmt: skip
        key = tasks.insert_internal(self.store, task, routing.priority(labels))
        self.event("task_added", key, title=finding.title[:300], project=project,
                   source="self-review")  # fmt: skip
        return key
