"""The door to the prompts: Jinja templates, a project's own before the home's before the shipped.

`render("reask", values, home.prompt_places(project))` gives a `Prompt`. Templates are sandboxed
and strict, and mark other people's text by `{{ text | theirs("whose") }}`. What values a template
takes stands at its top.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from orch.core.prompt import fenced, one_line
from orch.errors import ConfigError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

SHIPPED = "orch/"
"""The prefix by which a template of one's own reaches the shipped one: `orch/agent.md`."""

TEMPLATE_BYTES = 1 << 20
"""The largest template that is read."""

PROMPT_CHARACTERS = 4 << 20
"""The longest prompt; no model reads so much."""


FAULTS = (
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
    *(RecursionError, MemoryError),
)
"""What a template itself may raise, beside what Jinja raises for it."""


class Prompt(NamedTuple):
    """A rendered prompt: the system prompt, and the message ('' where it has none)."""

    system: str
    message: str


def fresh_mark() -> str:
    """A mark that nobody can have guessed, for the edges of other people's text."""
    return secrets.token_hex(6)


def render(
    name: str, values: Mapping[str, object], folders: Sequence[Path], mark: str = ""
) -> Prompt:
    """The prompt `name` (`agent`, `route`, `review`, `plan`, `chat`, `reask`) with these values,
    from the first of `folders` (`Home.prompt_places`) that holds `{name}.md`; the last folder is
    the shipped one. `mark` edges other people's text; a fresh one unless given.

    Raises `ConfigError` that names file and line when a template is broken or lacks a value.
    """
    from jinja2 import TemplateError  # noqa: PLC0415 - slow to import, and seldom needed

    mark = mark or fresh_mark()
    turn = f"{mark}{fresh_mark()}"
    known: list[Path] = []
    setting = _setting(_loaded(folders, known), mark)
    given = {**values, "mark": mark, "message_begins": turn}
    try:
        text = _bounded(setting.get_template(f"{name}.md").generate(given), name)
    except ConfigError:
        raise
    except TemplateError as error:
        raise _broken(error, known, name) from None
    except FAULTS as error:
        raise _broken(error, known, name) from None
    system, _, message = text.partition(turn)
    return Prompt(_tidy(system), _tidy(message))


def _setting(loader: object, mark: str) -> SandboxedEnvironment:
    """The sandbox: no autoescape (a prompt is no markup), a missing value is an error."""
    import jinja2  # noqa: PLC0415
    from jinja2.sandbox import SandboxedEnvironment  # noqa: PLC0415

    setting = SandboxedEnvironment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    setting.filters |= filters(mark)
    return setting


def filters(mark: str) -> dict[str, Callable[..., str]]:
    """What templates may use: `theirs("whose")` edges other people's text with the mark."""
    return {"theirs": lambda text, whose: fenced(text, whose, mark), "one_line": one_line}


def _loaded(folders: Sequence[Path], known: list[Path]) -> object:
    """The loader of templates; each file that it read is put into `known`."""
    import jinja2  # noqa: PLC0415

    def load(name: str) -> tuple[str, str, None]:
        wanted = folders
        if name.startswith(SHIPPED):
            name, wanted = name.removeprefix(SHIPPED), folders[-1:]
        if "/" not in name and not name.startswith("."):
            for folder in wanted:
                path = folder / name
                if path.is_file():
                    known.append(path)
                    return _read(path), str(path), None
        raise jinja2.TemplateNotFound(name)

    return jinja2.FunctionLoader(load)


def _read(path: Path) -> str:
    try:
        if not path.resolve().is_relative_to(path.parent.resolve()):
            raise ConfigError(f"{path} leads out of its folder", "put the file itself there")
        with path.open("rb") as file:
            text = file.read(TEMPLATE_BYTES + 1)
        if len(text) > TEMPLATE_BYTES:
            raise ConfigError(f"{path} is larger than {TEMPLATE_BYTES} bytes")
        return text.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None


def _broken(error: Exception, known: list[Path], name: str) -> ConfigError:
    """The error with the file and line at which it arose."""
    file = getattr(error, "filename", None)
    line = getattr(error, "lineno", None)
    if line is None:
        files = {str(path) for path in known}
        for file_name, number in _frames(error.__traceback__):
            if file_name in files:
                file, line = file_name, number
    where = str(file or (known[0] if known else f"{name}.md"))
    said = getattr(error, "message", None) or str(error) or type(error).__name__
    place = f"{where}:{line}" if line else where
    return ConfigError(
        f"{place}: {said}",
        "mend the template, or remove it: the one shipped with orch is used then",
    )


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    while trace is not None:
        yield trace.tb_frame.f_code.co_filename, trace.tb_lineno
        trace = trace.tb_next


def _bounded(pieces: Iterator[str], name: str) -> str:
    """What a template writes; raises `ConfigError` when that does not come to an end."""
    kept: list[str] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > PROMPT_CHARACTERS:
            raise ConfigError(
                f"{name}.md writes more than {PROMPT_CHARACTERS} characters",
                "look for a loop in your own template",
            )
    return "".join(kept)


def _tidy(text: str) -> str:
    """Without blank lines at its edges; '' stays ''."""
    text = text.strip("\n")
    return f"{text}\n" if text.strip() else ""
