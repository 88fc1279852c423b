"""Help tells the truth: each command and group has a sentence and examples that would be
understood, and every option says what it is for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from orch.cli.lazy import Lazy
from orch.cli.main import root

PLAIN = frozenset({"--help", "--speed", "--overlap", "--catch-up"})
"""Options whose name and default say all there is."""


def everything(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[str, click.Command]]:
    """Every visible command and group below, by its whole name."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None and not child.hidden:
                yield from everything(child, (*path, name))


def examples(command: click.Command) -> list[str]:
    """The lines of a command's help below `Example:`."""
    _, _, text = (command.help or "").partition("Example:")
    return [line.strip() for line in text.splitlines() if line.strip()]


def wrong_help(path: str, command: click.Command) -> list[str]:
    """What is missing or untrue in the help of one command."""
    problems = []
    sentence = (command.help or "").strip().split("\n")[0]
    if not re.match(r"[A-Z].*[.:]", command.get_short_help_str(400)):
        problems.append(f"{path}: its help does not begin with a sentence: {sentence!r}")
    shown = examples(command)
    if not any("orch" in line for line in shown):
        problems.append(f"{path}: has no example")
    for line in shown:
        for words in calls(line):
            problems += [f"{path}: {line!r}: {one}" for one in misunderstood(words)]
    for param in command.params:
        if isinstance(param, click.Option) and not param.help and not PLAIN & {*param.opts}:
            problems.append(f"{path}: {param.opts[-1]} says nothing")
    return problems


def calls(line: str) -> Iterator[list[str]]:
    """The calls of `orch` in a line of shell, each as its arguments."""
    found: list[str] | None = None
    for inner in re.findall(r"\$\((orch [^)]*)\)", line):
        yield shlex.split(inner)[1:]
    lexer = shlex.shlex(re.sub(r"\$\([^)]*\)", "x", line), posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    for word in [*lexer, ";"]:
        if set(word) <= set("|&;<>"):
            if found is not None:
                yield found
            found = None
        elif word == "orch" and found is None:
            found = []
        elif found is not None:
            found.append(word)


def misunderstood(words: list[str]) -> list[str]:
    """Commands and options in a call that there are not."""
    command: click.Command = root
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        child = command.get_command(click.Context(command), rest[0])
        if child is None:
            if command.invoke_without_command and not isinstance(command, Lazy):
                break
            return [f"there is no command {rest[0]!r}"]
        command = child
        rest.pop(0)
    known = {opt for param in command.params for opt in (*param.opts, *param.secondary_opts)}
    options = rest[: rest.index("--")] if "--" in rest else rest
    given = [word.partition("=")[0] for word in options if re.match(r"--?[a-z]", word)]
    return [f"there is no option {one!r}" for one in given if one not in known | {"--help"}]


ALL = list(everything(root, ("orch",)))


@pytest.mark.parametrize("path, command", ALL, ids=[path for path, _ in ALL])
def test_the_help_of_each_command_has_a_sentence_and_true_examples(path, command):
    assert wrong_help(path, command) == []


@pytest.mark.parametrize(
    "line, wrong",
    [
        ("orch up -d && orch status", []),
        ("git diff | orch task add 'x y' -b - --run --watch", []),
        ('eval "$(orch completions bash)"', []),
        ("orch tsk list", ["there is no command 'tsk'"]),
        ("orch up && orch task lst", ["there is no command 'lst'"]),
        ("orch task list --every", ["there is no option '--every'"]),
        ('eval "$(orch completion bash)"', ["there is no command 'completion'"]),
        ("orch task add -- --title", []),
    ],
)
def test_an_example_that_would_not_be_understood_is_seen(line, wrong):
    assert [one for words in calls(line) for one in misunderstood(words)] == wrong


def test_help_without_a_sentence_an_example_or_an_options_meaning_is_seen():
    options = [click.Option(["--some"]), click.Option(["--other"], help="Other.")]
    silent = click.Command("x", help="", params=list(options))
    assert [one.partition(": ")[2] for one in wrong_help("orch x", silent)] == [
        "its help does not begin with a sentence: ''",
        "has no example",
        "--some says nothing",
    ]
