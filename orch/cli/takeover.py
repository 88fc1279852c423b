"""`orch task take, release`: work in a session yourself, with nothing typed in between."""

from __future__ import annotations

import click

from orch.cli import documents, show
from orch.cli.app import App
from orch.cli.person import person
from orch.cli.task import task_id
from orch.messages import GetTask, ReleaseSession, TakeSession


@click.command()
@task_id
@click.pass_obj
def take(app: App, id_: str) -> None:
    """Work in a task's session yourself: until it is released, what others send waits.

    \b
    Example:
      orch task take int-5 && orch task attach int-5
    """
    app.ask(TakeSession(id_, app.project, by=person()))
    _tell(app, id_, "is yours: what others send waits until `orch task release {}`")


@click.command()
@task_id
@click.pass_obj
def release(app: App, id_: str) -> None:
    """Leave a task's session to orch again: what was held is typed.

    \b
    Example:
      orch task release int-5
    """
    app.ask(ReleaseSession(id_, app.project, by=person()))
    _tell(app, id_, "is free again: what was held is typed")


def _tell(app: App, id_: str, said: str) -> None:
    found = app.ask(GetTask(id_, app.project))
    key = found.task.key
    document = {"id": key, "status": found.task.status, "taken": documents.taken(found.taken)}
    show.result(app.json, document, f"{key} {said.format(key)}")
