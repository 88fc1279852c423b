"""The README tells the truth: its commands are those that exist, its make targets too."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from orch.cli.lazy import Lazy
from orch.cli.main import root
from tests.house.source import ROOT

README = (ROOT / "README.md").read_text()


def leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its whole name; hidden ones apart."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    if command.invoke_without_command and not isinstance(command, Lazy):
        yield path, command
    ctx = click.Context(command)
    for name in command.list_commands(ctx):
        child = command.get_command(ctx, name)
        if child is not None and not child.hidden:
            yield from leaves(child, f"{path} {name}")


def usage(path: str, command: click.Command) -> str:
    """A command with its arguments, as the README writes it."""
    ctx = click.Context(command)
    arguments = [p.make_metavar(ctx) for p in command.params if isinstance(p, click.Argument)]
    return " ".join([path, *arguments])


def table() -> str:
    """The command table of the README."""
    lines = ["| command | what it does |", "|---|---|"]
    for path, command in leaves(root, "orch"):
        said = command.get_short_help_str(limit=200).rstrip(".")
        lines.append(f"| `{usage(path, command).replace('|', '/')}` | {said} |")
    return "\n".join(lines)


def wrong_table(text: str, wanted: str) -> list[str]:
    """Lines of the wanted table that the text lacks, and lines of the text that name no command."""
    have = [line for line in text.splitlines() if line.startswith("| `orch ")]
    rows = [line for line in wanted.splitlines() if line.startswith("| `orch ")]
    missing = [f"missing: {line}" for line in rows if line not in have]
    return missing + [f"no such command: {line}" for line in have if line not in rows]


def wrong_targets(text: str, makefile: str) -> list[str]:
    """Targets that the text names and the Makefile has not."""
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    return sorted(set(re.findall(r"\bmake ([a-z]+)", text)) - known)


def test_the_readme_lists_exactly_the_commands_that_exist():
    assert wrong_table(README, table()) == []


def test_the_readme_names_only_targets_that_the_makefile_has():
    assert wrong_targets(README, (ROOT / "Makefile").read_text()) == []


def test_a_missing_and_a_made_up_command_are_seen():
    wanted = "| `orch up` | Start |\n| `orch down` | Stop |"
    text = "| `orch up` | Start |\n| `orch fly` | Fly |"
    assert wrong_table(text, wanted) == [
        "missing: | `orch down` | Stop |",
        "no such command: | `orch fly` | Fly |",
    ]
    assert wrong_targets("run make fly or `make test`", "test: x\n") == ["fly"]


def test_every_command_has_help_with_an_example():
    silent = [
        path
        for path, command in leaves(root, "orch")
        if "Example:" not in (command.help or "") or not command.get_short_help_str()
    ]
    assert silent == []
