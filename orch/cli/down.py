"""`orch down`: stop orchd; its sessions go on unless told otherwise."""

from __future__ import annotations

import click

from orch.cli import daemon, show
from orch.cli.app import App


@click.command()
@click.option("--kill-sessions", is_flag=True, help="End the agents and their sessions too.")
@click.pass_obj
def down(app: App, kill_sessions: bool) -> None:
    """Stop orch. Agents keep working in their sessions; the next `orch up` finds them again.

    \b
    Example:
      orch down
      orch down --kill-sessions
    """
    pid = daemon.stop(app.home)
    ended = daemon.end_sessions(app.home) if kill_sessions else []
    told = f"orch is down (pid {pid} ended)" if pid else "orch is not running"
    if kill_sessions:
        told += f"; {len(ended)} processes of its sessions ended" if ended else "; no session ran"
    document = {"stopped": bool(pid), "pid": pid, "sessions_ended": kill_sessions}
    show.result(app.json, document, told)
