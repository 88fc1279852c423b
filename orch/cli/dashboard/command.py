"""`orch dashboard`: what it needs before it takes over the terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from orch.cli import documents, show
from orch.cli.app import App
from orch.errors import NotRunning, Refused


@click.command()
@click.option("--all", "all_", is_flag=True, help="Begin with the tasks that are done shown too.")
@click.pass_obj
def dashboard(app: App, all_: bool) -> None:
    """Watch everything on one screen, live: services, questions, sessions, tasks, costs, problems.

    Keys move, enter a session, send text, answer questions, retry and kill; `?` lists them. All
    projects are shown, or the one named by --project. With --json it prints once what it would
    show.

    \b
    Example:
      orch dashboard
      orch dashboard --project octo/demo --all
    """
    if app.json:
        show.json(_document(app, all_))
        return
    if not (sys.stdin.isatty() and show.is_terminal(sys.stdout)):
        raise Refused(
            "the dashboard needs a terminal", "`orch status`, `orch task list` and --json do not"
        )
    if os.environ.get("TERM", "dumb") == "dumb":
        raise Refused(
            "this terminal cannot place a cursor (TERM is dumb or not set)",
            "use `orch status`, or set TERM to what the terminal is",
        )
    from orch.cli.dashboard.loop import Dashboard  # noqa: PLC0415 - rich, for this alone

    Dashboard(app, all_).run()


def _document(app: App, all_: bool) -> dict[str, Any]:
    """What the dashboard would show now, as one document; raises `NotRunning`."""
    from orch.cli.dashboard.facts import Reader, Wish  # noqa: PLC0415 - beside the screen

    reader = Reader(app.home, app.chosen_project)
    try:
        facts = reader.read(Wish(all=all_))
    finally:
        reader.close()
    if facts.roster is None and facts.overview is None:
        raise NotRunning(f"orch is not running on {app.home.root}", "start it with `orch up -d`")
    return {
        "services": [
            {"name": one.name, "state": one.state, "pid": one.pid}
            for one in (facts.roster.services if facts.roster else ())
        ],
        "slots": {
            "used": facts.overview.slots_used if facts.overview else None,
            "max": facts.overview.slots_max if facts.overview else None,
        },
        "counts": facts.totals.counts if facts.totals else None,
        "usage": documents.usage(facts.totals.usage) if facts.totals else None,
        "sessions": [
            {**documents.session(one), "last_line": facts.lines.get(one.session, "")}
            for one in facts.sessions
        ],
        "tasks": [documents.task(one) for one in facts.tasks],
        "today": documents.usage(facts.today.usage) if facts.today else None,
        "problems": list(facts.problems),
        "notices": list(facts.notices),
    }
