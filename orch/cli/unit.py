"""`orch service install, uninstall, status`, and start and stop without a name: orch as a service
of this machine, by systemd or launchd."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from orch.cli import daemon, show
from orch.cli.app import App
from orch.core import unit
from orch.errors import OrchError, Refused
from orch.paths import data
from orch.tools import units

SHOWN = 12
"""How many differing lines an error shows."""

systemd = click.option("--systemd", "kind", flag_value=unit.SYSTEMD, help="For systemd.")
launchd = click.option("--launchd", "kind", flag_value=unit.LAUNCHD, help="For launchd.")
force = click.option("--force", is_flag=True, help="Though the unit was edited by hand.")


@click.command()
@systemd
@launchd
@force
@click.pass_obj
def install(app: App, kind: str | None, force: bool) -> None:
    """Have this machine start orch at login, with the PATH of now; safe to repeat.

    Writes a user unit for systemd or a launch agent for launchd, filled in for this home and this
    interpreter, and enables it. A unit that was edited by hand is left alone without --force.

    \b
    Example:
      orch service install && orch service start
    """
    app.home.make()
    its = units.of(app.home.root, kind or "")
    text = _wanted(app, its)
    there = its.text()
    edited = there is not None and not unit.is_sealed(there)
    if there is not None and edited and not force:
        _refuse_edited(its, there, text)
    written = "unchanged" if there == text else "new" if there is None else "updated"
    if there != text:
        units.write(its, text, there if edited else None)
    deaf = units.deaf(its.kind)
    if not deaf:
        units.carry_out(its, "install")
    next_ = [] if not deaf else [shlex.join(step) for step in its.steps("install")]
    next_.append("orch service start" if not deaf else shlex.join(its.steps("start")[-1]))
    if its.kind == unit.LAUNCHD and deaf:
        next_ = [shlex.join(step) for step in its.steps("start")]
    missing = unit.left_out(os.environ)
    document = {
        "kind": its.kind, "unit": its.name, "path": str(its.path), "written": written,
        "enabled": not deaf, "why_not_enabled": deaf, "next": next_, "left_out": missing,
    }  # fmt: skip
    show.result(app.json, document, f"{written}: {its.path}")
    if app.json:
        return
    if written != "unchanged" and daemon.roster(app.home) is not None:
        show.note("the orch that runs keeps what it has until `orch service stop`, then `start`")
    _tell_what_follows(its, deaf, next_, missing, edited)


def _wanted(app: App, its: units.Unit) -> str:
    log = app.home.raw_log("orchd")
    return units.wanted(its, data("contrib"), app.home.root, log, daemon.command())


def _refuse_edited(its: units.Unit, there: str, text: str) -> None:
    lines = unit.difference(there, text)
    more = f"\n  … {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
    told = "".join(f"\n  {line[:200]}" for line in lines[:SHOWN]) or "\n  its seal is gone"
    raise Refused(
        f"{its.path} was edited by hand (- as it is, + as it would be):{told}{more}",
        f"--force replaces it and keeps it as {its.path.name}{units.BACKUP}; additions of your own"
        f" are better put into {its.path.name}.d/"
        if its.kind == unit.SYSTEMD
        else f"--force replaces it and keeps it as {its.path.name}{units.BACKUP}",
    )


def _tell_what_follows(
    its: units.Unit, deaf: str, next_: list[str], missing: list[str], edited: bool
) -> None:
    if edited:
        show.note(f"the edited one is kept as {its.path}{units.BACKUP}")
    if missing:
        show.note(f"not in the unit, though set here: {', '.join(missing)}")
    if its.kind == unit.SYSTEMD and not deaf and units.lingers() is False:
        show.note("it ends when you log out; `loginctl enable-linger` keeps it")
    if deaf:
        show.note(f"not enabled: {deaf}")
    show.line(f"next: {' && '.join(next_)}")


@click.command()
@systemd
@launchd
@force
@click.pass_obj
def uninstall(app: App, kind: str | None, force: bool) -> None:
    """Stop orch and remove its unit from this machine; agents go on. Safe to repeat.

    \b
    Example:
      orch service uninstall
    """
    its = units.of(app.home.root, kind or "")
    there = its.text()
    if there is not None and not unit.is_sealed(there) and not force:
        raise Refused(f"{its.path} was edited by hand", "--force removes it all the same")
    deaf = units.deaf(its.kind)
    if there is not None:
        if not deaf:
            units.carry_out(its, "uninstall")
        units.remove(its)
        if not deaf:
            units.carry_out(its, "forget")
    told = f"removed: {its.path}" if there is not None else f"no unit is installed ({its.path})"
    document = {"kind": its.kind, "path": str(its.path), "removed": there is not None}
    show.result(app.json, document, told)
    if there is not None and deaf and not app.json:
        show.note(f"only the file is removed: {deaf}")
        forgotten = (*its.steps("uninstall"), *its.steps("forget"))
        show.line(f"next: {' && '.join(map(shlex.join, forgotten))}")


def start(app: App) -> None:
    """Start orch by its unit; says so when it runs already."""
    running = daemon.roster(app.home)
    if running is not None:
        text = f"orch is running already (pid {running.pid})"
        show.result(app.json, {"pid": running.pid, "already_running": True}, text)
        return
    its = _installed(app)
    if deaf := units.deaf(its.kind):
        steps = " && ".join(map(shlex.join, its.steps("start")))
        raise Refused(f"the unit cannot be started from here: {deaf}", f"{steps}, or `orch up -d`")
    units.carry_out(its, "start")
    seen = daemon.wait_for_ready(app.home)
    text = f"orch is up (pid {seen.pid}), started by {its.kind}"
    show.result(app.json, {"pid": seen.pid, "already_running": False}, text)


def stop(app: App) -> None:
    """Stop orch, however it was started; agents go on."""
    running = daemon.roster(app.home)
    its = units.of(app.home.root)
    if its.path.exists() and not units.deaf(its.kind):
        units.carry_out(its, "stop")
    daemon.stop(app.home)
    pid = running.pid if running else 0
    text = f"orch is down (pid {pid} ended)" if pid else "orch is not running"
    show.result(app.json, {"stopped": bool(pid), "pid": pid}, text)


def _installed(app: App) -> units.Unit:
    its = units.of(app.home.root)
    if not its.path.exists():
        raise Refused("no unit is installed", "`orch service install`, or start by `orch up -d`")
    return its


@click.command()
@click.pass_obj
def status(app: App) -> int:
    """Show the unit: installed, as it should be, enabled, running; exit 3 when orch is not.

    \b
    Example:
      orch service status
    """
    document = look(app)
    show.result(app.json, document, "")
    if not app.json:
        pid = document["pid"]
        how = "by its unit" if document["by_unit"] else "not by a unit"
        show.pairs(
            [
                ("unit", f"{document['path']} ({document['file']})"),
                ("differs in", "\n".join(document["differs"][:SHOWN])),
                (str(document["kind"]), document["deaf"] or _told(document["manager"])),
                ("orchd", f"pid {pid}, started {how}" if pid else "not running"),
            ]
        )
    return 0 if document["pid"] else 3


def look(app: App) -> dict[str, Any]:
    """The unit's file (`missing`, `current`, `outdated`, `edited`), what the service manager says
    of it, and whether the orchd that runs is the unit's."""
    its = units.of(app.home.root)
    there = its.text()
    differs: list[str] = []
    try:
        differs = unit.difference(there or "", _wanted(app, its))
    except OrchError as error:
        differs = [error.message]
    file = "missing" if there is None else "current" if not differs else "outdated"
    file = "edited" if there is not None and not unit.is_sealed(there) else file
    running = daemon.roster(app.home)
    manager = units.state(its) if there is not None else {}
    pid = running.pid if running else 0
    return {
        "kind": its.kind, "unit": its.name, "path": str(its.path), "file": file,
        "differs": differs if there is not None else [], "deaf": units.deaf(its.kind),
        "manager": manager, "pid": pid, "by_unit": bool(pid) and manager.get("pid") == str(pid),
    }  # fmt: skip


def _told(manager: dict[str, str]) -> str:
    return ", ".join(filter(None, (manager.get("enabled"), manager.get("active"))))
