"""`orch doctor`: is everything there that orch needs?"""

from __future__ import annotations

import click

from orch.cli import show
from orch.cli.app import App
from orch.cli.checks import examine
from orch.cli.finding import FAIL, OK, WARN

COLOURS = {OK: "green", WARN: "yellow", FAIL: "red"}


@click.command()
@click.option("--chaos", is_flag=True, help="Kill each process in turn, on a scratch home.")
@click.pass_obj
def doctor(app: App, chaos: bool) -> int:
    """Check git, tmux, gh, agents, sockets, database, config, service unit; exit 1 on a failure.

    With --chaos, a scratch home runs a scratch task while each process is killed in turn; how long
    each took to come back is shown, and what was lost. Nothing of yours is touched.

    \b
    Example:
      orch doctor
      orch doctor --chaos
    """
    if chaos:
        from orch.cli import chaos as chaos_run  # noqa: PLC0415 - a whole orch, only here

        return chaos_run.run(app.json)
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
