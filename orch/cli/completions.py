"""`orch completions`: the script that teaches a shell to complete `orch`."""

from __future__ import annotations

import click

from orch.cli import show
from orch.cli.app import App

HOW = {
    "bash": 'eval "$(orch completions bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(orch completions zsh)"   # in ~/.zshrc',
    "fish": "orch completions fish | source   # in ~/.config/fish/config.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(sorted(HOW)))
@click.pass_obj
def completions(app: App, shell: str) -> None:
    """Print the completion script of bash, zsh or fish.

    \b
    Example:
      eval "$(orch completions bash)"
    """
    text = script(shell)
    show.result(app.json, {"shell": shell, "script": text, "install": HOW[shell]}, text)


def script(shell: str) -> str:
    """The script: it asks `orch` itself what may come next (click's shell completion)."""
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    made = get_completion_class(shell)
    assert made is not None, "click knows these shells"
    asks = made(click.Command("orch"), {}, "orch", "_ORCH_COMPLETE")
    return f"# {HOW[shell]}\n{asks.source_template % asks.source_vars()}"
