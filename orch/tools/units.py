"""The door to the machine's service manager: unit files, systemctl, launchctl."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from orch.core import unit
from orch.errors import OrchError, ToolFailed, Unknown
from orch.tools.process import run, said

SECONDS = 100.0
"""How long one step may take: a start is answered when everything is ready."""

BACKUP = ".before"
"""What is put behind the name of an edited unit that is replaced."""


class Unit(NamedTuple):
    """A unit of this machine: its kind, name and file."""

    kind: str
    name: str
    path: Path

    def text(self) -> str | None:
        """The file's text; None when there is none. Raises `Unknown` when it cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise Unknown(f"{self.path} cannot be read: {error}") from error

    def steps(self, verb: str) -> list[unit.Step]:
        """The commands for a verb; see `orch.core.unit.steps`."""
        return unit.steps(self.kind, verb, self.name, str(self.path), os.getuid())


def usual_kind() -> str:
    """The service manager of this machine."""
    return unit.LAUNCHD if sys.platform == "darwin" else unit.SYSTEMD


def of(root: Path, kind: str = "") -> Unit:
    """The unit of the home at `root`, installed or not: of that kind, else the one installed, else
    of the usual kind."""
    usual = root == Path("~/.orch").expanduser()
    name = unit.name(os.fspath(root), usual)
    found = [Unit(one, name, _folder(one) / unit.file_name(one, name)) for one in unit.KINDS]
    wanted = kind or next((one.kind for one in found if one.path.exists()), usual_kind())
    return next(one for one in found if one.kind == wanted)


def wanted(its: Unit, contrib: Path, root: Path, log: Path, argv: Sequence[str]) -> str:
    """What the unit's file should hold, for this machine and environment as they are now: the
    template in `contrib`, filled in for the home at `root` and orchd's `argv`."""
    environment = unit.kept(os.environ, os.fspath(root))
    own = Path(argv[0]).parent
    if (own / "orch").exists() and os.fspath(own) not in environment["PATH"].split(":"):
        environment["PATH"] += f":{own}"  # jobs and agents may call `orch` too
    if (place := _needed_path()) is not None:
        environment["PYTHONPATH"] = place
    facts = unit.Facts(
        name=its.name,
        argv=(_lasting(argv[0]), *argv[1:]),
        home=os.fspath(root),
        log=os.fspath(log),
        environment=environment,
    )
    files = {unit.SYSTEMD: "orchd.service", unit.LAUNCHD: "dev.orch.orchd.plist"}
    template = contrib / its.kind / files[its.kind]
    return unit.render(its.kind, template.read_text(encoding="utf-8"), facts)


def write(its: Unit, text: str, keep: str | None) -> None:
    """Write the unit's file atomically; `keep` is put beside it first. Raises `OrchError`."""
    try:
        its.path.parent.mkdir(parents=True, exist_ok=True)
        if keep is not None:
            its.path.with_name(its.path.name + BACKUP).write_text(keep, encoding="utf-8")
        fd, fresh = tempfile.mkstemp(prefix=".orch-", dir=its.path.parent)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).chmod(0o644)
        Path(fresh).replace(its.path)
    except OSError as error:
        raise OrchError(f"{its.path} cannot be written: {error.strerror}") from error


def remove(its: Unit) -> None:
    """Remove the unit's file, and the link by which systemd starts it at login."""
    link = its.path.parent / "default.target.wants" / its.path.name
    try:
        its.path.unlink(missing_ok=True)
        link.unlink(missing_ok=True)
    except OSError as error:
        raise OrchError(f"{its.path} cannot be removed: {error.strerror}") from error


def deaf(kind: str) -> str:
    """Why the service manager cannot be told anything from here; '' when it can."""
    ask = {
        unit.SYSTEMD: ["systemctl", "--user", "show-environment"],
        unit.LAUNCHD: ["launchctl", "print", f"gui/{os.getuid()}"],
    }[kind]
    if shutil.which(ask[0]) is None:
        return f"there is no {ask[0]} here"
    try:
        ran = run(ask, env=_environment(), timeout=10.0, check=False)
    except (ToolFailed, Unknown) as error:
        return error.message
    return "" if ran.code == 0 else f"{ask[0]} cannot be asked: {said(ran).splitlines()[-1]}"


def carry_out(its: Unit, verb: str) -> None:
    """Run the commands of a verb; raises `ToolFailed` in the words of the one that failed."""
    for step in its.steps(verb):
        ran = run(step, env=_environment(), timeout=SECONDS, check=False)
        if ran.code and not unit.MAY_FAIL & set(step):
            raise ToolFailed(f"`{' '.join(step)}` failed: {said(ran)}")


def state(its: Unit) -> dict[str, str]:
    """What the service manager says of the unit: `active`, `enabled`, `pid`; {} when deaf."""
    if deaf(its.kind):
        return {}
    if its.kind == unit.SYSTEMD:
        show = ["systemctl", "--user", "show", its.path.name]
        show += ["-p", "ActiveState,UnitFileState,MainPID"]
        ran = run(show, env=_environment(), check=False)
        told = dict(line.split("=", 1) for line in ran.out.decode().splitlines() if "=" in line)
        return {
            "active": told.get("ActiveState", ""),
            "enabled": told.get("UnitFileState", ""),
            "pid": told.get("MainPID", "0"),
        }
    ran = run(["launchctl", "print", f"gui/{os.getuid()}/{unit.label(its.name)}"], check=False)
    told = dict(
        line.strip().split(" = ", 1)
        for line in ran.out.decode("utf-8", "replace").splitlines()
        if line.startswith("\t") and not line.startswith("\t\t") and " = " in line
    )
    loaded = "enabled" if ran.code == 0 else "not loaded"
    return {"active": told.get("state", ""), "enabled": loaded, "pid": told.get("pid", "0")}


def lingers() -> bool | None:
    """Whether systemd keeps this user's services when nobody is logged in; None when unknown."""
    with contextlib.suppress(ToolFailed, Unknown):
        ask = ["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"]
        ran = run(ask, timeout=10.0, check=False)
        told = ran.out.decode().strip()
        return told == "yes" if ran.code == 0 and told in ("yes", "no") else None
    return None


def _environment() -> dict[str, str]:
    """Ours, with the way to the user's systemd, which su and cron leave out."""
    runtime = f"/run/user/{os.getuid()}"
    there = {"XDG_RUNTIME_DIR": runtime} if Path(runtime).is_dir() else {}
    return {**there, **os.environ}


def _folder(kind: str) -> Path:
    if kind == unit.LAUNCHD:
        return Path("~/Library/LaunchAgents").expanduser()
    base = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(base) if base.startswith("/") else Path("~/.config").expanduser()) / "systemd/user"


def _lasting(path: str) -> str:
    """The path that stays when Homebrew upgrades, where there is one."""
    found = unit.lasting(path)
    return found if Path(found).exists() else path


def _needed_path() -> str | None:
    """The folder that `orch` is imported from, where only PYTHONPATH leads there."""
    place = os.fspath(Path(__file__).resolve().parents[2])
    given = [os.path.realpath(one) for one in os.environ.get("PYTHONPATH", "").split(":") if one]
    return place if place in given else None
