"""`orch skills`: what agents can be taught, and the repositories that it comes from."""

from __future__ import annotations

from typing import Any

import click

from orch.cli import show
from orch.cli.app import App
from orch.messages import ListSkills, SkillsListed, SyncSkills

SYNC_SECONDS = 900.0
"""How long a sync is waited for; each repository has a shorter limit of its own."""


@click.group()
def skills() -> None:
    """List and update the skills of agents (`skills` in the configuration).

    \b
    Example:
      orch skills list
    """


@skills.command(name="list")
@click.pass_obj
def list_(app: App) -> None:
    """List the skills that a task here may be given, and where they come from.

    \b
    Example:
      orch skills list --json
    """
    _print(app, app.ask(ListSkills(app.project)))


@skills.command()
@click.pass_obj
def sync(app: App) -> int:
    """Bring the repositories of skills up to date; one that is pinned to a commit stays.

    \b
    Example:
      orch skills sync
    """
    found = app.ask(SyncSkills(app.project), SYNC_SECONDS)
    _print(app, found)
    return 1 if any(repo.problem for repo in found.repos) else 0


def document(found: SkillsListed) -> dict[str, Any]:
    """The catalogue as JSON."""
    return {
        "skills": [
            {
                "name": one.name,
                "description": one.description,
                "repo": one.repo,
                "commit": one.commit,
                "folder": one.folder,
            }
            for one in found.skills
        ],
        "repos": [
            {
                "repo": one.repo,
                "ref": one.ref,
                "path": one.path,
                "commit": one.commit,
                "skills": one.skills,
                "problem": one.problem or None,
            }
            for one in found.repos
        ],
    }


def _print(app: App, found: SkillsListed) -> None:
    if app.json:
        show.json(document(found))
        return
    if not found.repos:
        show.line("no skills are configured; `orch config explain skills` says how")
        return
    if found.skills:
        show.table(
            ("SKILL", "WHAT IT IS FOR", "FROM"),
            [(one.name, show.clean(one.description), one.repo) for one in found.skills],
            grow=1,
        )
        show.line()
    rows = [
        (
            repo.repo,
            repo.ref or "default branch",
            repo.commit[:10] or "-",
            str(repo.skills),
            show.clean(repo.problem) or "ok",
        )
        for repo in found.repos
    ]  # fmt: skip
    show.table(("REPOSITORY", "REF", "COMMIT", "SKILLS", "STATE"), rows, grow=4)
