"""`orch up`: run orchd here, or as a daemon."""

from __future__ import annotations

import os
import sys
import time

import click

from orch.cli import daemon, show
from orch.cli.app import App
from orch.messages import Roster


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
        sys.stdout.flush()
        os.execve(argv[0], argv, daemon.environment(app.home))
    began = time.monotonic()
    ready = daemon.wait_ready(app.home, daemon.start(app.home, options))
    took = time.monotonic() - began
    names = ", ".join(one.name for one in ready.services)
    text = f"orch is up (pid {ready.pid}): {names} ready in {show.duration(took)}"
    _show(app, ready, text, seconds=took)


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
