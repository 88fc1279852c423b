"""A group whose commands are imported when they are used, so that each pays for itself alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from orch.cli.app import App


class Entry(NamedTuple):
    """Where a command is (`module:attribute`), the help section it stands in, and its sentence."""

    target: str
    section: str
    sentence: str
    hidden: bool = False


class Lazy(click.Group):
    """A group given as a table of `Entry` by name; adds the global options to each command."""

    def __init__(self, name: str, table: Mapping[str, Entry], help: str) -> None:  # noqa: A002
        super().__init__(name, help=help, callback=_help_when_alone, invoke_without_command=True)
        self.table = table
        self.params.extend(global_options())

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names shown in help, in the table's order."""
        return [name for name, entry in self.table.items() if not entry.hidden]

    def get_command(self, _ctx: click.Context | None, name: str) -> click.Command | None:
        """Import the command called `name`; None when there is none."""
        entry = self.table.get(name)
        return None if entry is None else load(entry.target)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begins with; an unknown name is a usage error with a guess."""
        name = args[0]
        if name in self.table or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

        near = get_close_matches(name, list(self.table), n=3, cutoff=0.6)
        guess = f"; did you mean {' or '.join(f'`{one}`' for one in near)}?" if near else ""
        raise click.UsageError(f"there is no command {name!r} in `{ctx.command_path}`{guess}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by section, from the table: help imports none of them."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            entry = self.table[name]
            sections.setdefault(entry.section, []).append((name, entry.sentence))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Command names and options that begin with `incomplete`, without importing anything."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - completion only

        names = [
            CompletionItem(name, help=self.table[name].sentence)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def load(target: str) -> click.Command:
    """The command at `module:attribute`, with the global options added to it and below it."""
    module, _, attribute = target.partition(":")
    command: click.Command = getattr(import_module(module), attribute)
    for one in _with_children(command):
        taken = {opt for param in one.params for opt in param.opts}
        one.params.extend(o for o in global_options() if not taken.intersection(o.opts))
    return command


def global_options() -> list[click.Option]:
    """`--json`, `--project`, `--home`: understood before and after every command's name."""
    return [
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_set_json,
            help="Print JSON: one document, or lines where it streams.",
        ),
        click.Option(
            ["--project"],
            metavar="OWNER/REPO",
            expose_value=False,
            callback=_set_project,
            help="The project meant; else that of the current folder.",
        ),
        click.Option(
            ["--home"],
            metavar="FOLDER",
            expose_value=False,
            callback=_set_home,
            help="The home meant; else $ORCH_HOME, else ~/.orch.",
        ),
    ]


def _set_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(App).json = True


def _set_project(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(App).chosen_project = value


def _set_home(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value:
        ctx.ensure_object(App).chosen_home = value


def _with_children(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group) and not isinstance(command, Lazy):
        for child in command.commands.values():
            yield from _with_children(child)


@click.pass_context
def _help_when_alone(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
