"""`orch task list, tree`: as many tasks as were asked for, page by page, and what was cut."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from orch.cli import complete, documents, show
from orch.cli.app import App
from orch.cli.person import person
from orch.messages import GetTask, ListTasks
from orch.model import Status, Task

STATUSES = [str(status) for status in Status]

MOST = 100_000
"""The most tasks that one command shows. Some 60 MB of them are held at once."""

COUNTED = 1000
"""A total below it is exact; some lists are not counted further (`orch.store.tasks`)."""

PAGE = 500
"""Tasks asked for in one message; a reply brings as many of them as fit."""

Kept = TypeVar("Kept")

limited = click.option(
    "--limit", type=click.IntRange(1, MOST), default=200, show_default=True,
    help="At most so many, the youngest.",
)  # fmt: skip


def newest(
    app: App, asked: ListTasks, limit: int, keep: Callable[[Task, str], Kept]
) -> tuple[list[Kept], str]:
    """What `keep` makes of the newest `limit` tasks and of what each asks people ('' for nothing),
    oldest first; and, when there are more, a sentence that says so, else ''."""
    pages: list[list[Kept]] = []
    shown, oldest, total = 0, "", 0
    while shown < limit:
        want = min(PAGE, limit - shown)
        reply = app.ask(msgspec.structs.replace(asked, limit=want, before=oldest))
        total = max(total, reply.total)
        if not reply.tasks:
            return _in_order(pages), ""
        pages.append([keep(task, reply.asks.get(task.key, "")) for task in reply.tasks])
        shown += len(reply.tasks)
        oldest = reply.tasks[0].key
        if reply.total <= shown and reply.total < COUNTED:
            return _in_order(pages), ""
    more = app.ask(msgspec.structs.replace(asked, limit=1, before=oldest)).tasks
    if not more:
        return _in_order(pages), ""
    return _in_order(pages), f"{shown} of {_count(total, shown)} shown; --limit shows more"


def _count(total: int, shown: int) -> str:
    """How many there are: not all kinds of lists are counted to their end."""
    return str(total) if total > shown else f"more than {shown}"


def _in_order(pages: list[list[Kept]]) -> list[Kept]:
    return [one for page in reversed(pages) for one in page]


@click.command("list")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice(STATUSES), help="Of these only."
)
@click.option("--all", "all_", is_flag=True, help="Those that are done too.")
@click.option("--mine", is_flag=True, help="Only what I made.")
@click.option("--source", default="", help="Only from there: cli, cron, delegation, …")
@limited
@click.pass_obj
def list_(
    app: App, statuses: tuple[str, ...], all_: bool, mine: bool, source: str, limit: int
) -> None:
    """List tasks by age: those that are not done, or those asked for.

    \b
    Example:
      orch task list --status blocked --status needs_review
    """
    asked = ListTasks(
        project=app.project,
        statuses=statuses,
        all=all_,
        source=source,
        author=person() if mine else "",
    )
    if app.json:
        documents_, cut = newest(app, asked, limit, _encoded)
        show.json_list(documents_)
    else:
        now = time.time()
        rows, cut = newest(
            app, asked, limit, lambda task, asks: _row(task, asks, now, not app.project)
        )
        _table(rows, with_project=not app.project)
    if cut:
        show.note(cut)


def _encoded(task: Task, asks: str) -> bytes:
    return msgspec.json.encode({**documents.task(task), "asks": asks})


def _row(task: Task, asks: str, now: float, with_project: bool) -> tuple[str, ...]:
    place = (task.project,) if with_project else ()
    age = show.ago(task.created_at, now)
    return (
        task.key,
        *place,
        str(task.status),
        task.agent or "-",
        age,
        task.title,
        show.clean(asks),
    )


def _table(rows: list[tuple[str, ...]], with_project: bool) -> None:
    if not rows:
        show.note("no tasks; `orch task add TITLE` makes one")
        return
    headers = ["ID", *(["PROJECT"] if with_project else []), "STATUS", "AGENT", "AGE", "TITLE"]
    if any(row[-1] for row in rows):
        headers.append("WAITS FOR AN ANSWER")
    else:
        rows = [row[:-1] for row in rows]
    show.table(headers, rows, states=headers.index("STATUS"))


@click.command()
@click.argument("id_", metavar="[ID]", required=False, default="", shell_complete=complete.tasks)
@click.option("--all", "all_", is_flag=True, help="Those that are done too.")
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=1000, show_default=True,
    help="At most so many, the youngest.",
)  # fmt: skip
@click.pass_obj
def tree(app: App, id_: str, all_: bool, limit: int) -> None:
    """Show tasks below their parents: all of them, or those below ID.

    \b
    Example:
      orch task tree int-5
    """
    if id_:
        top = app.ask(GetTask(id_, app.project)).task
        found, cut = _below(app, top, limit)
        tops = [top]
    else:
        asked = ListTasks(project=app.project, all=all_)
        found, cut = newest(app, asked, limit, _bare)
        known = {task.key for task in found}
        tops = [task for task in found if task.parent not in known]
    below: dict[str, list[Task]] = {}
    for task in found:
        below.setdefault(task.parent, []).append(task)
    if app.json:
        show.json(_documents(tops, below))
    else:
        _print(tops, below)
    if cut:
        show.note(cut)


def _bare(task: Task, _asks: str) -> Task:
    return task


def _below(app: App, top: Task, limit: int) -> tuple[list[Task], str]:
    """The task's descendants, each once should there be a circle; and what was cut."""
    found: dict[str, Task] = {}
    waiting = [top.key]
    while waiting:
        parent, room = waiting.pop(), limit - 1 - len(found)
        if room < 1:
            return list(found.values()), f"{limit} shown, there may be more; --limit shows them"
        children, cut = newest(app, ListTasks(parent=parent, all=True), room, _bare)
        fresh = {one.key: one for one in children if one.key not in found and one.key != top.key}
        found |= fresh
        waiting += fresh
        if cut:
            return list(
                found.values()
            ), f"{len(found) + 1} shown, there are more; --limit shows them"
    return list(found.values()), ""


def _documents(tops: list[Task], below: dict[str, list[Task]]) -> list[dict[str, Any]]:
    """Each task with its `children`."""
    made: list[dict[str, Any]] = []
    waiting = deque((task, made) for task in tops)
    while waiting:
        task, into = waiting.popleft()
        children: list[dict[str, Any]] = []
        into.append({**documents.task(task), "children": children})
        waiting += [(child, children) for child in below.get(task.key, ())]
    return made


def _print(tops: list[Task], below: dict[str, list[Task]]) -> None:
    """A line a task, drawn below its parent; no deeper for a deep tree than for a flat one."""
    if not tops:
        show.note("no tasks; `orch task add TITLE` makes one")
    waiting = [(task, "", "") for task in reversed(tops)]
    while waiting:
        task, lead, rest = waiting.pop()
        children = below.get(task.key, [])
        show.line(_line(lead, task, children))
        drawn = [(child, f"{rest}├─ ", f"{rest}│  ") for child in children[:-1]]
        drawn += [(child, f"{rest}└─ ", f"{rest}   ") for child in children[-1:]]
        waiting += reversed(drawn)


def _line(lead: str, task: Task, children: list[Task]) -> str:
    """A task of a tree; on a terminal its title is cut so that it stays on its line."""
    done = sum(child.status is Status.DONE for child in children)
    notes = [f"{done}/{len(children)} done"] if children else []
    if task.after and task.status is not Status.DONE:
        notes.append(f"after {' '.join(key.partition('#')[2] or key for key in task.after)}")
    told = f"({', '.join(notes)}) " if notes else ""
    used = show.width(f"{lead}{task.key} {task.status} {told}")
    title = show.cut(show.clean(task.title), used)
    return f"{lead}{task.key} {show.state(task.status)} {show.paint(told, 'dim')}{title}"
