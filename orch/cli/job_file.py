"""Jobs in their file: the project's `.orch.yml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from orch.cli.app import App, find_config
from orch.config import edit
from orch.config.load import load
from orch.core.names import slug
from orch.errors import ConfigError, NotFound, Refused

ID_CHARACTERS = 64


def add(app: App, id_: str, schedule: str, title: str, options: dict[str, Any]) -> tuple[str, Path]:
    """Write a job; returns its id and the file. Raises `Refused` when the id is taken."""
    path = file(app)
    taken = set(ids(path))
    if id_ and id_ in taken:
        raise Refused(f"{path} has a job {id_!r} already", "choose another --id, or remove it")
    made = id_ or _free_id(title, taken)
    task = {"title": title, "body": options["body"], "labels": list(options["labels"])}
    item = {
        "id": made,
        "schedule": schedule,
        "timezone": options["timezone"],
        "type": _unless(options["type_"], "task"),
        "task": {**task, "agent": options["agent"]},
        "command": options["command"],
        "dir": options["dir_"],
        "timeout_seconds": options["timeout_seconds"] or "",
        "overlap": _unless(options["overlap"], "skip"),
        "catch_up": _unless(options["catch_up"], "once"),
    }
    edit.add_item(path, "jobs", _without_empty(item))
    return made, path


def remove(app: App, id_: str) -> Path:
    """Remove a job from its file; raises `NotFound`."""
    path = file(app)
    if not edit.remove_item(path, "jobs", lambda item: item.get("id") == id_):
        raise _missing(path, id_)
    return path


def switch(app: App, id_: str, enabled: bool) -> None:
    """Set whether a job fires; raises `NotFound`."""
    path = file(app)
    known = ids(path)
    if id_ not in known:
        raise _missing(path, id_)
    edit.set_value(path, f"jobs[{known.index(id_)}].enabled", enabled)


def file(app: App) -> Path:
    """The file that jobs of the chosen project go to; raises `NotFound` outside of any."""
    app.need_project()
    if app.chosen_project:
        project = load(app.home).projects.get(app.chosen_project)
        if project is None:
            raise NotFound(f"there is no project {app.chosen_project}", "see `orch project list`")
        return Path(find_config(project.path))
    return Path(find_config())


def ids(path: Path) -> list[str]:
    """The ids in a file's list of jobs, in its order."""
    try:
        loaded: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    jobs = loaded.get("jobs") if isinstance(loaded, dict) else None
    items = jobs if isinstance(jobs, list) else []
    return [str(item.get("id", "")) if isinstance(item, dict) else "" for item in items]


def _free_id(title: str, taken: set[str]) -> str:
    """A name made from the title that no other job has."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", slug(title)).strip("-._")[:ID_CHARACTERS] or "job"
    number, free = 2, name
    while free in taken:
        free = f"{name[: ID_CHARACTERS - 5]}-{number}"
        number += 1
    return free


def _unless(value: str, default: str) -> str:
    return "" if value == default else value


def _without_empty(item: dict[str, Any]) -> dict[str, Any]:
    kept = {k: _without_empty(v) if isinstance(v, dict) else v for k, v in item.items()}
    return {key: value for key, value in kept.items() if value not in ("", [], {})}


def _missing(path: Path, id_: str) -> NotFound:
    return NotFound(f"{path} has no job {id_!r}", "see `orch job list`")
