"""`orch sidecar`: a task's own key/value pairs, for scripts."""

from __future__ import annotations

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.cli.pairs import key_values
from orch.errors import NotFound
from orch.messages import GetMeta, SetMeta


@click.group()
def sidecar() -> None:
    """Read and set the key/value pairs kept with a task.

    \b
    Example:
      orch sidecar set 5 ticket=ABC-7
      orch sidecar get 5 ticket
    """


@sidecar.command()
@click.argument("task", shell_complete=complete.tasks)
@click.argument("key", default="")
@click.pass_obj
def get(app: App, task: str, key: str) -> None:
    """Print one value, or every pair.

    \b
    Example:
      orch sidecar get 5 ticket
    """
    meta = app.ask(GetMeta(task, project=app.project)).meta
    if not key:
        if app.json:
            show.json(meta)
        else:
            show.pairs(sorted(meta.items()))
        return
    if key not in meta:
        raise NotFound(f"{task} has no {key!r}", f"set it by `orch sidecar set {task} {key}=…`")
    show.result(app.json, {key: meta[key]}, meta[key])


@sidecar.command("set")
@click.argument("task", shell_complete=complete.tasks)
@click.argument("values", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.pass_obj
def set_(app: App, task: str, values: tuple[str, ...]) -> None:
    """Set pairs; an empty value removes its key.

    \b
    Example:
      orch sidecar set 5 ticket=ABC-7 reviewed=
    """
    given = key_values(values)
    app.ask(SetMeta(task, values=given, project=app.project))
    show.result(app.json, given, "")
