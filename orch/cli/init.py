"""`orch init`: make a git repository a project of orch."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from orch.cli import show
from orch.cli.app import App
from orch.cli.project import refuse_worktree, register
from orch.errors import ConfigError, Refused

_GITHUB = re.compile(
    r"(?:(?:https?|ssh|git)://(?:[^@/]+@)?|(?:[^@/]+@))?"
    r"(?:www\.|ssh\.)?github\.com[-\w]*(?::\d+)?[:/]"
    r"/*(?P<owner>[A-Za-z0-9][\w-]*)/(?P<repo>[\w.-]+?)(?:\.git)?/*"
)

TEMPLATE = """\
# This folder is a project of orch. What is set here overrides ~/.orch/config.yml for it alone.
# `orch config explain KEY` tells where a value comes from, `orch config check` what is wrong.
gh:
  repo: {slug}   # what the project is called

# workflow:
#   timeout_seconds: 1800      # an attempt's time limit, 0 for none
#   required_tools: [git]      # a task waits until these are installed
# router:
#   agents: [shell]            # who may work here; all known agents when unset
# jobs:
#   - id: tidy
#     schedule: "0 4 * * 1"    # Mondays at four
#     task: {{title: "Tidy up", body: "..."}}
"""


@click.command()
@click.option("--repo", metavar="OWNER/REPO", default="", help="What the project is called.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask; make a git repository if needed.")
@click.pass_obj
def init(app: App, repo: str, yes: bool) -> None:
    """Make this folder a project: write .orch.yml and register it. Safe to repeat.

    The name is that of the GitHub repository that git's remote names, else local/FOLDER.

    \b
    Example:
      cd ~/code/demo && orch init
    """
    from orch.config.files import project_file  # noqa: PLC0415 - YAML
    from orch.config.load import slug_of  # noqa: PLC0415

    wanted = _checked(repo)
    folder = _repository(yes)
    refuse_worktree(app, folder)
    file = project_file(folder)
    created = file is None
    if file is None:
        slug = wanted or _remote_slug(folder) or _local_slug(app, folder)
        file = folder / ".orch.yml"
        _refuse_taken(app, folder, slug)
        _write(file, slug)
    elif wanted:
        _refuse_taken(app, folder, wanted)
        _rename(app, file, wanted)
    elif not _named(app, file):
        _rename(app, file, _remote_slug(folder) or _local_slug(app, folder))
    slug = slug_of(app.home, folder)
    fresh = register(app, folder, slug)
    document = {
        "project": slug, "path": str(folder), "file": str(file), "created": created,
        "registered": fresh,
    }  # fmt: skip
    show.result(app.json, document, _told(slug, file, created, fresh))
    if file.name != ".orch.yml":
        show.note(f"hint: rename {file} to .orch.yml")
    if not _has_commit(folder):
        show.note("hint: the repository has no commit yet; tasks need one to start from")


def _told(slug: str, file: Path, created: bool, fresh: bool) -> str:
    written = f"{file} {'written' if created else 'was there already'}"
    registered = "registered" if fresh else "registered already"
    return f'{slug}: {written}, {registered}\nnext: `orch task add "..."`'


def _checked(repo: str) -> str:
    """`--repo` as a slug; a GitHub URL will do. Raises a usage error."""
    if not repo:
        return ""
    url = _GITHUB.fullmatch(repo)
    slug = f"{url['owner']}/{url['repo']}" if url else repo
    from orch.config.check import convert  # noqa: PLC0415 - YAML

    try:
        return str(convert(slug, "gh.repo"))
    except ValueError as problem:
        raise click.UsageError(f"--repo: {problem}") from None


def _repository(yes: bool) -> Path:
    """The top of the git repository here, made when there is none and that is wanted."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise Refused("the current folder is gone", "go to the project's folder") from None
    top = _git(here, "rev-parse", "--show-toplevel")
    if top is not None:
        return Path(os.path.realpath(top.removesuffix("\n")))
    if _git(here, "rev-parse", "--git-dir") is not None:
        raise Refused(f"{here} is a git repository without files", "go to a checkout of it")
    if not yes and not (
        show.is_terminal(sys.stdin)
        and click.confirm(f"{here} is not in a git repository. Make one (git init)?", err=True)
    ):
        raise Refused(f"{here} is not in a git repository", "`git init`, or `orch init --yes`")
    _git(here, "init", "--quiet", check=True)
    return Path(os.path.realpath(here))


def _remote_slug(folder: Path) -> str:
    """`owner/repo` when a remote of the repository is on GitHub, `origin` first; else ''."""
    remotes = (_git(folder, "remote") or "").split()
    for name in sorted(remotes, key=lambda one: (one != "origin", one)):
        url = (_git(folder, "remote", "get-url", name) or "").strip()
        match = _GITHUB.fullmatch(url)
        if match:
            return f"{match['owner']}/{match['repo']}"
    return ""


def _local_slug(app: App, folder: Path) -> str:
    """`local/NAME` of the folder's name, with a number when another project has it."""
    from orch.config.load import load  # noqa: PLC0415 - YAML

    name = re.sub(r"[\s#/\x00-\x1f\x7f]+", "-", folder.name).strip("-") or "project"
    name = name if name.strip(".") else "project"
    taken = {
        one.slug.lower() for one in load(app.home).projects.values() if one.path != str(folder)
    }
    slugs = [f"local/{name[:90]}", *(f"local/{name[:90]}-{n}" for n in range(2, len(taken) + 3))]
    return next(slug for slug in slugs if slug.lower() not in taken)


def _refuse_taken(app: App, folder: Path, slug: str) -> None:
    """Raise `Refused` when another registered folder has the slug."""
    from orch.config.load import load  # noqa: PLC0415 - YAML

    for other in load(app.home).projects.values():
        if other.slug.lower() == slug.lower() and other.path != str(folder):
            raise Refused(
                f"{other.path} is registered as {slug} already",
                "name this one by `orch init --repo OWNER/NAME`",
            )


def _named(app: App, file: Path) -> bool:
    """Whether the file says what the project is called. Raises `ConfigError` when it is wrong."""
    from orch.config.expand import lookup_in, read_env  # noqa: PLC0415
    from orch.config.files import read_file  # noqa: PLC0415 - YAML

    checked = read_file(file, lookup_in(read_env(app.home.env)), project=True)
    if checked.problems:
        raise ConfigError("\n".join(str(one) for one in checked.problems), f"correct {file}")
    return bool(checked.values.get("gh", {}).get("repo"))


def _rename(app: App, file: Path, slug: str) -> None:
    from orch.config.edit import set_value  # noqa: PLC0415 - a second YAML, for writing
    from orch.config.expand import lookup_in, read_env  # noqa: PLC0415

    set_value(file, "gh.repo", slug, lookup=lookup_in(read_env(app.home.env)))


def _write(file: Path, slug: str) -> None:
    import yaml  # noqa: PLC0415

    from orch.config.edit import create  # noqa: PLC0415

    quoted = yaml.safe_dump(slug, allow_unicode=True, width=1000).splitlines()[0]
    create(file, TEMPLATE.format(slug=quoted))


def _has_commit(folder: Path) -> bool:
    return _git(folder, "rev-parse", "--verify", "-q", "HEAD") is not None


def _git(folder: Path, *words: str, check: bool = False) -> str | None:
    """What git prints; None when it says no. Raises `ToolFailed` without git."""
    from orch.tools.process import run  # noqa: PLC0415 - psutil, only for what runs programs

    ran = run(["git", *words], cwd=folder, check=check, timeout=30)
    return ran.out.decode(errors="replace") if ran.code == 0 else None
