"""`orch project`: the registry of projects in config.yml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orch.cli import show
from orch.cli.app import App
from orch.errors import NotFound, Refused

if TYPE_CHECKING:
    from orch.config.load import Loaded, ProjectConfig


@click.group()
def project() -> None:
    """Add, remove and list projects.

    \b
    Example:
      orch project list
    """


@project.command()
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.pass_obj
def add(app: App, path: Path) -> None:
    """Register a folder that has an .orch.yml (`orch init` writes one).

    \b
    Example:
      orch project add ~/code/demo
    """
    from orch.config.files import project_file  # noqa: PLC0415 - YAML
    from orch.config.load import slug_of  # noqa: PLC0415

    folder = Path(os.path.realpath(path.expanduser()))
    if not folder.is_dir():
        raise NotFound(f"{folder}: no such folder")
    if project_file(folder) is None:
        raise NotFound(f"{folder} has no .orch.yml", f"`cd {folder} && orch init` writes it")
    slug = slug_of(app.home, folder)
    fresh = register(app, folder, slug)
    document = {"project": slug, "path": str(folder), "registered": fresh}
    show.result(
        app.json, document, f"{slug} {'is registered now' if fresh else 'was registered already'}"
    )


@project.command()
@click.argument("name", default=".", metavar="[PATH or OWNER/REPO]")
@click.pass_obj
def remove(app: App, name: str) -> None:
    """Forget a project. Its folder, its tasks and their branches stay.

    \b
    Example:
      orch project remove octo/demo
    """
    from orch.config.edit import remove_item  # noqa: PLC0415 - a second YAML, for writing
    from orch.config.load import load  # noqa: PLC0415

    loaded = load(app.home)
    named = loaded.projects.get(name) or loaded.projects.get(app.chosen_project)
    path = named.path if named else os.path.realpath(Path(name).expanduser())
    count = remove_item(
        app.home.config,
        "projects",
        lambda item: isinstance(item, str) and (item == name or _real(item) == path),
    )
    if not count:
        known = ", ".join(sorted(loaded.projects)) or "none"
        shown = path if name == "." else name
        raise NotFound(f"the project {shown} is not registered", f"registered: {known}")
    slug = named.slug if named else next((p.slug for p in _at(loaded, path)), "")
    document = {"project": slug, "path": path, "removed": True}
    show.result(app.json, document, f"{slug or path} is not registered any more")


@project.command("list")
@click.pass_obj
def list_(app: App) -> None:
    """List the registered projects, and what is wrong with any.

    \b
    Example:
      orch project list --json
    """
    from orch.config.load import load  # noqa: PLC0415 - YAML

    loaded = load(app.home)
    rows = [(one.slug, one.path, one.problem) for one in loaded.projects.values()]
    rows += [("", folder, problem) for folder, problem in loaded.unread.items()]
    if app.json:
        show.json([{"slug": slug, "path": path, "problem": why} for slug, path, why in rows])
    elif rows:
        show.table(("PROJECT", "PATH", "PROBLEM"), rows)
    else:
        show.line("no project is registered; `orch init` in a project's folder registers it")


def register(app: App, folder: Path, slug: str) -> bool:
    """Write the folder into config.yml; False when it is there already.

    Raises `Refused` when another folder has the slug, or for a worktree made by orch.
    """
    from orch.config.edit import add_item  # noqa: PLC0415 - a second YAML, for writing
    from orch.config.load import load  # noqa: PLC0415

    refuse_worktree(app, folder)
    loaded = load(app.home)
    if any(_real(entry) == str(folder) for entry in loaded.config.projects):
        return False
    for other in loaded.projects.values():
        if other.slug.lower() == slug.lower():
            raise Refused(
                f"{other.path} is registered as {slug} already",
                f"`orch project remove {slug}`, or another name: `orch init --repo OWNER/NAME`",
            )
    app.home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    add_item(app.home.config, "projects", str(folder))
    return True


def refuse_worktree(app: App, folder: Path) -> None:
    """Raise `Refused` for a folder in which orch itself works on a task."""
    if folder.is_relative_to(os.path.realpath(app.home.root)):
        raise Refused(f"{folder} lies in orch's own home", "go to the project's own folder")


def _real(entry: str) -> str:
    return os.path.realpath(Path(entry).expanduser())


def _at(loaded: Loaded, path: str) -> list[ProjectConfig]:
    return [one for one in loaded.projects.values() if one.path == path]
