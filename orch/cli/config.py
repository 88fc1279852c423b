"""`orch config`: read, change, check and explain settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from orch.cli import show
from orch.cli.app import App
from orch.errors import ConfigError, NotFound, OrchError, Refused


class _KeyOrCommand(click.Group):
    """`orch config KEY` is the older form of `orch config get KEY`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begins with; a dotted key, or a section's name, means `get`."""
        name = args[0]
        if name not in self.commands and not name.startswith("-") and _is_key(name):
            args = ["get", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_KeyOrCommand)
def config() -> None:
    """Read, change, check and explain settings.

    Settings are in config.yml of the home, and in .orch.yml of each project, whose keys override
    the same keys for that project.

    \b
    Example:
      orch config set engine.max_parallel 6
      orch config explain engine.max_parallel
    """


@config.command()
@click.argument("key", required=False, default="")
@click.pass_obj
def get(app: App, key: str) -> None:
    """Print a setting as it holds here, or all of them.

    \b
    Example:
      orch config get workflow.timeout_seconds
    """
    from orch.config.load import explain, explain_all  # noqa: PLC0415 - YAML

    folder = _folder(app)
    if not key:
        everything = _open(explain_all(app.home, folder))
        show.result(app.json, everything, _text(everything))
        return
    value, file, line = explain(app.home, key, folder)
    show.result(app.json, _document(key, value, file, line), _text(_open(value)))


@config.command()
@click.argument("key")
@click.pass_obj
def explain(app: App, key: str) -> None:
    """Tell a setting's value, and the file and line that it comes from.

    \b
    Example:
      orch config explain router.mode
    """
    from orch.config.load import explain as find  # noqa: PLC0415 - YAML

    value, file, line = find(app.home, key, _folder(app))
    where = f"{file}:{line}" if file else "the default"
    text = f"{key}: {_on_a_line(_open(value))}  ({where})"
    if isinstance(value, dict):
        text = f"{key}:  ({where})\n{_text(_open(value))}"
    show.result(app.json, _document(key, value, file, line), text)


@config.command("set")
@click.argument("key")
@click.argument("value")
@click.option("--here", is_flag=True, help="In the project's .orch.yml, not for all projects.")
@click.pass_obj
def set_(app: App, key: str, value: str, here: bool) -> None:
    """Change one setting; comments and order of the file are kept.

    A list is written a,b,c. What does not fit is refused, and nothing is changed. The running
    services apply the change at once.

    \b
    Example:
      orch config set workflow.timeout_by_complexity.simple 600
      orch config set router.agents shell,mine --here
    """
    from orch.config.check import convert  # noqa: PLC0415 - YAML
    from orch.config.edit import set_value  # noqa: PLC0415 - a second YAML, for writing
    from orch.config.expand import lookup_in, read_env  # noqa: PLC0415
    from orch.config.load import explain as find  # noqa: PLC0415
    from orch.config.schema import PROJECT_ONLY  # noqa: PLC0415

    folder = _folder(app)
    path = _project_file(folder) if here or key in PROJECT_ONLY else app.home.config
    try:
        written = convert(value, key)
    except ValueError as problem:
        raise ConfigError(f"{key}: {problem}", "nothing was changed") from None
    if path == app.home.config:
        app.home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    set_value(path, key, written, lookup=lookup_in(read_env(app.home.env)))
    try:
        now, file, line = find(app.home, key, folder)
    except ConfigError as error:
        now, file, line = written, str(path), 0
        show.note(f"not in force yet, other settings are wrong: {error.message}")
    text = f"{path}: {key} is now {_on_a_line(written)}"
    show.result(app.json, _document(key, now, file, line), text)
    if file and Path(file).resolve() != path.resolve():
        show.note(f"{file}:{line} overrides it for the project here")


@config.command()
@click.pass_obj
def check(app: App) -> int:
    """Check config.yml and every registered project's file; exit 1 when something is wrong.

    \b
    Example:
      orch config check
    """
    from orch.config.load import load  # noqa: PLC0415 - YAML

    problems: list[str] = []
    hints: list[str] = []
    files: list[str] = [str(app.home.config)]
    try:
        loaded = load(app.home)
    except ConfigError as error:
        problems = error.message.splitlines()
        hints = [error.hint] if error.hint else []
    else:
        problems, hints = [*loaded.problems, *_bad_schedules(loaded)], list(loaded.hints)
        files = [name for name, seen in loaded.files.items() if seen is not None]
    if app.json:
        document = {"ok": not problems, "problems": problems, "hints": hints, "files": files}
        show.json(document)
        return 1 if problems else 0
    for problem in problems:
        show.line(show.clean(problem))
    for hint in hints:
        show.note(f"hint: {show.clean(hint)}")
    if not problems:
        count = len(files)
        show.line(f"{count} file{'' if count == 1 else 's'} checked, nothing wrong")
    return 1 if problems else 0


@config.command()
@click.pass_obj
def path(app: App) -> None:
    """Print where config.yml is.

    \b
    Example:
      orch config path
    """
    file = _nearest()
    document = {"config": str(app.home.config), "project": str(file or ""), "env": app.home.env}
    show.result(app.json, {k: str(v) for k, v in document.items()}, str(app.home.config))


@config.command()
@click.option("--here", is_flag=True, help="The project's .orch.yml, not config.yml.")
@click.pass_context
def edit(ctx: click.Context, here: bool) -> int:
    """Open config.yml in $VISUAL or $EDITOR, and check it afterwards.

    \b
    Example:
      orch config edit --here
    """
    app: App = ctx.obj
    file = _project_file(_folder(app)) if here else app.home.config
    app.home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if not file.exists():
            file.touch(mode=0o600)
        click.edit(filename=os.fspath(file))
    except OSError as error:
        raise Refused(f"{file} cannot be opened: {error.strerror}") from None
    except click.ClickException as error:
        raise OrchError(error.format_message(), "set EDITOR to an editor that you have") from None
    code: int = ctx.invoke(check)
    return code


def _is_key(name: str) -> bool:
    from orch.config.schema import Config  # noqa: PLC0415

    return "." in name or name in Config.__struct_fields__


def _folder(app: App) -> Path | None:
    """The folder whose project counts: that of `--project`, else the current one."""
    if not app.chosen_project:
        file = _nearest()
        return file.parent if file else None
    from orch.config.load import load  # noqa: PLC0415 - YAML

    projects = load(app.home).projects
    if app.chosen_project not in projects:
        known = ", ".join(sorted(projects)) or "none"
        raise NotFound(
            f"the project {app.chosen_project} is not registered", f"registered: {known}"
        )
    return Path(projects[app.chosen_project].path)


def _nearest() -> Path | None:
    from orch.config.load import find_project  # noqa: PLC0415 - YAML

    try:
        return find_project(Path.cwd())
    except FileNotFoundError:  # the current folder is gone
        return None


def _project_file(folder: Path | None) -> Path:
    from orch.config.files import project_file  # noqa: PLC0415 - YAML

    file = project_file(folder) if folder else None
    if file is None:
        raise NotFound("there is no project here", "`orch init` makes this folder one")
    return file


def _bad_schedules(loaded: Any) -> list[str]:
    """Jobs whose cron line or time zone cannot be used."""
    from orch.core.schedule import problem  # noqa: PLC0415 - croniter

    jobs = [("config.yml", job) for job in loaded.config.jobs]
    for project in loaded.projects.values():
        jobs += [(project.path, job) for job in project.config.jobs]
    found = []
    for where, job in jobs:
        why = "" if job.problem else problem(job.schedule, job.timezone)
        if why:
            found.append(f"{where}: job {job.id}: {why}")
    return found


def _document(key: str, value: Any, file: str, line: int) -> dict[str, Any]:
    return {"key": key, "value": _open(value), "file": file, "line": line}


def _open(value: Any) -> Any:
    """A value for printing: secrets as `***`."""
    from orch.config.schema import Secret  # noqa: PLC0415

    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, dict):
        return {name: _open(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_open(item) for item in value]
    return value


def _on_a_line(value: Any) -> str:
    """A setting beside its key: a list with commas."""
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or "(empty)"
    return _text(value) or '""'


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(item, dict) for item in value):
        return "\n".join(str(item) for item in value)
    if isinstance(value, dict | list):
        import yaml  # noqa: PLC0415

        text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
        return text.rstrip()
    return f"{value:g}" if isinstance(value, float) else str(value)
