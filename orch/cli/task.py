"""`orch task add, get, status, history`: make tasks and look at them."""

from __future__ import annotations

import sys
import time

import click

from orch.cli import complete, documents, happened, reviewed, show
from orch.cli.app import App
from orch.cli.listing import STATUSES
from orch.cli.person import person
from orch.errors import Malformed, Refused
from orch.messages import (
    AddTask,
    CountTasks,
    EventsSince,
    GetTask,
    RunTask,
    TaskDetail,
)
from orch.model import Attempt, Event, Usage

task_id = click.argument("id_", metavar="ID", shell_complete=complete.tasks)
"""The argument of every command on one task."""


@click.command()
@click.argument("title")
@click.option("--body", "-b", default="", help="What to do, at length; `-` reads it from stdin.")
@click.option("--label", "-l", "labels", multiple=True, help="May be given several times.")
@click.option("--internal/--external", "internal", default=True, help="Kept here, or as an issue.")
@click.option("--agent", default="", shell_complete=complete.agents, help="Who is to do it.")
@click.option("--complexity", default="", help="simple, medium or complex: chooses the model.")
@click.option("--parent", default="", shell_complete=complete.tasks, help="It waits for this one.")
@click.option("--after", multiple=True, shell_complete=complete.tasks, help="Not before that one.")
@click.option("--run", is_flag=True, help="Ahead of the queue.")
@click.option(
    "--watch", is_flag=True, help="Stream it to its end; the exit code tells how it went."
)
@click.option("--key", default="", help="The same key twice makes one task.")
@click.pass_obj
def add(app: App, /, title: str, internal: bool, run: bool, watch: bool, **o: object) -> int:
    """Create a task and print its id.

    A title that begins with a dash goes after `--`.

    \b
    Example:
      orch task add "Say hello" -b "Write hello.txt" -l docs
      git diff | orch task add "Review this diff" -b - --run --watch
    """
    if not internal:
        raise Refused(
            "this version keeps tasks internal and cannot make issues",
            "leave out --external",
        )
    request = _request(app, title, o)
    added = app.ask(request)
    if run:
        app.ask(RunTask(added.id, request.project, by=person()))
    show.result(
        app.json, added_document(added.id, added.status), f"{added.id}: {show.clean(title)}"
    )
    if not watch:
        return 0
    show.flush()
    from orch.cli.live import follow_task  # noqa: PLC0415 - only --watch needs it

    return follow_task(app, added.id, from_start=True)


def _request(app: App, title: str, options: dict[str, object]) -> AddTask:
    """The request that the options of `add` spell; raises `Malformed` on what is no text."""
    body = str(options["body"])
    request = AddTask(
        title=title,
        project=app.need_project(),
        body=sys.stdin.buffer.read().decode("utf-8", "replace") if body == "-" else body,
        labels=_words(options["labels"]),
        agent=str(options["agent"]),
        complexity=str(options["complexity"]),
        parent=str(options["parent"]),
        after=_words(options["after"]),
        author=person(),
        key=str(options["key"]),
    )
    if not title.strip():
        raise Malformed("the title is empty", "say what is to be done")
    for text in (title, body, *request.labels):
        if not text.isascii() and not _is_utf8(text):
            raise Malformed(f"not valid UTF-8: {text!r:.80}", "write it in UTF-8")
    return request


def added_document(id_: str, status: str) -> dict[str, str]:
    """What acts on a task answer with `--json`."""
    return {"id": id_, "status": status}


@click.command()
@task_id
@click.pass_obj
def get(app: App, id_: str) -> None:
    """Show one task: its state, why it is not running, and its attempts.

    \b
    Example:
      orch task get int-5
    """
    found = app.ask(GetTask(id_, app.project))
    if app.json:
        show.json(documents.detail(found))
        return
    show.pairs(_facts(found))
    if found.task.body:
        show.line()
        show.line(show.clean(found.task.body, lines=True))
    if found.approvals:
        show.line()
        show.table(
            ["QUESTION", "STATE", "BY", "ASKED", "WHAT"], happened.questions(found.approvals)
        )
    if found.attempts:
        show.line()
        show.table(
            ["ATTEMPT", "PHASE", "OUTCOME", "AGENT", "STARTED", "TOOK", "EXIT", "ERROR"],
            [_attempt_row(attempt) for attempt in found.attempts],
        )
    if found.reviews:
        show.line()
        reviewed.tell(found.reviews[-1])


def _facts(found: TaskDetail) -> list[tuple[str, str]]:
    task, taken = found.task, found.taken
    agent = " ".join(filter(None, (task.agent or task.wanted_agent, task.model, task.complexity)))
    return [
        ("id", task.key),
        ("title", show.clean(task.title)),
        ("project", task.project),
        ("status", str(task.status)),
        ("waiting for", found.waiting_for),
        ("taken by", f"{taken.by} since {show.moment(taken.at)}" if taken else ""),
        ("blocked", task.blocked_reason),
        ("agent", agent),
        ("routed by", task.route_reason),
        ("odd", "; ".join(task.route_warnings)),
        ("role", task.profile.role),
        ("skills", ", ".join(task.profile.skills)),
        ("labels", ", ".join(task.labels)),
        ("parent", task.parent),
        ("after", ", ".join(task.after)),
        ("children", ", ".join(found.children)),
        ("branch", task.branch),
        ("worktree", task.worktree),
        ("pull request", task.pull_request),
        ("merged", found.merged),
        ("summary", task.summary),
        ("last error", task.last_error),
        ("from", " ".join(filter(None, (task.source, task.author)))),
        ("created", show.moment(task.created_at)),
        ("updated", show.moment(task.updated_at)),
    ]


def _attempt_row(attempt: Attempt) -> list[str]:
    until = attempt.ended_at or time.time()
    return [
        f"{attempt.n} {attempt.kind}" if attempt.kind != "work" else str(attempt.n),
        str(attempt.phase),
        attempt.outcome or "-",
        " ".join(filter(None, (attempt.agent, attempt.model))),
        show.moment(attempt.started_at),
        show.duration(max(until - attempt.started_at, 0.0)),
        "" if attempt.exit_code is None else str(attempt.exit_code),
        " ".join(filter(None, (attempt.error_class, attempt.error))),
    ]


@click.command()
@click.pass_obj
def status(app: App) -> None:
    """Count tasks by status, and show what all their attempts cost.

    \b
    Example:
      orch task status --project octo/demo
    """
    totals = app.ask(CountTasks(app.project))
    if app.json:
        counts = {name: totals.counts.get(name, 0) for name in STATUSES}
        show.json({"tasks": counts, "usage": documents.usage(totals.usage)})
        return
    rows = [(name, str(totals.counts.get(name, 0))) for name in STATUSES]
    show.table(["STATUS", "TASKS"], rows, states=0)
    show.line()
    show.pairs(cost(totals.usage))


def cost(usage: Usage) -> list[tuple[str, str]]:
    """Tokens and money as labels and values."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    return [
        ("input tokens", f"{usage.input_tokens:,}"),
        ("output tokens", f"{usage.output_tokens:,}"),
        ("cached tokens", f"{cached:,}"),
        ("cost", show.money(usage.usd) or "unknown"),
    ]


@click.command()
@task_id
@click.pass_obj
def history(app: App, id_: str) -> None:
    """Show a task's events with their times and reasons, oldest first.

    \b
    Example:
      orch task history int-5
    """
    key = app.ask(GetTask(id_, app.project)).task.key
    events = all_events(app, key)
    if app.json:
        show.json([documents.event(event) for event in events])
        return
    if not show.is_terminal(sys.stdout):
        rows = [(show.moment(event.at), event.name, told(event)) for event in events]
        show.table(["TIME", "EVENT", "WHAT"], rows)
        return
    day, longest = "", max((len(event.name) for event in events), default=0)
    for event in events:
        date, _, clock = show.moment(event.at).partition(" ")
        if date != day:
            day = date
            show.line(show.paint(day, "bold"))
        name = show.clean(event.name).ljust(longest)
        show.hanging(f"{show.paint(clock, 'dim')} {name}", [(told(event), "")])


def all_events(app: App, key: str) -> list[Event]:
    """Every event of a task, read page by page."""
    events: list[Event] = []
    while True:
        page = app.ask(EventsSince(seq=events[-1].seq if events else 0, task=key)).events
        events.extend(page)
        if not page:
            return events


def told(event: Event) -> str:
    """What an event says beside its name, in one line: its move first, then the rest."""
    sentence = happened.said(event)
    if sentence:
        return show.clean(sentence)
    data = dict(event.data)
    inner = data.pop("data", None)
    if isinstance(inner, dict):  # told by orchd: it has an id and a time of its own
        data = inner
    old, new = data.pop("from", None), data.pop("to", None) or data.pop("status", None)
    said = [f"{old} → {new}"] if old and new else [str(new)] if new else []
    said.extend(f"{key}={value}" for key, value in data.items() if value not in (None, "", [], {}))
    return show.clean(" ".join(said))


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(one) for one in value) if isinstance(value, tuple) else ()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
