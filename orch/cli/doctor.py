"""`orch doctor`: is everything there that orch needs?"""

from __future__ import annotations

import click

from orch.cli import show
from orch.cli.app import App
from orch.cli.checks import FAIL, OK, WARN, examine

COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command()
@click.pass_obj
def doctor(app: App) -> int:
    """Check git, tmux, sockets, services, database, configuration, agents; exit 1 on a failure.

    \b
    Example:
      orch doctor
    """
    found = list(examine(app))
    failed = sum(one.verdict == FAIL for one in found)
    if app.json:
        show.json([one._asdict() for one in found])
        return 1 if failed else 0
    widest = max(len(one.subject) for one in found)
    for one in found:
        verdict = show.paint(f"{one.verdict:<4}", COLOURS[one.verdict])
        show.line(f"{verdict}  {show.pad(one.subject, widest)}  {show.clean(one.detail)}")
        if one.hint:
            show.line(f"{'':4}  {'':{widest}}  {show.paint('→', 'cyan')} {show.clean(one.hint)}")
    warned = sum(one.verdict == WARN for one in found)
    show.line(f"{len(found)} checks: {failed} failed, {warned} to look at")
    return 1 if failed else 0
