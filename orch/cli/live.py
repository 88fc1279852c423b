"""`orch task live, stream, attach, send, screen`: sessions that run now."""

from __future__ import annotations

import os
import sys
import time

import click

from orch.cli import documents, show
from orch.cli.app import App
from orch.cli.lines import Characters, Piece
from orch.cli.person import person
from orch.cli.status import sessions_table
from orch.cli.task import task_id
from orch.errors import NotFound, Refused, Unavailable
from orch.messages import GetScreen, GetTask, ListSessions, ReadOutput, SendInput, TaskDetail
from orch.model import Attempt, Phase, Status

RESTING = (Status.DONE, Status.BLOCKED, Status.NEEDS_REVIEW)
"""Statuses in which nothing runs and nothing is about to."""

WELL = ("done", "in_review", "closed")
"""Outcomes of an attempt that count as success."""

MISSED_BYTES = 16_384
"""How much of what was there already a stream begins with."""

LOOK_SECONDS = 0.1
"""Between two looks at a task that has no session yet, or has not yet told its outcome."""

OUTCOME_SECONDS = 120.0
"""How long the engine may take from a session's end to its attempt's outcome."""

SEND_SECONDS = 25.0
"""How long typing may take to be done and told: into a terminal, 20 seconds for a long text."""

RESET = (
    b"\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1l\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l"
)
"""Undoes what a program may leave behind when its recording stops in the middle."""


@click.command()
@click.pass_obj
def live(app: App) -> None:
    """List the sessions that run.

    \b
    Example:
      orch task live
    """
    sessions = app.ask(ListSessions()).sessions
    if app.json:
        show.json([documents.session(one) for one in sessions])
    elif sessions:
        sessions_table(sessions, time.time())
    else:
        show.note("no session runs")


@click.command()
@task_id
@click.option("--from-start", is_flag=True, help="Everything it ever wrote, not only the end.")
@click.option("--attempt", type=click.IntRange(1), default=None, help="Not the latest attempt.")
@click.pass_obj
def stream(app: App, id_: str, from_start: bool, attempt: int | None) -> int:
    """Follow a task's session to its end; exit 0 when the attempt went well, 1 when not.

    It starts with the last lines that were missed, and waits for a session that is about to start.

    \b
    Example:
      orch task stream int-5 --from-start
    """
    return follow_task(app, id_, from_start=from_start, attempt=attempt or 0, once=True)


def follow_task(
    app: App, id_: str, *, from_start: bool, attempt: int = 0, once: bool = False
) -> int:
    """Print a task's output until it rests, or (`once`) its attempt ends; the exit code."""
    seen = 0
    while True:
        found = _wait_for_session(app, id_, attempt, seen)
        if found is None:
            return 0 if app.ask(GetTask(id_, app.project)).task.status in WELL else 1
        try:
            _follow(app, found, from_start=from_start or seen > 0)
        finally:
            _reset_terminal()
        ended = _wait_for_outcome(app, id_, found.n)
        if not app.json:
            show.note(_outcome(ended))
        if once or (ended.outcome in WELL and _rests(app.ask(GetTask(id_, app.project)))):
            return 0 if ended.outcome in WELL else 1
        seen = found.n


def _rests(detail: TaskDetail) -> bool:
    """Whether nothing more happens to a task by itself; in review it may wait for people."""
    task = detail.task
    in_review = task.status is Status.IN_REVIEW
    people = bool(task.pull_request) or detail.waiting_for.startswith("a person")
    return task.status in RESTING or (in_review and people)


def _wait_for_session(app: App, id_: str, wanted: int, seen: int) -> Attempt | None:
    """The attempt to follow, once it has a session; None when there is nothing to wait for."""
    told = ""
    while True:
        detail = app.ask(GetTask(id_, app.project))
        found = _attempt(detail, wanted)
        if found and found.n > seen and found.launched_at is not None:
            return found
        if found and found.n > seen and found.phase is Phase.ENDED:
            raise Refused(f"attempt {found.n} of {id_} never had a session: {found.error}")
        if _rests(detail):
            if seen:
                return None
            raise _no_session(detail)
        if detail.waiting_for and detail.waiting_for != told:
            told = detail.waiting_for
            show.note(f"{detail.task.key} waits: {told}")
        time.sleep(LOOK_SECONDS)


def _attempt(detail: TaskDetail, wanted: int) -> Attempt | None:
    if not wanted:
        return detail.attempts[-1] if detail.attempts else None
    for attempt in detail.attempts:
        if attempt.n == wanted:
            return attempt
    raise NotFound(f"{detail.task.key} has no attempt {wanted}", f"it had {len(detail.attempts)}")


def _no_session(detail: TaskDetail) -> Refused:
    task = detail.task
    why = task.blocked_reason or task.last_error or detail.waiting_for
    hint = f"`orch task get {task.key}` shows how it is"
    if detail.attempts:
        hint = f"`orch task replay {task.key}` shows what its last session did"
    return Refused(
        f"no session of {task.key} runs: it is {task.status}{f' ({why})' if why else ''}", hint
    )


def _follow(app: App, attempt: Attempt, from_start: bool) -> None:
    """Print one attempt's output to its end: its very bytes, or JSON lines."""
    from orch.follow import Chunk, Follow  # noqa: PLC0415 - the subscriber's half of zmq

    offset = 0 if from_start else _recent(app, attempt)
    characters = Characters()
    for item in Follow(app.client).session(attempt.session, offset, attempt.n):
        if not isinstance(item, Chunk):
            break
        if app.json:
            for piece in characters.add(item.offset, item.data):
                show.json_line(output_line(attempt.task, attempt.session, attempt.n, piece))
        else:
            show.write_bytes(item.data)
    for piece in characters.rest():
        show.json_line(output_line(attempt.task, attempt.session, attempt.n, piece))


def output_line(task: str, session: str, attempt: int, piece: Piece) -> dict[str, object]:
    """A range of output as a JSON line; its exact bytes too where they are not UTF-8."""
    found: dict[str, object] = {
        "kind": "output",
        "task": task,
        "session": session,
        "attempt": attempt,
        "offset": piece.offset,
        "text": piece.text,
        "time": show.rfc3339(time.time()),
    }
    if piece.exact is not None:
        found["base64"] = piece.exact
    return found


def _recent(app: App, attempt: Attempt) -> int:
    """The offset of the last lines, whole ones, that a stream begins with."""
    try:
        size = app.ask(ReadOutput(attempt.session, 0, 1, attempt.n)).size
        if size <= MISSED_BYTES:
            return 0
        start = size - MISSED_BYTES
        data = app.ask(ReadOutput(attempt.session, start, MISSED_BYTES, attempt.n)).data
    except NotFound:
        return 0
    return start + data.find(b"\n") + 1


def _wait_for_outcome(app: App, id_: str, n: int) -> Attempt:
    """The attempt as it ended; raises `Unavailable` when it does not, though its session did."""
    deadline = time.monotonic() + OUTCOME_SECONDS
    while time.monotonic() < deadline:
        found = _attempt(app.ask(GetTask(id_, app.project), OUTCOME_SECONDS), n)
        if found is not None and found.phase is Phase.ENDED:
            return found
        time.sleep(LOOK_SECONDS)
    raise Unavailable(f"attempt {n} of {id_} has no outcome yet", f"see `orch task get {id_}`")


def _outcome(attempt: Attempt) -> str:
    took = show.duration((attempt.ended_at or attempt.started_at) - attempt.started_at)
    why = ": ".join(filter(None, (attempt.error_class, attempt.error)))
    said = show.clean(why or attempt.outcome or "ended")
    return f"{attempt.task} attempt {attempt.n}: {said} after {took}"


def _reset_terminal() -> None:
    if show.is_terminal(sys.stdout):
        show.write_bytes(RESET)


@click.command()
@task_id
@click.pass_obj
def attach(app: App, id_: str) -> None:
    """Enter a task's session with tmux; leave it with Ctrl-b d, and it goes on.

    \b
    Example:
      orch task attach int-5
    """
    session = _running(app, id_).session
    command = ["tmux", "-S", os.fspath(app.home.tmux), "attach-session", "-t", f"={session}"]
    if app.json:
        show.json({"session": session, "command": command})
        return
    if not (sys.stdin.isatty() and show.is_terminal(sys.stdout)):
        raise Refused("attaching needs a terminal", f"`orch task stream {id_}` does not")
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        raise Refused("tmux is not installed", "install it, or use `orch task stream`") from None


@click.command()
@task_id
@click.argument("text")
@click.option("--no-enter", is_flag=True, help="Type it only; do not submit it.")
@click.pass_obj
def send(app: App, id_: str, text: str, no_enter: bool) -> None:
    """Type text into a task's session; `-` reads it from stdin.

    \b
    Example:
      orch task send int-5 "use the new API instead"
    """
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace").removesuffix("\n")
    session = _running(app, id_).session
    request = SendInput(session, text, submit=not no_enter, by=person())
    delivered = app.ask(request, SEND_SECONDS)
    if delivered.state == "refused":
        raise Refused(f"{session} refused it: {delivered.reason}", "`orch task screen` shows why")
    document = {"session": session, "state": delivered.state, "reason": delivered.reason}
    why = f" ({delivered.reason})" if delivered.reason else ""
    show.result(app.json, document, f"{delivered.state}{show.clean(why)}")


@click.command()
@task_id
@click.pass_obj
def screen(app: App, id_: str) -> None:
    """Print a session's screen as it is now.

    \b
    Example:
      orch task screen int-5
    """
    found = _latest(app, id_)
    seen = app.ask(GetScreen(found.session, ansi=show.colourful(sys.stdout)), 10.0)
    if app.json:
        where = {"row": seen.row, "column": seen.column}
        show.json({"session": seen.session, "lines": seen.lines, **where})
        return
    lines = list(seen.lines)
    while lines and not lines[-1].strip():
        lines.pop()
    for line in lines:
        show.line(line.rstrip())


def _running(app: App, id_: str) -> Attempt:
    """The attempt whose session runs; raises `Refused` when none does."""
    detail = app.ask(GetTask(id_, app.project))
    found = detail.attempts[-1] if detail.attempts else None
    if found is None or found.phase is not Phase.RUNNING:
        raise _no_session(detail)
    return found


def _latest(app: App, id_: str) -> Attempt:
    """The latest attempt that has, or had, a session; raises `Refused` when there is none."""
    detail = app.ask(GetTask(id_, app.project))
    for attempt in reversed(detail.attempts):
        if attempt.session:
            return attempt
    raise _no_session(detail)
