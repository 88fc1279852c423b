"""Shell completion of what lives: task ids, agents, services, jobs. Quick, silent when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from orch.cli.app import App
from orch.errors import OrchError
from orch.messages import GetOverview, GetRoster, ListJobs, ListTasks

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECONDS = 0.5
"""How long a person pressing Tab is kept waiting."""

BUILT_IN = ("claude", "codex", "opencode", "kimi", "minimax", "shell")
SERVICES = ("engine", "scheduler", "capture")

Found = Iterable[tuple[str, str]]


def tasks(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Ids of open tasks, with their titles."""

    def look(app: App) -> Found:
        reply = app.ask(ListTasks(project=app.project, limit=100), SECONDS)
        return [(task.key, f"{task.status}: {task.title[:60]}") for task in reply.tasks]

    return _matching(ctx, begun, look)


def agents(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of agents: the built-in ones and those the engine has met."""

    def look(app: App) -> Found:
        known = dict.fromkeys(BUILT_IN, "")
        with suppress(OrchError):  # the built-in ones are known without the engine
            known.update(dict.fromkeys(app.ask(GetOverview(), SECONDS).agents, ""))
        return known.items()

    return _matching(ctx, begun, look)


def services(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Names of the services that orchd has."""

    def look(app: App) -> Found:
        from orch import control  # noqa: PLC0415 - like the client: only where it is asked

        try:
            roster = control.ask(app.home, GetRoster(), SECONDS)
        except OrchError:
            return [(name, "") for name in SERVICES]
        return [(one.name, one.state) for one in roster.services]

    return _matching(ctx, begun, look)


def jobs(ctx: click.Context, _param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Ids of jobs, with their schedules."""

    def look(app: App) -> Found:
        reply = app.ask(ListJobs(app.project), SECONDS)
        return [(job.id, job.schedule) for job in reply.jobs]

    return _matching(ctx, begun, look)


def _matching(ctx: click.Context, begun: str, look: Callable[[App], Found]) -> list[CompletionItem]:
    """What `look` finds that begins so; nothing at all when it cannot be found quickly. Shells
    read a line for each: what is shown beside a name must not break it."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - completion only

    from orch.cli.show import clean  # noqa: PLC0415

    try:
        found = list(look(ctx.ensure_object(App)))
    except (OrchError, OSError):
        return []
    fitting = [(name, clean(text)) for name, text in found if name.startswith(begun)]
    return [CompletionItem(name, help=text) for name, text in fitting]
