"""`orch agents`: the agent programs of the configuration, and how they have done."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import click

from orch.cli import complete, show
from orch.cli.app import App
from orch.config.load import load
from orch.config.schema import AgentConfig, Config
from orch.errors import NotRunning, OrchError
from orch.messages import ClearCooldowns, GetOverview, Overview
from orch.tools.process import run

VERSION_SECONDS = 5.0
TELLS_VERSION = re.compile(r"(claude|codex|opencode|kimi|node|(ba|z)?sh|python[\d.]*|ruby|perl)$")
"""Programs known to answer `--version` and do nothing else; others are asked with --check only."""

SHELLS = ("bash", "sh")
"""What the built-in `shell` agent runs its steps with: the first that is there."""


@click.group(invoke_without_command=True)
@click.option("--check", is_flag=True, help="Ask every program for its version, unknown ones too.")
@click.pass_context
def agents(ctx: click.Context, check: bool) -> None:
    """List the agents: protocol, program, version, success over the last 7 days.

    \b
    Example:
      orch agents
      orch agents cooldowns
    """
    if ctx.invoked_subcommand is not None:
        return
    app = ctx.ensure_object(App)
    config = configured(app)
    overview = _overview(app)
    rows = [document(name, config.agents[name], config, overview, check) for name in config.agents]
    if app.json:
        show.json(rows)
        return
    show.table(
        ("AGENT", "PROTOCOL", "PROGRAM", "VERSION", "RUNS", "DONE", "STATE"),
        [
            (
                row["name"],
                row["protocol"],
                row["path"] or f"{row['program']} (not found)",
                row["version"] or "-",
                "-" if row["runs"] is None else str(row["runs"]),
                "-" if row["success_rate"] is None else f"{row['success_rate']:.0%}",
                _state(row),
            )
            for row in rows
        ],
        grow=2,
    )


@agents.command()
@click.option("--clear", is_flag=True, help="Let the agents be used again at once.")
@click.argument("name", default="", shell_complete=complete.agents)
@click.pass_obj
def cooldowns(app: App, clear: bool, name: str) -> None:
    """Show which agents and models rest, until when and why; --clear lets them work.

    \b
    Example:
      orch agents cooldowns --clear claude
    """
    if clear:
        app.ask(ClearCooldowns(name))
        show.result(app.json, {"cleared": name or "all"}, f"{name or 'every agent'} may work again")
        return
    kept = [one for one in app.ask(GetOverview()).resting if name in {"", one[0]}]
    if app.json:
        show.json(
            [
                {"agent": agent, "model": model, "until": show.rfc3339(at), "reason": why}
                for agent, model, at, why in kept
            ]
        )
    elif kept:
        now = time.time()
        show.table(
            ("AGENT", "MODEL", "UNTIL", "STILL", "WHY"),
            [
                (a, model or "all", show.moment(at), show.duration(max(at - now, 0)), show.clean(w))
                for a, model, at, w in kept
            ],
            grow=4,
        )
    else:
        show.line("no agent rests")


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
    until = overview.cooldowns.get(name) if overview else None
    return {
        "name": name,
        "protocol": agent.protocol,
        "program": program,
        "path": path,
        "version": version(path) if path and (check or tells_version(path)) else "",
        "models": list(agent.models),
        "enabled": not disabled,
        "runs": runs if overview else None,
        "success_rate": record["done"] / runs if runs else None,
        "seconds": record.get("seconds"),
        "cooling_until": show.rfc3339(until),
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
    if not row["path"]:
        return "not installed"
    if not row["enabled"]:
        return "disabled"
    return f"rests until {row['cooling_until']}" if row["cooling_until"] else "ready"


def _overview(app: App) -> Overview | None:
    try:
        return app.ask(GetOverview(), timeout=2.0)
    except NotRunning:
        return None
