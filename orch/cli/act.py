"""`orch task run, retry, route, reroute, unblock, block, close, kill`: act on one task."""

from __future__ import annotations

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.cli.person import person
from orch.cli.task import added_document, task_id
from orch.messages import (
    ActOnTask,
    BlockTask,
    CloseTask,
    GetTask,
    KillTask,
    RerouteTask,
    RetryTask,
    RouteTask,
    RunNext,
    RunTask,
    TaskRouted,
    UnblockTask,
)

ROUTE_SECONDS = 300.0
"""How long a router may be waited for: several questions, each with its own limit."""

STOP_SECONDS = 30.0
"""How long a running attempt may take to stop: its programs are asked first."""


@click.command()
@click.argument("id_", metavar="[ID]", required=False, default="", shell_complete=complete.tasks)
@click.option(
    "--watch", is_flag=True, help="Stream it to its end; the exit code tells how it went."
)
@click.pass_obj
def run(app: App, id_: str, watch: bool) -> int:
    """Run a task now, ahead of the queue; without ID, whatever is next.

    \b
    Example:
      orch task run int-5 --watch
    """
    if watch and not id_:
        raise click.UsageError("--watch needs an ID")
    act(app, RunTask(id_, app.project, by=person()), "runs as soon as a slot is free")
    if not watch:
        return 0
    from orch.cli.live import follow_task  # noqa: PLC0415 - only --watch needs it

    return follow_task(app, id_, from_start=True)


@click.command("next")
@click.option(
    "--watch", is_flag=True, help="Stream it to its end; the exit code tells how it went."
)
@click.pass_obj
def next_(app: App, watch: bool) -> int:
    """Run what is next in the queue now, and tell which task it is; exit 4 when there is none.

    \b
    Example:
      orch task next --watch
    """
    found = app.ask(RunNext(app.project, by=person()))
    title = app.ask(GetTask(found.id)).task.title
    text = f"{found.id} runs as soon as a slot is free: {show.clean(title)}"
    show.result(app.json, added_document(found.id, found.status), text)
    if not watch:
        return 0
    show.flush()
    from orch.cli.live import follow_task  # noqa: PLC0415 - only --watch needs it

    return follow_task(app, found.id, from_start=True)


@click.command()
@task_id
@click.pass_obj
def retry(app: App, id_: str) -> None:
    """Start a task over: clears every counter, chain and flag.

    \b
    Example:
      orch task retry int-5
    """
    act(app, RetryTask(id_, app.project, by=person()), "starts over")


@click.command()
@task_id
@click.option("--agent", default="", shell_complete=complete.agents, help="This one.")
@click.pass_obj
def route(app: App, id_: str, agent: str) -> None:
    """Choose the agent of a task now, and say why that one.

    \b
    Example:
      orch task route int-5 --agent shell
    """
    _routed(app, app.ask(RouteTask(id_, app.project, by=person(), agent=agent), ROUTE_SECONDS))


@click.command()
@task_id
@click.argument("agent", default="", shell_complete=complete.agents)
@click.pass_obj
def reroute(app: App, id_: str, agent: str) -> None:
    """Move a task to another agent; a running attempt is stopped, its work stays.

    \b
    Example:
      orch task reroute int-5 codex
    """
    _routed(app, app.ask(RerouteTask(id_, app.project, by=person(), agent=agent), ROUTE_SECONDS))


@click.command()
@click.argument("id_", metavar="ID|all", shell_complete=complete.tasks)
@click.pass_obj
def unblock(app: App, id_: str) -> None:
    """Let a blocked task run again; `all` means every blocked one.

    \b
    Example:
      orch task unblock all
    """
    act(app, UnblockTask(id_, app.project, by=person()), "may run again")


@click.command()
@task_id
@click.argument("reason", default="")
@click.pass_obj
def block(app: App, id_: str, reason: str) -> None:
    """Hold a task back, for the reason given.

    \b
    Example:
      orch task block int-5 "waits for the new API"
    """
    act(app, BlockTask(id_, app.project, by=person(), reason=reason), "is held back")


@click.command()
@task_id
@click.pass_obj
def close(app: App, id_: str) -> None:
    """End a task by hand: it counts as done; a running attempt is stopped first.

    \b
    Example:
      orch task close int-5
    """
    act(app, CloseTask(id_, app.project, by=person()), "is closed", STOP_SECONDS)


@click.command()
@task_id
@click.pass_obj
def kill(app: App, id_: str) -> None:
    """Stop a task's running attempt; the task waits, blocked, for a person.

    \b
    Example:
      orch task kill int-5
    """
    act(app, KillTask(id_, app.project, by=person()), "is stopped", STOP_SECONDS)


def _routed(app: App, found: TaskRouted) -> None:
    """Tell how a task is routed, and what is odd about it."""
    document = {
        "id": found.id,
        "status": found.status,
        "agent": found.agent,
        "model": found.model,
        "complexity": found.complexity,
        "reason": found.reason,
        "warnings": list(found.warnings),
    }
    how = ", ".join(filter(None, (found.model, found.complexity)))
    lines = [f"{found.id}: {found.agent}{f' ({how})' if how else ''}: {show.clean(found.reason)}"]
    lines += [f"note: {show.clean(one)}" for one in found.warnings]
    show.result(app.json, document, "\n".join(lines))


def act(app: App, request: ActOnTask, said: str, timeout: float = 5.0) -> None:
    """Ask for it, then tell how the task stands."""
    app.ask(request, timeout)
    if request.id in ("", "all"):
        named = "every blocked task" if request.id else "the next task"
        show.result(app.json, added_document(request.id, ""), f"{named} {said}")
        return
    task = app.ask(GetTask(request.id, app.project)).task
    show.result(app.json, added_document(task.key, task.status), f"{task.key} {said}")
