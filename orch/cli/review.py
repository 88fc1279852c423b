"""`orch task review`: have a task's work reviewed."""

from __future__ import annotations

import click

from orch.cli.act import act
from orch.cli.app import App
from orch.cli.person import person
from orch.cli.task import task_id
from orch.messages import ReviewTask


@click.command()
@task_id
@click.pass_obj
def review(app: App, id_: str) -> None:
    """Have a task's work reviewed by another agent, and merged if it approves.

    A task that is not finished yet is reviewed once it is. Approved work is merged into the default
    branch by `workflow.merge_method`, unless `workflow.auto_merge` is off.

    \b
    Example:
      orch task review int-5
    """
    act(app, ReviewTask(id_, app.project, by=person()), "is reviewed when its work is finished")
