"""`orch gc`: find and remove what nothing needs."""

from __future__ import annotations

import click

from orch.cli import show
from orch.cli.app import App
from orch.messages import CollectGarbage

LOOK_SECONDS = 120.0


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would go, and why the rest stays.")
@click.pass_obj
def gc(app: App, dry_run: bool) -> None:
    """Remove worktrees, branches, sessions and artifacts that nothing needs.

    Anything dirty, unpushed, unmerged or unknown stays.

    \b
    Example:
      orch gc --dry-run
    """
    found = app.ask(CollectGarbage(dry_run=dry_run), timeout=LOOK_SECONDS)
    if app.json:
        show.json(
            [
                {"kind": kind, "name": name, "verdict": verdict}
                for kind, name, verdict in found.items
            ]
        )
        return
    if not found.items:
        show.line("nothing is left over")
        return
    show.table(("KIND", "NAME", "VERDICT"), found.items)
    gone = sum(verdict in {"removed", "removable"} for _, _, verdict in found.items)
    done = "would be removed" if dry_run else "removed"
    show.line(f"{gone} {done}, {len(found.items) - gone} kept")
