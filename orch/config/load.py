"""The configuration of a home and its projects; a bad file is named and hurts no other."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any, Protocol

import msgspec

from orch.config.check import Checked, Problem
from orch.config.expand import Lookup, lookup_in, read_env
from orch.config.files import OLD_PROJECT_FILE, Stamp, find_project, project_file, read_file, stamp
from orch.config.layers import build, difference, pick, plain
from orch.config.schema import Config
from orch.core.failover import FREE_PROTOCOL, free_model, is_pattern
from orch.errors import ConfigError

__all__ = [
    "Loaded",
    "ProjectConfig",
    "difference",
    "explain",
    "explain_all",
    "find_project",
    "load",
    "load_global",
    "slug_of",
]


class Home(Protocol):
    """What is asked of a home: `orch.paths.Home` has both files."""

    config: Path
    env: Path


class ProjectConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A project as configured: the global configuration with its own file laid over it.

    `problem` says why nothing of it may be started ('' when it may); `config` is then the last
    good one, or the global one where there was none. `config.jobs` are the project's own.
    """

    slug: str
    path: str
    config: Config
    problem: str = ""


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """All that the files say. `files` holds each file looked at, with None where there is none.

    `problems` are lines that name file, line and key; `hints` are advice, nothing is wrong.
    `unread` holds the folders that are in `projects` of the file but not here, and why.
    """

    config: Config
    projects: dict[str, ProjectConfig]
    problems: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    unread: dict[str, str] = {}
    files: dict[str, Stamp | None] = {}


def load(home: Home, last: Loaded | None = None) -> Loaded:
    """Read `config.yml`, `env` and each project's file.

    A bad project file costs that project alone: it keeps its configuration of `last`, with the
    problem. Raises `ConfigError`, one problem a line, when the global file is invalid.
    """
    files = {str(path): stamp(path) for path in (home.config, home.env)}
    _refuse_emptied(home.config, files, last)
    base, config, lookup = _global(home)
    registry = _Registry(base, config, lookup, last, files)
    for folder in config.projects:
        registry.add(folder)
    return Loaded(
        config=config,
        projects=registry.projects,
        problems=(*(str(job) for job in base.bad_jobs), *registry.problems),
        hints=(*_agent_hints(config), *registry.hints),
        unread=registry.unread,
        files=files,
    )


def load_global(home: Home) -> Config:
    """The global configuration alone. Raises `ConfigError` as `load` does."""
    return _global(home)[1]


def slug_of(home: Home, folder: Path | str) -> str:
    """The slug of the project that `folder` lies in; '' outside of any.

    Raises `ConfigError` when the project's file cannot be read or names no slug.
    """
    file = find_project(folder)
    if file is None:
        return ""
    checked = read_file(file, lookup_in(read_env(home.env)), project=True)
    slug = _slug(checked)
    if not slug:
        _raise_for(checked.problems or [_no_slug(checked)])
    return slug


def explain(home: Home, key: str, folder: Path | str | None = None) -> tuple[Any, str, int]:
    """A key's value, and the file and line it comes from ('' and 0: the default).

    Values with parts are plain dicts and lists, secrets are `Secret`. With `folder`, the project
    that it lies in counts. Raises `NotFound` for an unknown key, `ConfigError` for an invalid file.
    """
    config, sources = _layered(home, folder)
    value = pick(config, key)
    if len(sources) > 1 and re.match(r"jobs\b", key):
        sources = sources[:1]  # jobs are not inherited
    for checked, name in sources:
        if key in checked.lines:
            return value, name, checked.lines[key]
    return value, "", 0


def explain_all(home: Home, folder: Path | str | None = None) -> dict[str, Any]:
    """Every section's values in the form of `explain`."""
    return plain(_layered(home, folder)[0])


def _layered(home: Home, folder: Path | str | None) -> tuple[Config, list[tuple[Checked, str]]]:
    """The configuration that holds in a folder, and its files, the stronger first."""
    base, config, lookup = _global(home)
    file = None if folder is None else find_project(folder)
    if file is None:
        return config, [(base, str(home.config))]
    over = read_file(file, lookup, project=True)
    _raise_for(over.problems)
    config, problems = build(base, over)
    _raise_for(problems)
    return config, [(over, str(file)), (base, str(home.config))]


class _Registry:
    """The projects of `config.yml`, read one by one; each problem stays with its project."""

    def __init__(
        self,
        base: Checked,
        config: Config,
        lookup: Lookup,
        last: Loaded | None,
        files: dict[str, Stamp | None],
    ) -> None:
        self.base = base
        self.config = config
        self.lookup = lookup
        self.files = files
        self.before = {p.path: p for p in last.projects.values()} if last else {}
        self.projects: dict[str, ProjectConfig] = {}
        self.problems: list[str] = []
        self.hints: list[str] = []
        self.unread: dict[str, str] = {}

    def add(self, entry: str) -> None:
        """Read one entry of `projects`; nothing it does is an error of the whole."""
        folder = Path(entry).expanduser()
        if not folder.is_absolute():
            self._bad(entry, "is not an absolute path")
            return
        path = os.path.realpath(folder)
        if any(project.path == path for project in self.projects.values()):
            return
        file = project_file(folder) or folder / ".orch.yml"
        self.files[str(file)] = stamp(file)
        if self.files[str(file)] is None:
            why = "has no .orch.yml" if folder.is_dir() else "no such folder"
            self._bad(entry, f"{why} (`orch init` there, or `orch project remove {entry}`)", path)
            return
        if file.name == OLD_PROJECT_FILE:
            self.hints.append(f"{file}: rename it to .orch.yml")
            self.files[str(folder / ".orch.yml")] = None
        self._read(file, path)

    def _read(self, file: Path, path: str) -> None:
        over = read_file(file, self.lookup, project=True)
        self.problems += [str(job) for job in over.bad_jobs]
        problems = list(over.problems)
        slug = _slug(over)
        config = self.config
        if not slug and not problems:
            problems.append(_no_slug(over))
        if not problems:
            config, problems = build(self.base, over)
        if problems:
            self.problems += [str(problem) for problem in problems]
            self._keep(slug, path, str(problems[0]))
            return
        self._enter(ProjectConfig(slug=slug, path=path, config=config))

    def _bad(self, entry: str, why: str, path: str = "") -> None:
        index = self.config.projects.index(entry)
        line = self.base.lines.get(f"projects[{index}]", self.base.lines.get("projects", 1))
        problem = Problem(self.base.file, line, f"projects[{index}]", f"{entry}: {why}")
        self.problems.append(str(problem))
        self._keep("", path or entry, str(problem))

    def _keep(self, slug: str, path: str, problem: str) -> None:
        """Enter a project that cannot be read now, as it was before, with the problem."""
        before = self.before.get(path)
        if before is not None:
            self._enter(msgspec.structs.replace(before, problem=problem))
        elif slug:
            self._enter(
                ProjectConfig(
                    slug=slug,
                    path=path,
                    config=msgspec.structs.replace(self.config, jobs=()),
                    problem=problem,
                )
            )
        else:
            self.unread[path] = problem

    def _enter(self, project: ProjectConfig) -> None:
        slug = project.slug
        other = next((p for s, p in self.projects.items() if s.lower() == slug.lower()), None)
        if other is None:
            self.projects[slug] = project
            return
        self.unread[project.path] = (
            f"{project.path}: is called {slug} like {other.path}, which comes first: "
            "give one of them another gh.repo"
        )
        self.problems.append(self.unread[project.path])


def _global(home: Home) -> tuple[Checked, Config, Lookup]:
    lookup = lookup_in(read_env(home.env))
    checked = read_file(home.config, lookup, project=False, name=home.config.name)
    _raise_for(checked.problems)
    config, problems = build(checked)
    _raise_for(problems)
    return checked, config, lookup


def _refuse_emptied(path: Path, files: dict[str, Stamp | None], last: Loaded | None) -> None:
    """A file that was full and is now empty was cut off in the middle of being written."""
    before = last.files.get(str(path)) if last else None
    now = files[str(path)]
    if before and before[1] > 0 and now is not None and now[1] == 0:
        raise ConfigError(f"{path.name}:1: the file is suddenly empty; the last good one is kept")


def _agent_hints(config: Config) -> list[str]:
    """Names in lists that no agent has, and entries that no agent can fill."""
    known = list(config.agents)
    hints = []
    named = [(f"router.agents[{n}]", name) for n, name in enumerate(config.router.agents)]
    if config.router.fallback_executor:
        named.append(("router.fallback_executor", config.router.fallback_executor))
    for key, name in named:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})"
            hints.append(f"{key}: there is no agent called {name}{meant}")
    for n, entry in enumerate(config.model_map.free):
        agent, model = free_model(entry)
        spec = config.agents.get(agent)
        if is_pattern(model) and (spec is None or spec.protocol != FREE_PROTOCOL):
            why = f"{agent} is no agent of the protocol {FREE_PROTOCOL}"
            hints.append(f"model_map.free[{n}]: {entry} stands for nothing: {why}")
    return hints


def _slug(checked: Checked) -> str:
    return str(checked.values.get("gh", {}).get("repo", ""))


def _no_slug(checked: Checked) -> Problem:
    return Problem(checked.file, 1, "gh.repo", "is missing (`orch init` writes it)")


def _raise_for(problems: list[Problem]) -> None:
    if problems:
        shown = [str(problem) for problem in problems[:20]]
        if len(problems) > len(shown):
            shown.append(f"... and {len(problems) - len(shown)} more")
        raise ConfigError("\n".join(shown), "`orch config edit` opens the file")
