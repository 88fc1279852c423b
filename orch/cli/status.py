"""`orch status`: what runs, how full it is, what is wrong; with what can be had."""

from __future__ import annotations

import time
from typing import Any

import click

from orch import control
from orch.cli import documents, show
from orch.cli.app import App
from orch.core.cooldowns import named
from orch.errors import OrchError
from orch.messages import GetOverview, GetRoster, Overview, Roster
from orch.model import Rest, Served, Status

ENGINE_SECONDS = 2.0
"""How long to wait for the engine's part before the rest is shown without it."""


@click.command()
@click.pass_obj
def status(app: App) -> None:
    """Show services, slots, tasks, sessions and problems; exit 3 when orchd is not running.

    \b
    Example:
      orch status
      orch status --json | jq '.services[] | select(.state != "ready")'
    """
    roster = control.ask(app.home, GetRoster(), 5.0)
    overview: Overview | None = None
    problems = list(roster.problems)
    try:
        overview = app.ask(GetOverview(), ENGINE_SECONDS)
        problems += [problem for problem in overview.problems if problem not in problems]
    except OrchError as error:
        problems.append(f"slots, tasks and sessions are unknown: {error.message}")
    if app.json:
        show.json(document(roster, overview, problems))
    else:
        _print(roster, overview, problems)


def document(roster: Roster, overview: Overview | None, problems: list[str]) -> dict[str, Any]:
    """The JSON of the contract; what the engine did not tell is null."""
    known = overview is not None
    return {
        "orchd": {
            "pid": roster.pid,
            "version": roster.version,
            "home": roster.home,
            "uptime_seconds": roster.uptime_seconds,
        },
        "services": [_service(one) for one in roster.services],
        "slots": {
            "used": overview.slots_used if overview else None,
            "max": overview.slots_max if overview else None,
        },
        "tasks": {s: overview.counts.get(s, 0) for s in Status} if overview else None,
        "sessions": [documents.session(one) for one in overview.sessions] if overview else None,
        "problems": problems,
        "notices": [documents.event(one) for one in (overview.notices if overview else ())],
        "cooldowns": {
            one.agent or one.account: show.rfc3339(one.until)
            for one in (_cooling(overview) if overview else ())
        },
        "engine_answers": known,
    }


def _service(one: Served) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": one.state,
        "pid": one.pid,
        "uptime_seconds": one.uptime_seconds,
        "restarts": one.restarts,
        "pss_bytes": one.pss_bytes,
        "last_error": one.last_error,
    }


def _print(roster: Roster, overview: Overview | None, problems: list[str]) -> None:
    up = show.duration(roster.uptime_seconds)
    show.line(f"orchd {roster.version}, pid {roster.pid}, up {up}, home {roster.home}")
    show.line()
    show.table(
        ["SERVICE", "STATE", "PID", "UP", "RESTARTS", "MEMORY", "LAST ERROR"],
        [_row(one) for one in roster.services],
        states=1,
    )
    if overview is not None:
        _print_overview(overview)
    if problems:
        show.line()
        for problem in problems:
            show.line(f"{show.paint('problem:', 'red')} {show.clean(problem)}")
    if overview is not None and overview.notices:
        show.line()
        for one in overview.notices:
            colour = "red" if one.data.get("level") == "error" else "yellow"
            ago = show.ago(one.at, time.time())
            text = show.clean(str(one.data.get("text", "")))
            show.line(f"{show.paint('notice:', colour)} {ago} ago: {text}")


def _row(one: Served) -> list[str]:
    return [
        one.name,
        one.state,
        str(one.pid or "-"),
        show.duration(one.uptime_seconds) if one.pid else "-",
        str(one.restarts),
        show.size(one.pss_bytes) if one.pss_bytes else "-",
        one.last_error,
    ]


def _print_overview(overview: Overview) -> None:
    now = time.time()
    counts = [(s, overview.counts.get(s, 0)) for s in Status]
    tasks = ", ".join(f"{count} {show.state(s)}" for s, count in counts if count)
    show.line()
    show.line(f"slots  {overview.slots_used} of {overview.slots_max} used")
    show.line(f"tasks  {tasks or 'none'}")
    for one in _cooling(overview):
        left = show.duration(max(one.until - now, 0.0))
        show.line(f"{show.clean(named(one.agent, one.account))} cools down for {left}")
    if overview.sessions:
        show.line()
        sessions_table(overview.sessions, now)


def _cooling(overview: Overview) -> list[Rest]:
    """Who rests with all of their models, and comes back by themselves."""
    return [one for one in overview.rests if not one.model and not one.broken]


def sessions_table(sessions: tuple[Any, ...], now: float) -> None:
    """Print sessions for people, with what agents ask and who works there."""
    show.table(
        ["SESSION", "TASK", "ATTEMPT", "AGENT", "RUNS FOR", "OUTPUT"],
        [
            (
                s.session,
                s.task,
                str(s.attempt),
                s.agent,
                show.ago(s.started_at, now),
                show.size(s.size),
            )
            for s in sessions
        ],
    )
    for s in sessions:
        if s.asks:
            hint = f"`orch task approve {s.task}`, or `orch task deny {s.task} REASON`"
            asks = show.paint("asks:", "yellow")
            show.line(f"{show.clean(s.task)} {asks} {show.clean(s.asks)} ({show.clean(hint)})")
        if s.taken_by:
            who = f"{s.taken_by} works in it (`orch task release {s.task}`)"
            show.line(show.clean(f"{s.task} is taken: {who}"))
