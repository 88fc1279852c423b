"""`orch task diff, log, replay`: what a task did, from its branch and its attempts' folders."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from orch.cli import documents, show
from orch.cli.app import App, find_config
from orch.cli.task import all_events, task_id, told
from orch.errors import NotFound, OrchError
from orch.messages import GetTask, TaskDetail
from orch.model import Attempt


@click.command()
@task_id
@click.pass_obj
def diff(app: App, id_: str) -> None:
    """Show what a task's branch changed since it began.

    \b
    Example:
      orch task diff int-5 | less -R
    """
    detail = app.ask(GetTask(id_, app.project))
    found = next((one for one in reversed(detail.attempts) if one.branch and one.base), None)
    if found is None:
        raise NotFound(f"{detail.task.key} has no branch yet", "it gets one with its first attempt")
    from orch.tools import git  # noqa: PLC0415 - only here

    colour = not app.json and show.colourful(sys.stdout)
    base, name = found.base, found.branch
    if detail.merged and not detail.task.branch:
        base, name = detail.merged_onto, detail.merged
    text = git.diff(_repository(app, detail, found), base, name, colour=colour)
    document = {"id": detail.task.key, "base": base, "branch": name, "diff": text}
    show.result(app.json, document, text.rstrip("\n"))
    if not text and not app.json:
        show.note(f"{name} changed nothing")


def _repository(app: App, detail: TaskDetail, attempt: Attempt) -> Path:
    """A folder of the task's repository: its worktree, else the project's own folder."""
    if attempt.worktree and Path(attempt.worktree).is_dir():
        return Path(attempt.worktree)
    config = find_config()
    if config and app.project == detail.task.project and not app.chosen_project:
        return Path(config).parent
    from orch.config.load import load  # noqa: PLC0415 - the registry, where nothing nearer is left

    project = load(app.home).projects.get(detail.task.project)
    if project is not None:
        return Path(project.path)
    raise NotFound(
        f"the folder of {detail.task.project} is not known", "`orch project list` shows those known"
    )


@click.command()
@task_id
@click.pass_obj
def log(app: App, id_: str) -> None:
    """Show a task's events, and the files that each attempt left.

    \b
    Example:
      orch task log int-5
    """
    detail = app.ask(GetTask(id_, app.project))
    events = all_events(app, detail.task.key)
    if app.json:
        attempts = [{"n": a.n, "folder": a.folder, "files": _files(a)} for a in detail.attempts]
        told_events = [documents.event(event) for event in events]
        show.json({"id": detail.task.key, "events": told_events, "attempts": attempts})
        return
    for event in events:
        show.line(f"{show.moment(event.at)}  {show.clean(event.name)}  {told(event)}".rstrip())
    for attempt in detail.attempts:
        show.line()
        show.line(show.paint(f"attempt {attempt.n}  {attempt.folder}", "bold"))
        for file in _files(attempt):
            show.line(f"  {show.pad(file['name'], 24)}  {show.size(file['bytes'])}")


def _files(attempt: Attempt) -> list[dict[str, Any]]:
    """Names and sizes of an attempt's artifacts."""
    try:
        entries = sorted(os.scandir(attempt.folder), key=lambda entry: entry.name)
    except OSError:
        return []
    return [
        {"name": entry.name, "bytes": entry.stat().st_size} for entry in entries if entry.is_file()
    ]


@click.command()
@task_id
@click.option("--attempt", type=click.IntRange(1), default=None, help="Not the latest attempt.")
@click.option("--speed", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True)
@click.option("--idle", type=click.FloatRange(0), default=5.0, help="The longest pause, seconds.")
@click.option("--cast", "file", type=click.Path(dir_okay=False), help="Write an asciicast instead.")
@click.pass_obj
def replay(
    app: App, id_: str, attempt: int | None, speed: float, idle: float, file: str | None
) -> None:
    """Play a recorded session back as it was, or write it as an asciicast (v2; `-` for stdout).

    \b
    Example:
      orch task replay int-5 --speed 4
      orch task replay int-5 --cast int-5.cast
    """
    from orch.cli import recording  # noqa: PLC0415 - only here

    detail = app.ask(GetTask(id_, app.project))
    chosen = [a for a in detail.attempts if a.folder and attempt in (None, a.n)]
    if not chosen:
        which = f"attempt {attempt}" if attempt else "attempt with a recording"
        raise NotFound(f"{detail.task.key} has no {which}", "`orch task get` lists its attempts")
    found = recording.Recording(Path(chosen[-1].folder))
    if file is None and not app.json:
        recording.play(found, show.write_bytes, speed, idle)
        return
    lines = b"".join(line + b"\n" for line in recording.cast(found, detail.task.title))
    if file in (None, "-"):
        show.write_bytes(lines)
        return
    try:
        Path(str(file)).write_bytes(lines)
    except OSError as error:
        raise OrchError(f"cannot write {file}: {error.strerror}") from None
    show.note(f"wrote {file}")
