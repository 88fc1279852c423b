"""`orch service`: orch as a service of this machine, and its processes one by one."""

from __future__ import annotations

import sys

import click

from orch import control
from orch.cli import complete, show, unit
from orch.cli.app import App
from orch.errors import NotFound
from orch.messages import (
    Done,
    GetRoster,
    Request,
    RestartService,
    Roster,
    StartService,
    StopService,
    Upgrade,
)

ANSWER_SECONDS = 60.0
"""A restart is answered when the new process is ready; a stop may take its whole grace."""


@click.group()
def service() -> None:
    """Install orch as a service of this machine; start, stop, restart its processes.

    \b
    Example:
      orch service install && orch service start
      orch service restart engine
    """


service.add_command(unit.install)
service.add_command(unit.uninstall)
service.add_command(unit.status)


@service.command("list")
@click.pass_obj
def list_(app: App) -> None:
    """List the services with state, pid, uptime, restarts and memory.

    \b
    Example:
      orch service list
    """
    seen = _roster(app)
    if app.json:
        show.json([_document(one) for one in seen.services])
        return
    show.table(
        ("SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "LAST ERROR"),
        [
            (
                one.name,
                one.state,
                str(one.pid or "-"),
                show.duration(one.uptime_seconds) if one.pid else "-",
                str(one.restarts),
                show.size(one.pss_bytes) if one.pss_bytes else "-",
                one.last_error,
            )
            for one in seen.services
        ],
        states=1,
    )


@service.command()
@click.argument("name", default="", shell_complete=complete.services)
@click.pass_obj
def start(app: App, name: str) -> None:
    """Start orch by its unit, or one stopped service; returns when it is ready.

    \b
    Example:
      orch service start
      orch service start scheduler
    """
    if not name:
        unit.start(app)
        return
    _command(app, StartService(_known(app, name)), f"{name} is ready", name)


@service.command()
@click.argument("name", default="", shell_complete=complete.services)
@click.pass_obj
def stop(app: App, name: str) -> None:
    """Stop orch, agents apart; or one service, which then stays stopped until it is started.

    \b
    Example:
      orch service stop
      orch service stop scheduler
    """
    if not name:
        unit.stop(app)
        return
    _command(app, StopService(_known(app, name)), f"{name} is stopped", name)


@service.command()
@click.argument("name", default="", shell_complete=complete.services)
@click.pass_obj
def restart(app: App, name: str) -> None:
    """Replace one service's process, or all of them in order.

    \b
    Example:
      orch service restart
      orch service restart capture
    """
    told = f"{name} is ready again" if name else "every service is ready again"
    _command(app, RestartService(_known(app, name) if name else ""), told, name)


@service.command()
@click.pass_obj
def upgrade(app: App) -> None:
    """Replace orchd by the installed version, then each service; sessions go on.

    \b
    Example:
      pip install --upgrade orchd && orch service upgrade
    """
    before = _roster(app)
    _command(app, Upgrade(sys.executable), f"upgraded; orchd keeps its pid {before.pid}", "orchd")


def _known(app: App, name: str) -> str:
    """`name` when there is such a service; raises `NotFound` naming those there are."""
    names = [one.name for one in _roster(app).services]
    if name not in names:
        raise NotFound(f"there is no service {name!r}", f"there are {', '.join(names)}")
    return name


def _roster(app: App) -> Roster:
    return control.ask(app.home, GetRoster(), 5.0)


def _command(app: App, request: Request[Done], text: str, name: str) -> None:
    control.ask(app.home, request, ANSWER_SECONDS)
    show.result(app.json, {"service": name, "done": True}, text)


def _document(one: object) -> dict[str, object]:
    keys = ("name", "state", "pid", "uptime_seconds", "restarts", "pss_bytes", "last_error")
    return {key: getattr(one, key) for key in keys}
