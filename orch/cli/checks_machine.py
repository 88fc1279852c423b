"""What `orch doctor` looks at beside orch itself: the gh command and the service unit."""

from __future__ import annotations

import plistlib
import re
import shutil
from collections.abc import Iterator

from orch.cli import agents, unit
from orch.cli.app import App
from orch.cli.finding import FAIL, OK, WARN, Finding
from orch.core.unit import LAUNCHD, SYSTEMD
from orch.errors import OrchError
from orch.tools import units
from orch.tools.process import INSTALL, run, said

NEEDED_SCOPES = ("repo",)
ON_PATH = ("git", "tmux")
GH_SECONDS = 15.0


def github(_app: App) -> Iterator[Finding]:
    """gh, whether it is logged in, and what its token may do (gh asks GitHub)."""
    path = shutil.which("gh")
    if not path:
        yield Finding("gh", OK, "not installed; only tasks from GitHub need it", INSTALL["gh"])
        return
    told = f"{agents.version(path)} ({path})"
    try:
        ran = run([path, "auth", "status"], timeout=GH_SECONDS, check=False)
    except OrchError as error:
        yield Finding("gh", WARN, f"{told}: {error.message}", "try `gh auth status`")
        return
    text = (ran.out + ran.err).decode("utf-8", "replace")
    if ran.code:
        last = said(ran).splitlines()[0]
        yield Finding("gh", WARN, f"{told}, not logged in: {last}", "`gh auth login`")
        return
    scopes = re.search(r"Token scopes: *(.*)", text)
    if scopes is None:
        yield Finding("gh", OK, f"{told}, logged in; its token has no scopes to show")
        return
    have = re.findall(r"[\w:]+", scopes[1])
    missing = [one for one in NEEDED_SCOPES if one not in have]
    if missing:
        hint = f"`gh auth refresh --scopes {','.join(missing)}`"
        yield Finding("gh", WARN, f"{told}, its token lacks {', '.join(missing)}", hint)
    else:
        yield Finding("gh", OK, f"{told}, scopes {', '.join(have)}")


def service_unit(app: App) -> Iterator[Finding]:
    """The unit that starts orch at login: up to date, enabled, its PATH good enough."""
    seen = unit.look(app)
    where = f"{seen['kind']}, {seen['path']}"
    if seen["file"] == "missing":
        yield Finding("service unit", OK, "none (`orch service install` starts orch at login)")
        return
    its = units.of(app.home.root)
    text = its.text() or ""
    if lost := [one for one in ON_PATH if shutil.which(one, path=_path(its.kind, text)) is None]:
        hint = "`orch service install` in a shell that has them"
        yield Finding("service unit", FAIL, f"{where}: no {' or '.join(lost)} in its PATH", hint)
        return
    differs = [line for line in seen["differs"] if not re.search(r"PATH=|:/|LANG|LC_|TZ", line)]
    if seen["file"] == "edited":
        yield Finding("service unit", OK, f"{where}, edited by hand")
    elif differs:
        hint = "`orch service status` tells more, `orch service install` writes it anew"
        yield Finding("service unit", WARN, f"{where}: {len(differs)} lines are out of date", hint)
    elif seen["deaf"]:
        yield Finding("service unit", WARN, f"{where}: {seen['deaf']}", "it starts nothing here")
    elif seen["manager"].get("enabled") != "enabled":
        state = seen["manager"].get("enabled") or "not known"
        yield Finding("service unit", WARN, f"{where}: {state}", "`orch service install`")
    else:
        yield Finding("service unit", OK, f"{where}, enabled, {seen['manager']['active']}")
    if its.kind == SYSTEMD and not seen["deaf"] and units.lingers() is False:
        hint = "`loginctl enable-linger` keeps it"
        yield Finding("lingering", WARN, "orch ends when you log out", hint)


def _path(kind: str, text: str) -> str:
    """The PATH that a unit sets; '' when it sets none that can be read."""
    if kind == LAUNCHD:
        try:
            return str(plistlib.loads(text.encode())["EnvironmentVariables"]["PATH"])
        except (plistlib.InvalidFileException, ValueError, KeyError, TypeError):
            return ""
    found = re.search(r'^Environment="?PATH=([^"\n]*)', text, re.MULTILINE)
    return found[1].replace("%%", "%") if found else ""
