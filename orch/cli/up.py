"""`orch up`: run orchd here, or as a daemon."""

from __future__ import annotations

import contextlib
import os
import sys
import time

import click

from orch.cli import daemon, show
from orch.cli.app import App
from orch.errors import OrchError
from orch.messages import GetOverview, Roster


@click.command()
@click.option("-d", "--detach", is_flag=True, help="In the background; returns when all is ready.")
@click.option(
    "--spawn",
    type=click.Choice(["fork", "exec"]),
    help="How services are started; the default suits the machine.",
)
@click.pass_obj
def up(app: App, detach: bool, spawn: str | None) -> None:
    """Start orch: in the foreground, or with -d as a daemon.

    Where it runs already, it says so and leaves it alone.

    \b
    Example:
      orch up -d && orch status
    """
    running = daemon.roster(app.home)
    if running is not None:
        _show(app, running, f"orch is running already (pid {running.pid})", already=True)
        return
    options = [f"--spawn={spawn}"] if spawn else []
    if not detach:
        argv = daemon.command(options)
        show.note(f"orch runs on {app.home.root} until Ctrl-C; its logs are in {app.home.logs}")
        sys.stdout.flush()
        os.execve(argv[0], argv, daemon.environment(app.home))
    began = time.monotonic()
    ready = daemon.wait_ready(app.home, daemon.start(app.home, options))
    took = time.monotonic() - began
    names = ", ".join(one.name for one in ready.services if one.state == "ready")
    text = f"orch is up (pid {ready.pid}): {names} ready in {show.duration(took)}"
    _show(app, ready, text, seconds=took)
    for one in ready.services:
        if one.state == "disabled":
            show.note(f"{one.name} stays stopped until `orch service start {one.name}`")
    for problem in _problems(app, ready):
        show.note(f"{show.paint('problem:', 'red', sys.stderr)} {show.clean(problem)}")


def _problems(app: App, ready: Roster) -> list[str]:
    """What is wrong though everything runs, each thing once."""
    found = list(ready.problems)
    with contextlib.suppress(OrchError):
        found += app.ask(GetOverview(), timeout=2.0).problems
    return list(dict.fromkeys(found))


def _show(
    app: App, seen: Roster, text: str, *, seconds: float = 0.0, already: bool = False
) -> None:
    document = {
        "pid": seen.pid,
        "version": seen.version,
        "home": seen.home,
        "already_running": already,
        "seconds": round(seconds, 3),
        "services": [{"name": one.name, "state": one.state} for one in seen.services],
    }
    show.result(app.json, document, text)
