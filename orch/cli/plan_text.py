"""A plan as text: the lines of its tree, and the YAML in which a person changes it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from orch.cli import show
from orch.core import plan as plans
from orch.core.plan import Plan
from orch.errors import Malformed, OrchError

BODY = 200
"""Characters of a task's body that its tree shows."""

HEAD = """\
# Change, add, remove or move tasks; save and leave. An empty file changes nothing.
# `after` holds the numbers of the tasks that come before; the first task is 1.
"""


def lines(proposed: Plan) -> Iterator[tuple[str, str, str, str]]:
    """Each line as what stands before it, and before what is wrapped of it, colour and text."""
    count = len(proposed.tasks)
    for number, task in enumerate(proposed.tasks, 1):
        stroke, rest = ("└─", "   ") if number == count else ("├─", "│  ")
        notes = [", ".join(part for part in (task.complexity, task.agent) if part)]
        notes += (
            [f"after {', '.join(str(place + 1) for place in task.after)}"] if task.after else []
        )
        notes += [" ".join(f"#{label}" for label in task.labels)] if task.labels else []
        told = "; ".join(note for note in notes if note)
        yield stroke, f"{rest} ", "bold", f"{number}. {task.title}{f'  ({told})' if told else ''}"
        body = " ".join(task.body.split())
        if body:
            yield (
                f"{rest}  ",
                f"{rest}  ",
                "dim",
                body if len(body) <= BODY else f"{body[: BODY - 1]}…",
            )


def edited(proposed: Plan, most: int, agents: tuple[str, ...]) -> Plan | None:
    """The plan as a person leaves it in $EDITOR; None when nothing was changed. What cannot be
    read is shown and may be put right."""
    text = written(proposed)
    while True:
        try:
            changed = click.edit(text, extension=".yml")
        except click.ClickException as error:
            message = error.format_message()
            raise OrchError(message, "set EDITOR to an editor that you have") from None
        if changed is None or not _without_comments(changed).strip():
            return None
        try:
            return read(changed, most, agents)
        except Malformed as problem:
            show.note(f"{show.paint('error:', 'red')} {show.clean(problem.message)}")
            if not click.confirm("edit it again?", default=True, err=True):
                return None
            text = changed


def written(proposed: Plan) -> str:
    """The plan as YAML."""
    import yaml  # noqa: PLC0415 - slow to import

    class Dumper(yaml.SafeDumper):
        pass

    def text(dumper: yaml.SafeDumper, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Dumper.add_representer(str, text)
    steps = [
        {name: value for name, value in step.items() if value}
        for step in plans.documents(proposed.tasks)
    ]
    document = {"summary": proposed.summary, "tasks": steps}
    return HEAD + yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def read(text: str, most: int, agents: tuple[str, ...]) -> Plan:
    """The plan in a YAML text. Raises `Malformed`."""
    import yaml  # noqa: PLC0415

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Malformed(f"it is no YAML: {error}") from None
    return plans.read([found], most, agents)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
