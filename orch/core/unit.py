"""A service unit as text: filled in for a machine, sealed, and told from one that was edited."""

from __future__ import annotations

import difflib
import hashlib
import html
import re
from collections.abc import Mapping
from typing import NamedTuple

from orch.errors import Refused

SYSTEMD, LAUNCHD = "systemd", "launchd"
KINDS = (SYSTEMD, LAUNCHD)

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""What a unit takes over of the environment in which it is installed."""

_SEAL = re.compile(r"(?:# |<!-- )orch: sealed ([0-9a-f]{16})(?: -->)?\n")
_CELLAR = re.compile(r"^(.*)/Cellar/([^/]+)/[^/]+/(.*)$")


class Facts(NamedTuple):
    """What a unit is filled in with: its name, orchd's argv, home, log, environment."""

    name: str
    argv: tuple[str, ...]
    home: str
    log: str
    environment: Mapping[str, str]


def name(home: str, usual: bool) -> str:
    """What the unit of a home is called: `orchd`, or with a mark for a home that is not the usual
    one, so that several homes may each have theirs."""
    return "orchd" if usual else f"orchd-{hashlib.sha256(home.encode()).hexdigest()[:8]}"


def file_name(kind: str, unit: str) -> str:
    """The file of a unit; for launchd its label stands in it."""
    return f"{unit}.service" if kind == SYSTEMD else f"{label(unit)}.plist"


def label(unit: str) -> str:
    """What launchd calls a unit."""
    return f"dev.orch.{unit}"


def kept(environment: Mapping[str, str], home: str) -> dict[str, str]:
    """The variables of a unit: the PATH of now without doubles and relative folders, the locale,
    and the home."""
    found = {one: environment[one] for one in KEPT_VARIABLES if environment.get(one)}
    folders = [part for part in found.get("PATH", "").split(":") if part.startswith("/")]
    return found | {"PATH": ":".join(dict.fromkeys(folders)), "ORCH_HOME": home}


def lasting(path: str) -> str:
    """A program's path that outlives an upgrade by Homebrew: the link it keeps to the newest."""
    found = _CELLAR.match(path)
    return f"{found[1]}/opt/{found[2]}/{found[3]}" if found else path


def render(kind: str, template: str, facts: Facts) -> str:
    """The unit's text, sealed. Raises `Refused` where a path or value cannot be written in one."""
    values = (facts.home, facts.log, *facts.argv, *facts.environment.values())
    for value in values:
        if not value.isprintable():
            raise Refused(f"{value!r} cannot stand in a unit", "use a home and PATH without it")
    filled = _systemd(facts) if kind == SYSTEMD else _launchd(facts)
    text = re.sub(r"@([A-Z_]+)@", lambda found: filled[found[1]], template)
    return seal(kind, text)


def seal(kind: str, text: str) -> str:
    """The text with its checksum in a comment before its last line, or at its end."""
    mark = f"orch: sealed {_checksum(text)}"
    if kind == SYSTEMD:
        return f"{text}# {mark}\n"
    return f"{text}<!-- {mark} -->\n"


def is_sealed(text: str) -> bool:
    """Whether the text is as orch wrote it."""
    seals = list(_SEAL.finditer(text))
    return len(seals) == 1 and seals[0][1] == _checksum(_SEAL.sub("", text))


def difference(there: str, wanted: str) -> list[str]:
    """What tells two units apart, as lines that begin with `-` (there) or `+` (wanted)."""
    lines = difflib.unified_diff(
        _SEAL.sub("", there).splitlines(), _SEAL.sub("", wanted).splitlines(), n=0, lineterm=""
    )
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# ---- systemd (systemd.syntax(7), systemd.exec(5), systemd.service(5)) -------------------------


def _systemd(facts: Facts) -> dict[str, str]:
    environment = [f"{one}={value}" for one, value in sorted(facts.environment.items())]
    return {
        "COMMAND": " ".join(_quoted(word).replace("$", "$$") for word in facts.argv),
        "HOME": _percent(facts.home),
        "WORKING_DIRECTORY": _percent(facts.home),
        "ENVIRONMENT": "\n".join(f"Environment={_quoted(one)}" for one in environment),
    }


def _quoted(text: str) -> str:
    escaped = _percent(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"' if re.search(r"[^\w@%+=:,./-]", text) or not text else escaped


def _percent(text: str) -> str:
    return text.replace("%", "%%")


# ---- launchd (launchd.plist(5)) ---------------------------------------------------------------


def _launchd(facts: Facts) -> dict[str, str]:
    return {
        "LABEL": html.escape(label(facts.name)),
        "ARGUMENTS": "\n".join(f"    <string>{html.escape(word)}</string>" for word in facts.argv),
        "ENVIRONMENT": "\n".join(
            f"    <key>{one}</key>\n    <string>{html.escape(value)}</string>"
            for one, value in sorted(facts.environment.items())
        ),
        "WORKING_DIRECTORY": html.escape(facts.home),
        "LOG": html.escape(facts.log),
    }


# ---- what the service managers are told -------------------------------------------------------

Step = tuple[str, ...]
"""One command, as an argv."""

_AT_HOME = re.compile(
    r"\w+_(API_KEY|AUTH_TOKEN)|CLAUDE_CONFIG_DIR|CODEX_HOME|(HTTPS?|NO|ALL)_PROXY", re.IGNORECASE
)


def steps(kind: str, verb: str, unit: str, path: str, uid: int) -> list[Step]:
    """The commands that follow on writing (`install`), `start`, `stop`, or precede and follow on
    removing (`uninstall`, `forget`) a unit's file."""
    if kind == SYSTEMD:
        ask = ("systemctl", "--user")
        service = file_name(SYSTEMD, unit)
        systemd: dict[str, list[Step]] = {
            "install": [(*ask, "daemon-reload"), (*ask, "enable", service)],
            "start": [(*ask, "reset-failed", service), (*ask, "start", service)],
            "stop": [(*ask, "stop", service)],
            "uninstall": [(*ask, "disable", "--now", service)],
            "forget": [(*ask, "daemon-reload")],
        }
        return systemd[verb]
    domain, job = f"gui/{uid}", f"gui/{uid}/{label(unit)}"
    launchd: dict[str, list[Step]] = {
        "install": [],
        "start": [
            ("launchctl", "bootout", job),  # what is loaded may be an older version of the file
            ("launchctl", "enable", job),
            ("launchctl", "bootstrap", domain, path),
            ("launchctl", "kickstart", job),
        ],
        "stop": [],
        "uninstall": [("launchctl", "bootout", job)],
        "forget": [],
    }
    return launchd[verb]


MAY_FAIL = frozenset({"reset-failed", "bootstrap", "bootout"})
"""Steps that fail where there is nothing to do: never failed, loaded already, not loaded."""


def left_out(environment: Mapping[str, str]) -> list[str]:
    """Variables that agents may need and that a unit does not take over: keys and proxies."""
    return sorted(one for one in environment if _AT_HOME.fullmatch(one))
