"""`orch template`: fill a Jinja template with values given on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from orch.cli import show
from orch.cli.app import App
from orch.cli.pairs import key_values
from orch.errors import Malformed, NotFound, OrchError


@click.command()
@click.argument("path")
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@click.pass_obj
def template(app: App, path: str, values: tuple[str, ...]) -> None:
    """Fill the template at PATH (- for stdin) and print it.

    Templates are sandboxed, and a variable without a value is an error, not a blank. The filters
    of orch's own prompts work: {{ text | theirs("whose") }} marks other people's text.

    \b
    Example:
      orch template ~/.orch/prompts/reask.md why=unreadable problem="it was no JSON"
    """
    given = key_values(values)
    text = fill(_read(path), given, "<stdin>" if path == "-" else path)
    show.result(app.json, {"text": text}, text.removesuffix("\n"))


def fill(text: str, values: dict[str, str], name: str) -> str:
    """The template's text with `values` in it; raises `Malformed` naming what is wrong."""
    import jinja2  # noqa: PLC0415 - slow to import, and only needed here
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415

    from orch.tools.prompts import filters, fresh_mark  # noqa: PLC0415

    setting = SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    mark = fresh_mark()
    setting.filters |= filters(mark)
    values = {"mark": mark, "message_begins": "", **values}
    try:
        return setting.from_string(text).render(values)
    except jinja2.UndefinedError as error:
        missing = _missing(setting, text, values)
        if missing:
            raise Malformed(
                f"{name}: no value for {', '.join(missing)}", f"pass {missing[0]}=VALUE"
            ) from None
        raise Malformed(f"{name}: {error.message}") from None
    except jinja2.TemplateSyntaxError as error:
        raise Malformed(f"{name}:{error.lineno}: {error.message}") from None
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise Malformed(f"{name}: {error}") from None


def _missing(setting: object, text: str, values: dict[str, str]) -> list[str]:
    """The variables that the template uses and nobody gave, in alphabetical order."""
    from jinja2 import Environment, meta  # noqa: PLC0415

    assert isinstance(setting, Environment)
    wanted: set[str] = meta.find_undeclared_variables(setting.parse(text))
    return sorted(wanted - values.keys())


def _read(path: str) -> str:
    try:
        if path == "-":
            return sys.stdin.buffer.read().decode()
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OrchError(f"{path} cannot be read: {error}") from None
