"""`orch version` and `orch ping` with options; called plainly they never come here."""

from __future__ import annotations

import os

import click

from orch.cli import quick
from orch.cli.app import App


@click.command()
@click.pass_obj
def version(app: App) -> int:
    """Print the version.

    \b
    Example:
      orch version --json
    """
    return quick.run("version", json=app.json)


@click.command()
@click.pass_obj
def ping(app: App) -> int:
    """Ask whether orchd answers; exit 3 when it does not.

    \b
    Example:
      orch ping && echo "it runs"
    """
    return quick.run("ping", json=app.json, home=os.fspath(app.home.root))
