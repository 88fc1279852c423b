"""`orch task tree`: tasks below their parents, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import click

from orch.cli import complete, documents, show
from orch.cli.app import App
from orch.messages import GetTask, ListTasks
from orch.model import Status, Task

T = TypeVar("T")

BRANCHES = 1000
"""How many tasks a tree may have."""


@click.command()
@click.argument("id_", metavar="[ID]", required=False, default="", shell_complete=complete.tasks)
@click.option("--all", "all_", is_flag=True, help="Those that are done too.")
@click.pass_obj
def tree(app: App, id_: str, all_: bool) -> None:
    """Show tasks below their parents: all of them, or those below ID.

    \b
    Example:
      orch task tree int-5
    """
    if id_:
        top = app.ask(GetTask(id_, app.project)).task
        known = {top.key: top} | _below(app, top.key, set())
    else:
        reply = app.ask(ListTasks(project=app.project, all=all_, limit=BRANCHES))
        known = {task.key: task for task in reply.tasks}
    tops = [t for t in known.values() if t.parent not in known or t.key == id_]
    below: dict[str, list[Task]] = {}
    for task in known.values():
        below.setdefault(task.parent, []).append(task)
    if app.json:
        show.json([_document(task, below) for task in tops])
        return
    if not tops:
        show.note("no tasks; `orch task add TITLE` makes one")
    for top in tops:
        for lead, task in branches(top, lambda task: below.get(task.key, [])):
            show.line(_line(lead, task, below.get(task.key, [])))


def branches(
    node: T, below: Callable[[T], Sequence[T]], lead: str = "", rest: str = ""
) -> Iterator[tuple[str, T]]:
    """A tree from its top down: each node with the strokes that stand before it."""
    yield lead, node
    children = below(node)
    for place, child in enumerate(children, 1):
        stroke, space = ("└─ ", "   ") if place == len(children) else ("├─ ", "│  ")
        yield from branches(child, below, rest + stroke, rest + space)


def _line(lead: str, task: Task, children: list[Task]) -> str:
    done = sum(child.status is Status.DONE for child in children)
    notes = [f"{done}/{len(children)} done"] if children else []
    if task.after and task.status is not Status.DONE:
        notes.append(f"after {' '.join(key.partition('#')[2] or key for key in task.after)}")
    told = f"({', '.join(notes)}) " if notes else ""
    used = show.width(f"{lead}{task.key} {task.status} {told}")
    title = show.cut(show.clean(task.title), used)
    return f"{lead}{task.key} {show.state(task.status)} {show.paint(told, 'dim')}{title}"


def _below(app: App, key: str, seen: set[str]) -> dict[str, Task]:
    """The task's descendants by key; each is visited once, should there be a circle."""
    found: dict[str, Task] = {}
    for child in app.ask(ListTasks(parent=key, all=True, limit=BRANCHES)).tasks:
        if child.key not in seen:
            seen.add(child.key)
            found[child.key] = child
            found |= _below(app, child.key, seen)
    return found


def _document(task: Task, below: dict[str, list[Task]]) -> dict[str, object]:
    children = [_document(child, below) for child in below.get(task.key, [])]
    return {**documents.task(task), "children": children}
