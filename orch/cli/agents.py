"""`orch agents`: the agent programs of the configuration, and how they have done."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.config.load import load
from orch.config.schema import AgentConfig, Config
from orch.core.cooldowns import Rests
from orch.errors import NotFound, NotRunning, OrchError
from orch.messages import ClearCooldowns, GetOverview, Overview, ReportAgent
from orch.model import Rest
from orch.tools.process import run

VERSION_SECONDS = 5.0
TELLS_VERSION = re.compile(r"(claude|codex|opencode|kimi|node|(ba|z)?sh|python[\d.]*|ruby|perl)$")
"""Programs known to answer `--version` and do nothing else; others are asked with --check only."""

SHELLS = ("bash", "sh")
"""What the built-in `shell` agent runs its steps with: the first that is there."""

AT_ONCE = 2
"""Agents that are booted at the same time."""


@click.group(invoke_without_command=True)
@click.option("--check", is_flag=True, help="Boot each installed one, and ask it for an answer.")
@click.option("--agent", "names", multiple=True, help="Only this one; may be given several times.",
              shell_complete=complete.agents)  # fmt: skip
@click.option("--timeout", "seconds", type=click.FloatRange(1, 600), default=60.0,
              show_default=True, help="Seconds that booting one may take.")  # fmt: skip
@click.pass_context
def agents(ctx: click.Context, check: bool, names: tuple[str, ...], seconds: float) -> None:
    """List the agents: protocol, program, version, success over the last 7 days.

    With --check, each one that is installed is started once in a scratch repository, with the login
    it has, and asked for one short answer (which may cost a little). One that answers is used again
    if it rested; one that does not is left as it is, and the exit code is 1.

    \b
    Example:
      orch agents
      orch agents --check --agent claude
      orch agents cooldowns
    """
    if ctx.invoked_subcommand is not None:
        return
    app = ctx.ensure_object(App)
    config = configured(app)
    wanted = _wanted(config, names)
    overview = _overview(app)
    rows = [document(name, config.agents[name], config, overview, check) for name in wanted]
    if check:
        for row in _booted(rows, config, seconds):
            row["cleared"] = row["check"]["answers"] is True and _mended(app, row, overview)
            if not app.json:
                show.note(_told(row))
    if app.json:
        show.json(rows)
    else:
        _table(rows, check)
    if any(row["check"] and row["check"]["answers"] is False for row in rows):
        ctx.exit(1)


@agents.command()
@click.option("--clear", is_flag=True, help="Let the agents be used again at once.")
@click.argument("name", default="", shell_complete=complete.agents)
@click.pass_obj
def cooldowns(app: App, clear: bool, name: str) -> None:
    """Show which agents and models rest, until when and why; --clear ends it for one or all.

    An agent without a login, or that cannot be started, rests until `orch agents --check` passes.
    Agents that use one account rest together; NAME is an agent's or an account's.

    \b
    Example:
      orch agents cooldowns --clear claude
    """
    if clear:
        if name:
            _known(configured(app), name)
        app.ask(ClearCooldowns(name))
        show.result(app.json, {"cleared": name or "all"}, f"{name or 'every agent'} may work again")
        return
    found = app.ask(GetOverview())
    kept = [one for one in found.rests if name in {"", one.agent, one.account}]
    if app.json:
        show.json([_rest(one) for one in kept])
    elif kept:
        _rests_table(kept)
    else:
        show.line("no agent rests")


def _rest(one: Rest) -> dict[str, Any]:
    """What rests, as JSON; `until` is null where a check must pass, `account` '' where the agent
    alone cannot be used, whatever its account."""
    return {
        "agent": one.agent,
        "account": one.account,
        "model": one.model,
        "until": None if one.broken else show.rfc3339(one.until),
        "reason": one.reason,
    }


def _rests_table(rests: list[Rest]) -> None:
    """What rests, for people; accounts only where one is not called like its agent."""
    now = time.time()
    shared = any(one.account not in ("", one.agent) for one in rests)
    rows = [
        (
            one.agent or "-",
            *((one.account or "-",) if shared else ()),
            one.model or "(all)",
            *_until_when(one, now),
            show.clean(one.reason),
        )
        for one in rests
    ]
    heads = ("AGENT", *(("ACCOUNT",) if shared else ()), "MODEL", "UNTIL", "STILL", "REASON")
    show.table(heads, rows, grow=len(heads) - 1)


def _until_when(one: Rest, now: float) -> tuple[str, str]:
    """When a cooldown ends, and how long that is; a broken agent waits for a check."""
    if one.broken:
        return "`orch agents --check` passes", "-"
    return show.moment(one.until), show.duration(max(one.until - now, 0))


def configured(app: App) -> Config:
    """The configuration that holds here: the project's where there is one, else the global one."""
    loaded = load(app.home)
    here = loaded.projects.get(app.project) if app.project else None
    return here.config if here else loaded.config


def document(
    name: str, agent: AgentConfig, config: Config, overview: Overview | None, check: bool
) -> dict[str, Any]:
    """One agent as JSON; what the engine alone knows is null without it."""
    program, path = find(agent)
    disabled = name in config.router.disabled_agents
    record = overview.agents.get(name, {}) if overview else {}
    runs = int(record.get("runs", 0))
    rests = [one for one in overview.rests if one.agent == name] if overview else []
    broken = next((one for one in rests if one.broken), None)
    own = next((one for one in rests if not one.model and not one.broken), None)
    return {
        "name": name,
        "protocol": agent.protocol,
        "program": program,
        "path": path,
        "version": version(path) if path and (check or tells_version(path)) else "",
        "account": config.account_of(name),
        "models": list(agent.models),
        "enabled": not disabled,
        "runs": runs if overview else None,
        "success_rate": record["done"] / runs if runs else None,
        "seconds": record.get("seconds"),
        "cooling_until": _until(own.until) if own else None,
        "cooling_reason": own.reason if own else "",
        "cooling_models": {one.model: _until(one.until) for one in rests if one.model},
        "problem": broken.reason if broken else "",
        "check": None,
        "cleared": False,
    }


def find(agent: AgentConfig) -> tuple[str, str]:
    """The agent's program as configured, and its path ('' when it is not installed)."""
    names = (agent.command[0],) if agent.command else SHELLS
    for name in names:
        if found := shutil.which(os.path.expanduser(name)):  # noqa: PTH111 - may be no path at all
            return name, found
    return names[0], ""


def tells_version(path: str) -> bool:
    """Whether the program is known to answer `--version` and do nothing else."""
    return TELLS_VERSION.match(Path(path).name) is not None


def version(path: str) -> str:
    """What the program says its version is; '' when it says nothing of the kind."""
    try:
        ran = run([path, "--version"], timeout=VERSION_SECONDS, check=False)
    except OrchError:
        return ""
    told = (ran.out or ran.err).decode("utf-8", "replace")
    found = re.search(r"\d+(\.\d+)+[\w.+-]*", told)
    return found[0] if found and ran.code == 0 else ""


def _state(row: dict[str, Any]) -> str:
    check = row["check"]
    if not row["path"]:
        return "not installed"
    if not row["enabled"]:
        return "disabled"
    if check and check["answers"] is not None:
        return "works" if check["answers"] else str(check["class"])
    shared = f" with its account {row['account']}" if row["account"] != row["name"] else ""
    if row["problem"]:
        return f"out of use until `orch agents --check` passes: {row['problem']}"
    return f"rests{shared} until {row['cooling_until']}" if row["cooling_until"] else "ready"


def _table(rows: list[dict[str, Any]], check: bool) -> None:
    heads = ("AGENT", "PROTOCOL", "PROGRAM", "VERSION", "MODELS", "RUNS", "DONE", "STATE")
    cells = [
        (
            row["name"],
            row["protocol"],
            row["path"] or f"{row['program']} (not found)",
            row["version"] or "-",
            ", ".join(row["models"]) or "its own",
            "-" if row["runs"] is None else str(row["runs"]),
            "-" if row["success_rate"] is None else f"{row['success_rate']:.0%}",
            _state(row),
        )
        for row in rows
    ]
    show.table(heads, cells, grow=2)
    failed = [row for row in rows if check and row["check"] and row["check"]["answers"] is False]
    for row in failed:
        show.line()
        show.pairs([(row["name"], row["check"]["message"]), ("hint", row["check"]["hint"])])


def _told(row: dict[str, Any]) -> str:
    """A line for whoever waits for the others."""
    check = row["check"]
    if check["answers"] is None:
        return f"{row['name']}: not asked ({check['message']})"
    said = f"answers ({check['seconds']:.1f} s)" if check["answers"] else str(check["class"])
    return f"{row['name']}: {said}{'; it may work again' if row['cleared'] else ''}"


def _wanted(config: Config, names: tuple[str, ...]) -> tuple[str, ...]:
    """The agents that are meant; raises `NotFound` on one that there is not."""
    for name in names:
        if name not in config.agents:
            known = ", ".join(sorted(config.agents))
            raise NotFound(f"there is no agent {name!r}", f"there are {known}")
    return names or tuple(config.agents)


def _known(config: Config, name: str) -> None:
    """Raise `NotFound` unless there is an agent, or an account of one, of this name."""
    if name not in {config.account_of(one) for one in config.agents}:
        _wanted(config, (name,))


def _booted(rows: list[dict[str, Any]], config: Config, seconds: float) -> Iterator[dict[str, Any]]:
    """Boot every installed agent, a few at once; each row as soon as it is known."""
    from orch.cli.boot import boot  # noqa: PLC0415 - only here

    def one(row: dict[str, Any]) -> dict[str, Any]:
        spec = config.agents[row["name"]]
        found = boot(row["name"], spec, config, row["program"], seconds)
        fields = found._asdict()
        row["check"] = {"class" if key == "error" else key: fields[key] for key in fields}
        return row

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(one, [row for row in rows if row["path"] and row["enabled"]])


def _mended(app: App, row: dict[str, Any], overview: Overview | None) -> bool:
    """Have an agent that was seen to work used again, and its account; whether it was not."""
    name, account = row["name"], row["account"]
    if overview is None or not Rests(overview.rests).broken(name, account):
        return False
    app.ask(ReportAgent(name, account=account))
    return True


def _until(at: float) -> str:
    return show.rfc3339(at) or ""


def _overview(app: App) -> Overview | None:
    try:
        return app.ask(GetOverview(), timeout=2.0)
    except NotRunning:
        return None
