"""`orch job`: what repeats by the clock, as it is configured and when it comes."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.core.schedule import next_due, problem
from orch.errors import Ambiguous, Malformed, NotFound, NotRunning, Refused
from orch.messages import ListJobs, RunPass
from orch.model import Job

PASS_SECONDS = 30.0
TYPES = ("task", "bash", "self-review")
COMING = 5
"""How many coming times `next ID` shows."""


@click.command("list")
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
    now = time.time()
    show.table(
        ("JOB", "PROJECT", "TYPE", "STATE", "LAST", "NEXT", "SCHEDULE", "RESULT"),
        [
            (
                one.id,
                one.project or "(all)",
                one.type,
                state(one),
                f"{show.ago(one.last_run, now)} ago" if one.last_run else "-",
                _next(one, now),
                f"{one.schedule} {one.timezone}".strip(),
                f"{one.last_task} {one.last_result}".strip() or "-",
            )
            for one in found
        ],
    )
    for one in found:
        if one.problem:
            show.note(f"{one.id}: {one.problem}")


@click.command()
@click.argument("schedule")
@click.argument("title")
@click.option("-b", "--body", default="", help="The task's text; - reads stdin.")
@click.option("-t", "--type", "type_", type=click.Choice(TYPES), help="bash if there is a command.")
@click.option("-c", "--command", default="", help="What bash runs, instead of a task.")
@click.option("--dir", "dir_", default="", help="Where it runs; else the project's folder.")
@click.option("--timeout", "timeout_seconds", type=int, help="Seconds it may take; else 600.")
@click.option("--id", "id_", default="", help="The job's name; else made from the title.")
@click.option("-l", "--label", "labels", multiple=True, help="May be given several times.")
@click.option("--agent", default="", shell_complete=complete.agents, help="Who does it.")
@click.option("--timezone", default="", help="Like Europe/Berlin; else the machine's.")
@click.option("--overlap", type=click.Choice(["skip", "queue", "allow"]), default="skip",
              help="While the last run goes on.")  # fmt: skip
@click.option("--catch-up", type=click.Choice(["once", "none"]), default="once",
              help="For times missed in the last 24 hours.")  # fmt: skip
@click.option("--external", is_flag=True, help="Make an issue, not an internal task.")
@click.pass_obj
def add(app: App, /, schedule: str, title: str, id_: str, **options: Any) -> None:
    """Write a job into the project's `.orch.yml`.

    SCHEDULE is a cron line or @hourly, @daily, @weekly, @monthly, @yearly. A job makes a task,
    runs a command of bash, or (self-review) files tasks for what should be improved. `${VAR}` in
    it is filled in by orch when it reads the file; for the shell's own write `$VAR` or `$${VAR}`.

    \b
    Example:
      orch job add @daily "Update the dependencies" --timezone Europe/Berlin
      orch job add "*/15 * * * *" "Check the site" -c "scripts/check.sh --quick"
      orch job add @daily "Look back" -t self-review
    """
    from orch.cli import job_file  # noqa: PLC0415 - ruamel, only where a file is written

    wrong = problem(schedule, options["timezone"])
    if wrong:
        raise Malformed(wrong, 'five fields like "0 4 * * 1-5", or @daily')
    if options["external"]:
        raise Refused("a job cannot make issues yet", "leave out --external: it makes a task")
    options["type_"] = options["type_"] or ("bash" if options["command"] else "task")
    if options["body"] == "-":
        options["body"] = sys.stdin.buffer.read().decode("utf-8", "replace")
    made, path = job_file.add(app, id_, schedule, title, options)
    _wait_until_known(app, made, True)
    show.result(app.json, {"id": made, "file": str(path)}, f"{made} written to {path}")


@click.command()
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


@click.command()
@click.argument("id_", metavar="ID", shell_complete=complete.jobs)
@click.pass_obj
def enable(app: App, id_: str) -> None:
    """Let a job fire again.

    \b
    Example:
      orch job enable update-the-dependencies
    """
    _switch(app, id_, True)


@click.command()
@click.argument("id_", metavar="ID", shell_complete=complete.jobs)
@click.pass_obj
def disable(app: App, id_: str) -> None:
    """Keep a job, but let it not fire.

    \b
    Example:
      orch job disable update-the-dependencies
    """
    _switch(app, id_, False)


@click.command("next")
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
    if id_ and found[0].problem:
        raise Refused(f"{id_} does not fire: {found[0].problem}", "mend it in its file")
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


@click.command()
@click.pass_obj
def tick(app: App) -> None:
    """Run one scheduler pass now: whatever is due fires.

    \b
    Example:
      orch job tick
    """
    fired = app.ask(RunPass(), timeout=PASS_SECONDS).fired
    if app.json:
        show.json(
            [
                {"job": i, "at": show.rfc3339(at), "task": task, "outcome": outcome}
                for i, at, task, outcome in fired
            ]
        )
    elif fired:
        show.table(
            ("JOB", "DUE", "TASK", "OUTCOME"),
            [(i, show.moment(at), task or "-", outcome) for i, at, task, outcome in fired],
        )
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
        "command": one.command,
        "dir": one.dir,
        "timeout_seconds": one.timeout_seconds,
        "enabled": one.enabled,
        "overlap": one.overlap,
        "catch_up": one.catch_up,
        "problem": one.problem,
        "runs": one.runs,
        "active": one.active,
        "last_due": show.rfc3339(one.last_due),
        "last_run": show.rfc3339(one.last_run),
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


def _next(one: Job, now: float) -> str:
    times = coming(one, 1)
    return f"in {show.duration(times[0] - now)}" if times else "-"


def state(one: Job) -> str:
    """Whether a job fires: broken, enabled or disabled."""
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
