"""What `orch doctor` looks at: one function a subject, each giving its findings."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from orch import __version__
from orch.cli import agents, checks_machine, daemon, show, whom
from orch.cli.app import App
from orch.cli.finding import FAIL, OK, WARN, Finding
from orch.config.load import load
from orch.config.schema import BUILT_IN
from orch.errors import ConfigError, OrchError, Refused
from orch.messages import GetOverview
from orch.paths import LONGEST_SOCKET, SOCKET_BYTES, check_private
from orch.tools import git
from orch.tools.process import INSTALL

LEAST_FREE_BYTES = 1 << 30
LEAST = {"git": (2, 20), "tmux": (3, 0)}
STRICT_TABLES = (3, 37, 0)


def programs(_app: App) -> Iterator[Finding]:
    """Python, git and tmux."""
    yield Finding("python", OK, f"{platform.python_version()} ({sys.executable})")
    for name, least in LEAST.items():
        path = shutil.which(name)
        if not path:
            yield Finding(name, FAIL, "not installed", INSTALL[name])
            continue
        told = agents.version(path) or _tmux_version(path)
        numbers = tuple(int(n) for n in re.findall(r"\d+", told)[:2])
        wanted = ".".join(map(str, least))
        if numbers and numbers < least:
            yield Finding(name, WARN, f"{told} ({path})", f"{wanted} or later is known to work")
        else:
            yield Finding(name, OK, f"{told} ({path})")


def home(app: App) -> Iterator[Finding]:
    """The home folder: private, writable, with room on its disk."""
    root = app.home.root
    if not root.exists():
        yield Finding(
            "home", WARN, f"{root} does not exist yet", "`orch up` or `orch init` make it"
        )
        return
    mode = stat.S_IMODE(root.stat().st_mode)
    if not os.access(root, os.W_OK | os.X_OK):
        yield Finding("home", FAIL, f"{root} cannot be written", "correct its owner and mode")
    elif mode & 0o022:
        yield Finding("home", WARN, f"others may write into {root}", f"chmod go-w {root}")
    else:
        yield Finding("home", OK, str(root))
    free = shutil.disk_usage(root).free
    verdict = OK if free >= LEAST_FREE_BYTES else WARN
    hint = "" if verdict == OK else "free some space (`orch gc`)"
    yield Finding("disk", verdict, f"{show.size(free)} free", hint)


def sockets(app: App) -> Iterator[Finding]:
    """The folder of the sockets: private, and its path short enough."""
    run = app.home.run
    longest = len(os.fsencode(run)) + LONGEST_SOCKET
    detail = f"{run}, longest path {longest} of {SOCKET_BYTES} bytes"
    if not run.exists():
        yield Finding("sockets", OK, f"{detail} (not made yet)")
        return
    try:
        check_private(run)
    except Refused as error:
        yield Finding("sockets", FAIL, error.message, error.hint)
        return
    open_ones = [
        path.name
        for path in run.iterdir()
        if path.is_socket() and stat.S_IMODE(path.stat().st_mode) & 0o077 and path.name != "tmux"
    ]
    if open_ones:
        hint = f"chmod 600 {run / open_ones[0]}"
        yield Finding("sockets", FAIL, f"open to others: {', '.join(open_ones)}", hint)
    else:
        yield Finding("sockets", OK, detail)


def services(app: App) -> Iterator[Finding]:
    """orchd and what it runs, and what the engine has to complain about."""
    roster = daemon.roster(app.home)
    if roster is None:
        yield Finding("orchd", WARN, "not running", "`orch up -d` starts it")
        return
    if roster.version != __version__:
        detail = f"version {roster.version} runs, {__version__} is installed"
        yield Finding("orchd", WARN, detail, "`orch service upgrade`")
    else:
        yield Finding("orchd", OK, f"pid {roster.pid}, up {show.duration(roster.uptime_seconds)}")
    for one in roster.services:
        if one.state == "disabled":
            yield Finding(one.name, WARN, "stopped", f"`orch service start {one.name}`")
            continue
        verdict = {"ready": OK, "failing": FAIL}.get(one.state, WARN)
        hint = "" if verdict == OK else f"`orch log {one.name}`, `orch service restart {one.name}`"
        detail = f"{one.state}, pid {one.pid}, {one.restarts} restarts {one.last_error}".strip()
        yield Finding(one.name, verdict, detail, hint)
    for problem in (*roster.problems, *app.ask(GetOverview(), timeout=2.0).problems):
        yield Finding("problem", WARN, problem, "see `orch status`")


def tmux_server(app: App) -> Iterator[Finding]:
    """The private tmux server: whether its socket answers."""
    path = app.home.tmux
    if not path.exists():
        yield Finding("tmux server", OK, "not started yet (the first session starts it)")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            hint = "the next session starts another; its sessions are lost"
            yield Finding("tmux server", WARN, f"{path}: {error.strerror or error}", hint)
            return
    yield Finding("tmux server", OK, f"answers at {path}")


def database(app: App) -> Iterator[Finding]:
    """The database file: every page and index of it, read without disturbing the engine."""
    path = app.home.db
    if not path.exists():
        yield Finding("database", OK, "none yet (the engine makes it)")
        return
    if sqlite3.sqlite_version_info < STRICT_TABLES:
        detail = f"not checked: this Python has SQLite {sqlite3.sqlite_version}"
        yield Finding("database", WARN, detail, "use a Python with SQLite 3.37 or later")
        return
    try:
        address = f"file:{quote(os.fspath(path))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as opened:
            told = [str(row[0]) for row in opened.execute("PRAGMA integrity_check(5)")]
    except sqlite3.Error as error:
        told = [str(error)]
    if told == ["ok"]:
        yield Finding("database", OK, f"{show.size(path.stat().st_size)}, integrity checked")
    else:
        hint = f"stop orch and restore {path} from a backup beside it"
        yield Finding("database", FAIL, "; ".join(told), hint)


def configuration(app: App) -> Iterator[Finding]:
    """`config.yml` and the projects' files, and the projects' repositories."""
    loaded = load(app.home)
    where = app.home.config if app.home.config.exists() else "defaults, no file"
    if not loaded.problems:
        yield Finding("config", OK, f"{where}, {len(loaded.projects)} projects")
    for problem in loaded.problems:
        yield Finding("config", FAIL, problem, "correct it; `orch config check` tells more")
    for hint in loaded.hints:
        yield Finding("config", WARN, hint)
    for slug, project in loaded.projects.items():
        try:
            begun = git.start(Path(project.path))
        except OrchError as error:
            yield Finding(slug, FAIL, error.message, error.hint)
        else:
            yield Finding(slug, OK, f"{project.path}, work starts from {begun.branch}")


def agent_programs(app: App) -> Iterator[Finding]:
    """Each agent's program; those that nobody asked for, and that are not there, together."""
    try:
        config = agents.configured(app)
    except ConfigError:
        return  # `configuration` tells it
    absent, able = [], False
    for name, agent in config.agents.items():
        program, path = agents.find(agent)
        if path:
            told = agents.version(path) if agents.tells_version(path) else ""
            able = able or agent.protocol != "shell"
            yield Finding(f"agent {name}", OK, f"{path} {told}".strip())
        elif BUILT_IN["agents"].get(name, {}).get("command") == list(agent.command):
            absent.append(name)
        else:
            hint = f"install {program}, or correct agents.{name}.command"
            yield Finding(f"agent {name}", WARN, f"{program} is not installed", hint)
    if absent:
        verdict, hint = (OK, "") if able else (WARN, whom.INSTALL)
        yield Finding("other agents", verdict, f"not installed: {', '.join(absent)}", hint)


CHECKS: dict[str, Callable[[App], Iterator[Finding]]] = {
    "programs": programs,
    "home": home,
    "sockets": sockets,
    "services": services,
    "tmux server": tmux_server,
    "database": database,
    "config": configuration,
    "agents": agent_programs,
    "gh": checks_machine.github,
    "service unit": checks_machine.service_unit,
}


def examine(app: App) -> Iterator[Finding]:
    """Every finding; a check that cannot be made is a failed one, and hides no other."""
    for name, check in CHECKS.items():
        try:
            yield from check(app)
        except (OrchError, OSError) as error:
            hint = error.hint if isinstance(error, OrchError) else ""
            yield Finding(name, FAIL, str(error), hint)


def _tmux_version(path: str) -> str:
    """tmux knows `-V` only."""
    from orch.tools.process import run  # noqa: PLC0415

    return (
        run([path, "-V"], check=False).out.decode("utf-8", "replace").removeprefix("tmux").strip()
    )
