"""`orch job`: tasks that repeat by the clock."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.core.schedule import next_due, problem
from orch.errors import Ambiguous, Malformed, NotFound, NotRunning
from orch.messages import ListJobs, RunPass
from orch.model import Job

PASS_SECONDS = 30.0
COMING = 5
"""How many coming times `next ID` shows."""


@click.group()
def job() -> None:
    """Tasks that repeat by the clock.

    \b
    Example:
      orch job add "0 4 * * *" "Update the dependencies"
      orch job next
    """


@job.command("list")
@click.pass_obj
def list_(app: App) -> None:
    """List the jobs with their last run and next time.

    \b
    Example:
      orch job list
    """
    found = _jobs(app)
    if app.json:
        show.json([document(one) for one in found])
        return
    if not found:
        show.line('no jobs; `orch job add "0 4 * * *" TITLE` makes one')
        return
    show.table(
        ("JOB", "PROJECT", "SCHEDULE", "STATE", "LAST", "TASK", "NEXT"),
        [
            (
                one.id,
                one.project or "(all)",
                f"{one.schedule} {one.timezone}".strip(),
                _state(one),
                show.moment(one.last_due) or "-",
                one.last_task or "-",
                show.moment(coming(one, 1)[0]) if coming(one, 1) else "-",
            )
            for one in found
        ],
    )
    for one in found:
        if one.problem:
            show.note(f"{one.id}: {one.problem}")


@job.command()
@click.argument("schedule")
@click.argument("title")
@click.option("-b", "--body", default="", help="The task's text; - reads stdin.")
@click.option("--id", "id_", default="", help="The job's name; else made from the title.")
@click.option("-l", "--label", "labels", multiple=True, help="May be given several times.")
@click.option("--agent", default="", shell_complete=complete.agents, help="Who does it.")
@click.option("--timezone", default="", help="Like Europe/Berlin; else the machine's.")
@click.option("--overlap", type=click.Choice(["skip", "queue", "allow"]), default="skip")
@click.option("--catch-up", type=click.Choice(["once", "none"]), default="once")
@click.pass_obj
def add(app: App, /, schedule: str, title: str, id_: str, **options: Any) -> None:
    """Write a job into the project's `.orch.yml`.

    SCHEDULE is a cron line or @hourly, @daily, @weekly, @monthly, @yearly.

    \b
    Example:
      orch job add @daily "Update the dependencies" --timezone Europe/Berlin
    """
    from orch.cli import job_file  # noqa: PLC0415 - ruamel, only where a file is written

    wrong = problem(schedule, options["timezone"])
    if wrong:
        raise Malformed(wrong, 'five fields like "0 4 * * 1-5", or @daily')
    if options["body"] == "-":
        options["body"] = sys.stdin.buffer.read().decode("utf-8", "replace")
    made, path = job_file.add(app, id_, schedule, title, options)
    _wait_until_known(app, made, True)
    show.result(app.json, {"id": made, "file": str(path)}, f"{made} written to {path}")


@job.command()
@click.argument("id_", metavar="ID", shell_complete=complete.jobs)
@click.pass_obj
def remove(app: App, id_: str) -> None:
    """Remove a job from its file.

    \b
    Example:
      orch job remove update-the-dependencies
    """
    from orch.cli import job_file  # noqa: PLC0415

    path = job_file.remove(app, id_)
    _wait_until_known(app, id_, False)
    show.result(app.json, {"id": id_, "removed": True}, f"{id_} removed from {path}")


@job.command()
@click.argument("id_", metavar="ID", shell_complete=complete.jobs)
@click.pass_obj
def enable(app: App, id_: str) -> None:
    """Let a job fire again.

    \b
    Example:
      orch job enable update-the-dependencies
    """
    _switch(app, id_, True)


@job.command()
@click.argument("id_", metavar="ID", shell_complete=complete.jobs)
@click.pass_obj
def disable(app: App, id_: str) -> None:
    """Keep a job, but let it not fire.

    \b
    Example:
      orch job disable update-the-dependencies
    """
    _switch(app, id_, False)


@job.command()
@click.argument("id_", metavar="ID", shell_complete=complete.jobs)
@click.pass_obj
def info(app: App, id_: str) -> None:
    """Show one job.

    \b
    Example:
      orch job info update-the-dependencies
    """
    one = _one(app, id_)
    if app.json:
        show.json(document(one))
        return
    show.pairs(
        [
            ("job", one.id),
            ("project", one.project or "(all)"),
            ("schedule", f"{one.schedule} {one.timezone}".strip()),
            ("state", _state(one)),
            ("problem", one.problem),
            ("title", one.title),
            ("body", one.body),
            ("labels", ", ".join(one.labels)),
            ("agent", one.agent),
            ("overlap", one.overlap),
            ("catch up", one.catch_up),
            ("runs", str(one.runs)),
            ("last", " ".join([show.moment(one.last_due), one.last_task, one.last_result]).strip()),
            ("next", "\n".join(show.moment(at) for at in coming(one, 3))),
        ]
    )


@job.command("next")
@click.argument("id_", metavar="[ID]", default="", shell_complete=complete.jobs)
@click.option("-n", "count", type=click.IntRange(1, 1000), help="How many times to show.")
@click.pass_obj
def next_(app: App, id_: str, count: int | None) -> None:
    """Show the coming times of one job, or the next time of each.

    \b
    Example:
      orch job next update-the-dependencies -n 10
    """
    found = [_one(app, id_)] if id_ else [one for one in _jobs(app) if one.enabled]
    shown = count or (COMING if id_ else 1)
    times = sorted((at, one.id, one.project) for one in found for at in coming(one, shown))
    if app.json:
        show.json([{"job": i, "project": p, "at": show.rfc3339(at)} for at, i, p in times])
        return
    now = time.time()
    show.table(
        ("AT", "IN", "JOB", "PROJECT"),
        [(show.moment(at), show.duration(at - now), i, p or "(all)") for at, i, p in times],
    )


@job.command()
@click.pass_obj
def tick(app: App) -> None:
    """Run one scheduler pass now: whatever is due fires.

    \b
    Example:
      orch job tick
    """
    fired = app.ask(RunPass(), timeout=PASS_SECONDS).fired
    if app.json:
        show.json([{"job": i, "at": show.rfc3339(at), "task": task} for i, at, task in fired])
    elif fired:
        show.table(("JOB", "DUE", "TASK"), [(i, show.moment(at), task) for i, at, task in fired])
    else:
        show.line("nothing is due")


def document(one: Job) -> dict[str, Any]:
    """A job as JSON."""
    return {
        "id": one.id,
        "project": one.project,
        "schedule": one.schedule,
        "timezone": one.timezone,
        "type": one.type,
        "title": one.title,
        "body": one.body,
        "labels": one.labels,
        "agent": one.agent,
        "enabled": one.enabled,
        "overlap": one.overlap,
        "catch_up": one.catch_up,
        "problem": one.problem,
        "runs": one.runs,
        "last_due": show.rfc3339(one.last_due),
        "last_task": one.last_task,
        "last_result": one.last_result,
        "next": [show.rfc3339(at) for at in coming(one, 1)],
    }


def coming(one: Job, count: int) -> list[float]:
    """The job's next times (seconds since the epoch); none when it does not fire."""
    times: list[float] = []
    if one.problem or not one.enabled:
        return times
    after = time.time()
    while len(times) < count:
        try:
            after = next_due(one, after)
        except Malformed:
            break
        times.append(after)
    return times


def _state(one: Job) -> str:
    if one.problem:
        return "broken"
    return "enabled" if one.enabled else "disabled"


def _jobs(app: App) -> tuple[Job, ...]:
    return app.ask(ListJobs(app.project)).jobs


def _one(app: App, id_: str) -> Job:
    found = [one for one in _jobs(app) if one.id == id_]
    if not found:
        raise NotFound(f"there is no job {id_!r}", "see `orch job list`")
    if len(found) > 1:
        names = ", ".join(one.project or "(all)" for one in found)
        raise Ambiguous(f"{id_!r} is a job of {names}", "pass --project owner/repo")
    return found[0]


def _switch(app: App, id_: str, enabled: bool) -> None:
    from orch.cli import job_file  # noqa: PLC0415

    job_file.switch(app, id_, enabled)
    word = "enabled" if enabled else "disabled"
    show.result(app.json, {"id": id_, "enabled": enabled}, f"{id_} is {word}")


def _wait_until_known(app: App, id_: str, there: bool) -> None:
    """Where orch runs, wait a moment until it has seen the changed file."""
    deadline = time.monotonic() + 3.0
    with contextlib.suppress(NotRunning):
        while time.monotonic() < deadline:
            if any(one.id == id_ for one in _jobs(app)) is there:
                return
            time.sleep(0.05)
