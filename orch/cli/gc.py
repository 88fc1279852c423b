"""`orch gc`: remove what nothing needs any more."""

from __future__ import annotations

import click

from orch.cli import show
from orch.cli.app import App
from orch.messages import CollectGarbage

LOOK_SECONDS = 1200.0
"""How long a large home may take to look through."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would go, and why the rest stays.")
@click.pass_obj
def gc(app: App, dry_run: bool) -> None:
    """Remove worktrees, branches, sessions and artifacts that nothing needs.

    Anything dirty, unpushed, unmerged or unknown stays, and says why. Old events and artifacts of
    finished tasks also go by themselves, as `keep` in config.yml says.

    \b
    Example:
      orch gc --dry-run
    """
    found = app.ask(CollectGarbage(dry_run=dry_run), timeout=LOOK_SECONDS)
    if app.json:
        items = [{"kind": kind, "name": name, "verdict": said} for kind, name, said in found.items]
        show.json(items)
    elif not found.items:
        show.line("nothing is left over")
    else:
        show.table(("KIND", "NAME", "VERDICT"), found.items)
        gone = sum(said.startswith("remov") for _, _, said in found.items)
        done = "would be removed" if dry_run else "removed"
        show.line(f"{gone} {done}, {len(found.items) - gone} kept")
    if found.left_out:
        show.note(f"{found.left_out} more do not fit here")
