"""`orch job`: which commands it has; only the one that is called gets imported."""

from __future__ import annotations

from orch.cli.lazy import Entry, Lazy

JOBS, RUNS = "The jobs", "Their runs"

COMMANDS = {
    "list": Entry("orch.cli.job:list_", JOBS, "List the jobs with last run and next time."),
    "add": Entry("orch.cli.job:add", JOBS, "Write a job into the project's `.orch.yml`."),
    "remove": Entry("orch.cli.job:remove", JOBS, "Remove a job from its file."),
    "enable": Entry("orch.cli.job:enable", JOBS, "Let a job fire again."),
    "disable": Entry("orch.cli.job:disable", JOBS, "Keep a job, but let it not fire."),
    "next": Entry("orch.cli.job:next_", JOBS, "Show the coming times."),
    "info": Entry("orch.cli.job_past:info", RUNS, "Show one job and its last runs."),
    "log": Entry("orch.cli.job_past:log", RUNS, "Print what a job's command wrote."),
    "run": Entry("orch.cli.job_past:run", RUNS, "Run a job now."),
    "tick": Entry("orch.cli.job:tick", RUNS, "Run one scheduler pass now."),
}

job = Lazy(
    "job",
    COMMANDS,
    "What repeats by the clock: tasks, commands, and looks back.\n\n\b\nExample:\n"
    '  orch job add "0 4 * * *" "Update the dependencies"\n  orch job next',
)
