"""What is done aside for one run of a bash job: launching, and reading what it came to. Slow,
repeatable, and blind to the database."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import msgspec

from orch import agents
from orch.config.schema import JobConfig
from orch.core import job_runs, names
from orch.hosts import Host
from orch.job_shell import ORDER, Order
from orch.model import JobRun
from orch.paths import Home
from orch.session.launch import OWNER, Launch, prepare

TAIL_BYTES = 16 * 1024
"""How much of the end of the output is looked at for its last line."""


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to."""

    outcome: str
    summary: str
    exit_code: int | None = None


def session_name(job: str, run: int) -> str:
    """The tmux session of a run. No task's session has an underscore before a word."""
    return f"orch-job_{names.slug(job)[:24]}_{run}"


def folder_of(home: Home, project: str, job: str, run: int) -> Path:
    """Where a run's files lie: `state/owner/repo/jobs/{job}/{run}`."""
    return home.state / names.project_folder(project) / "jobs" / job / str(run)


def mark(home: Home, run: int) -> str:
    """The `ORCH_RUN` of a run, which all of its processes carry."""
    return f"{home.root}:job:{run}"


def launch(home: Home, host: Host, run: JobRun, job: JobConfig, project: Path) -> None:
    """Start the run's session; does nothing once it began, whatever became of it since: what runs
    by the clock must not run twice. Raises what `Host.start` raises."""
    folder = Path(run.folder)
    if host.size(folder, OWNER):
        return
    cwd = project / job.dir
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    order = Order(argv=job.command, cwd=str(cwd), home=str(home.root), project=run.project)
    (folder / ORDER).touch(0o600)
    (folder / ORDER).write_bytes(msgspec.json.encode(order))
    prepare(_launch(home, run, job, cwd))
    host.start(run.session, folder, cwd)


def collect(home: Home, host: Host, run: JobRun) -> Came:
    """What a run came to that has ended, or is lost: then what is left of it is ended too."""
    folder = Path(run.folder)
    result = host.finished(folder)
    if result is None:
        host.sweep(mark(home, run.run))
        return Came(outcome="lost", summary="its session ended unheard; it is not run again")
    size = host.size(folder)
    text = host.read(folder, max(0, size - TAIL_BYTES), TAIL_BYTES).decode(errors="replace")
    came = job_runs.outcome(
        result.ended_by, result.exit_code, result.signal, result.message,
        job_runs.last_line(agents.strip_ansi(text)),
    )  # fmt: skip
    return Came(outcome=came.outcome, summary=came.summary, exit_code=result.exit_code)


def remove(folders: list[str]) -> None:
    """Remove the files of runs; nothing when they are gone."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _launch(home: Home, run: JobRun, job: JobConfig, cwd: Path) -> Launch:
    return Launch(
        session=run.session,
        task="",
        attempt=run.run,
        run=mark(home, run.run),
        argv=(sys.executable, "-I", "-m", "orch.job_shell", run.folder),
        cwd=str(cwd),
        env=_environment(home, run),
        folder=run.folder,
        socket=str(home.session_socket(run.session)),
        endings=(str(home.socket("engine", "nudge")),),
        timeout_seconds=float(job.timeout_seconds),
    )


def _environment(home: Home, run: JobRun) -> dict[str, str]:
    """The command's environment: what an agent may inherit, `orch` in its PATH, `ORCH_*`."""
    env = agents.environment(
        dict(os.environ),
        {
            "ORCH_HOME": str(home.root),
            "ORCH_PROJECT": run.project,
            "ORCH_JOB": run.job,
            "ORCH_JOB_RUN": str(run.run),
            "ORCH_JOB_DUE": f"{run.due:.0f}",
        },
    )
    own = str(Path(sys.executable).parent)
    env["PATH"] = ":".join(dict.fromkeys([*env["PATH"].split(":"), own]))
    return env
