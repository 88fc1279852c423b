"""`orch job info, log, run`: one job, what its runs came to, and one run more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.cli.job import coming, document, state
from orch.cli.lines import plain
from orch.cli.person import person
from orch.errors import NotFound
from orch.messages import GetJob, JobDetail, RunJob
from orch.model import Job, JobRun
from orch.session.launch import LOG

SHOWN = 10
"""How many runs `info` shows."""

LOOK_SECONDS = 0.2
FAILED = ("failed", "timeout", "cancelled", "lost")

job_id = click.argument("id_", metavar="ID", shell_complete=complete.jobs)


@click.command()
@job_id
@click.pass_obj
def info(app: App, id_: str) -> None:
    """Show one job and its last runs.

    \b
    Example:
      orch job info update-the-dependencies
    """
    detail = app.ask(GetJob(id_, app.project, SHOWN))
    one = detail.job
    if app.json:
        show.json({**document(one), "last_runs": [run_document(run) for run in detail.runs]})
        return
    show.pairs(_facts(one))
    if detail.runs:
        show.line()
        show.table(
            ("RUN", "DUE", "TOOK", "RESULT", "TASK", "SUMMARY"),
            [
                (
                    str(run.run),
                    show.moment(run.due) + (" by hand" if run.manual else ""),
                    _took(run),
                    run.outcome or run.state,
                    run.task or "-",
                    run.summary or run.reason,
                )
                for run in detail.runs
            ],
        )


@click.command()
@job_id
@click.option("--run", "number", type=int, help="Of the run with this number; else of the last.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.pass_obj
def log(app: App, id_: str, number: int | None, follow: bool) -> None:
    """Print what a job's command wrote; secrets in it are masked.

    \b
    Example:
      orch job log check-the-site
    """
    detail = app.ask(GetJob(id_, app.project, 200))
    run = _with_output(detail, number)
    path = Path(run.folder) / LOG
    if app.json:
        show.json({**run_document(run), "output": _text(_read(path, 0))})
        return
    offset = _print(path, 0)
    while follow and run.state != "ended":
        time.sleep(LOOK_SECONDS)
        run = _with_output(app.ask(GetJob(id_, app.project, 200)), run.run)
        offset = _print(path, offset)


@click.command()
@job_id
@click.option("--wait", is_flag=True, help="Until it has ended; exit 1 when it did not go well.")
@click.pass_obj
def run(app: App, id_: str, wait: bool) -> int:
    """Run a job now, also when it is disabled.

    While its last run goes on, its `overlap` says what happens.

    \b
    Example:
      orch job run check-the-site --wait && orch job log check-the-site
    """
    fired = app.ask(RunJob(id_, app.project, by=person()))
    if not wait:
        text = f"{id_}: {fired.outcome}, {fired.task or f'run {fired.run}'} {_why(fired.reason)}"
        told = {"id": id_, "run": fired.run, "task": fired.task, "outcome": fired.outcome}
        show.result(app.json, {**told, "reason": fired.reason}, text.strip())
        return 0
    ended = _find(app.ask(GetJob(id_, app.project, 200)), fired.run)
    while ended.state != "ended":
        time.sleep(LOOK_SECONDS)
        ended = _find(app.ask(GetJob(id_, app.project, 200)), fired.run)
    text = f"{id_}: {ended.outcome} {_why(ended.summary or ended.reason)}".strip()
    show.result(app.json, run_document(ended), text)
    return 1 if ended.outcome in FAILED else 0


def run_document(run: JobRun) -> dict[str, Any]:
    """A run as JSON."""
    return {
        "run": run.run,
        "due": show.rfc3339(run.due),
        "manual": run.manual,
        "type": run.type,
        "state": run.state,
        "outcome": run.outcome,
        "reason": run.reason,
        "summary": run.summary,
        "task": run.task,
        "session": run.session,
        "folder": run.folder,
        "exit_code": run.exit_code,
        "fired_at": show.rfc3339(run.fired_at),
        "ended_at": show.rfc3339(run.ended_at),
    }


def _facts(one: Job) -> list[tuple[str, str]]:
    bash = one.type == "bash"
    return [
        ("job", one.id),
        ("project", one.project or "(all)"),
        ("type", one.type),
        ("schedule", f"{one.schedule} {one.timezone}".strip()),
        ("state", state(one)),
        ("problem", one.problem),
        ("title", one.title),
        ("body", one.body),
        ("command", one.command.strip()),
        ("dir", one.dir if bash else ""),
        ("timeout", show.duration(one.timeout_seconds) if bash else ""),
        ("labels", ", ".join(one.labels)),
        ("agent", one.agent),
        ("overlap", one.overlap),
        ("catch up", one.catch_up),
        ("goes on", one.active),
        ("runs", str(one.runs)),
        ("next", "\n".join(show.moment(at) for at in coming(one, 3))),
    ]


def _with_output(detail: JobDetail, number: int | None) -> JobRun:
    """The run asked for, or the newest one that has output. Raises `NotFound`."""
    if number is not None:
        run = _find(detail, number)
        if run.folder:
            return run
        what = f"it made the task {run.task}" if run.task else "nothing of it is kept"
        raise NotFound(f"run {number} of {detail.job.id} has no output: {what}", _hint(run))
    for run in detail.runs:
        if run.folder:
            return run
    last = detail.runs[0] if detail.runs else None
    raise NotFound(
        f"{detail.job.id} has no output yet",
        _hint(last) if last else f"`orch job run {detail.job.id}` runs it now",
    )


def _hint(run: JobRun) -> str:
    return f"`orch task log {run.task}`" if run.task else f"`orch job info {run.job}`"


def _find(detail: JobDetail, number: int) -> JobRun:
    for run in detail.runs:
        if run.run == number:
            return run
    raise NotFound(f"{detail.job.id} has no run {number}", f"`orch job info {detail.job.id}`")


def _print(path: Path, offset: int) -> int:
    data = _read(path, offset)
    if data:
        show.write(_text(data))
    return offset + len(data)


def _text(data: bytes) -> str:
    """Output as text that moves nobody's cursor."""
    return "\n".join(plain(line) for line in data.decode(errors="replace").split("\n"))


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read()
    except FileNotFoundError:
        return b""


def _took(run: JobRun) -> str:
    return show.duration(run.ended_at - run.fired_at) if run.ended_at else "-"


def _why(reason: str) -> str:
    return f"({reason})" if reason else ""
