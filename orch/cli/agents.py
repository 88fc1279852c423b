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
from orch.errors import NotFound, NotRunning, OrchError
from orch.messages import ClearCooldowns, GetOverview, Overview, ReportAgent
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
            row["cleared"] = row["check"]["answers"] is True and _mended(app, row["name"], overview)
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

    \b
    Example:
      orch agents cooldowns --clear claude
    """
    if clear:
        if name:
            _wanted(configured(app), (name,))
        app.ask(ClearCooldowns(name))
        show.result(app.json, {"cleared": name or "all"}, f"{name or 'every agent'} may work again")
        return
    found = app.ask(GetOverview())
    rests = [(*one[:2], one[2] or None, one[3]) for one in found.resting]
    rests += [(agent, "", None, why) for agent, why in found.broken.items()]
    kept = [one for one in rests if name in {"", one[0]}]
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
            ("AGENT", "MODEL", "UNTIL", "STILL", "REASON"),
            [
                (a, model or "(all)", *_until_when(at, now), show.clean(why))
                for a, model, at, why in kept
            ],
            grow=4,
        )
    else:
        show.line("no agent rests")


def _until_when(at: float | None, now: float) -> tuple[str, str]:
    """When a cooldown ends, and how long that is; a broken agent waits for a check."""
    if at is None:
        return "`orch agents --check` passes", "-"
    return show.moment(at), show.duration(max(at - now, 0))


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
    resting = [rest for rest in overview.resting if rest[0] == name] if overview else []
    own = next((rest for rest in resting if not rest[1]), None)
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
        "cooling_until": _until(own[2]) if own else None,
        "cooling_reason": own[3] if own else "",
        "cooling_models": {rest[1]: _until(rest[2]) for rest in resting if rest[1]},
        "problem": overview.broken.get(name, "") if overview else "",
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
    if row["problem"]:
        return f"out of use until `orch agents --check` passes: {row['problem']}"
    return f"rests until {row['cooling_until']}" if row["cooling_until"] else "ready"


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


def _mended(app: App, name: str, overview: Overview | None) -> bool:
    """End the rest of an agent that was seen to work; whether there was one to end."""
    if overview is None or name not in overview.broken:
        return False
    app.ask(ReportAgent(name))
    return True


def _until(at: float) -> str:
    return show.rfc3339(at) or ""


def _overview(app: App) -> Overview | None:
    try:
        return app.ask(GetOverview(), timeout=2.0)
    except NotRunning:
        return None
