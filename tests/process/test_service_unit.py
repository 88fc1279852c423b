"""`orch service install` and its kin, with the machine's service managers played by scripts."""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.world import ROOT, Ran, World

PLAYED = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$*" in *show-environment*|"print gui/"[0-9]*) exit {answers} ;; esac
case "$*" in
*"show orchd"*) echo ActiveState=active; echo UnitFileState=enabled; echo MainPID=$(cat {pid}) ;;
*" start orchd"*|kickstart*) {start} ;;
*" stop orchd"*|*"disable --now"*|bootout*) kill -TERM $(cat {pid}) 2>/dev/null || true ;;
show-user*) echo no ;;
esac
"""


class Machine:
    """A person's home folder, and the programs of a service manager on the PATH."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.bin = world.root / "bin"
        self.bin.mkdir()
        self.log = world.root / "told"
        self.pid = world.root / "orchd.pid"
        self.env = {**world.env, "PATH": f"{self.bin}:{world.env['PATH']}"}
        self.env.pop("XDG_CONFIG_HOME", None)

    def plays(self, *names: str, answers: int = 0) -> None:
        """Put service managers there, which note what they are told; `answers` 1: none is asked."""
        start = f"{sys.executable} -P -m orch.supervisor >/dev/null 2>&1 & echo $! > {self.pid}"
        for name in names:
            script = self.bin / name
            text = PLAYED.format(log=self.log, pid=self.pid, start=start, answers=answers)
            script.write_text(text)
            script.chmod(0o755)

    def without_managers(self) -> None:
        """Let the PATH have what orch needs and no service manager."""
        for name in ("git", "tmux", "sh", "env", "cat"):
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.env["PATH"] = str(self.bin)

    def service(self, *words: str, ok: bool | None = True) -> Ran:
        """Run `orch service ...`."""
        self.world.env = self.env
        return self.world.orch("service", *words, ok=ok)

    def told(self) -> list[str]:
        """What the service managers were told, since the last time; questions apart."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        asks = ("show", "print", "systemd-run")
        return [line for line in lines if not any(word in line for word in asks)]


@pytest.fixture
def machine(world: World) -> Machine:
    return Machine(world)


def test_a_unit_is_installed_started_shown_and_uninstalled(machine: Machine):
    machine.plays("systemctl", "loginctl")
    name = machine.service("install", "--systemd", "--json").json["unit"]
    path = machine.world.root / ".config/systemd/user" / f"{name}.service"
    assert machine.told() == [
        "systemctl --user daemon-reload",
        f"systemctl --user enable {name}.service",
    ]
    text = path.read_text()
    assert f"Environment=PATH={machine.bin}:" in text
    assert f"ORCH_HOME={machine.world.home.root}" in text
    assert sys.executable in text

    again = machine.service("install")
    assert again.out.startswith(f"unchanged: {path}")
    assert "loginctl enable-linger" in again.err
    machine.told()

    started = machine.service("start", "--json").json
    assert machine.told()[-1] == f"systemctl --user start {name}.service"
    assert started["pid"] == int(machine.pid.read_text())
    assert "running already" in machine.service("start").out
    machine.env["LANG"] = "C"
    assert "keeps what it has until" in machine.service("install").err
    shown = machine.service("status", "--json").json
    assert (shown["file"], shown["by_unit"]) == ("current", True)
    assert "started by its unit" in machine.service("status").out
    machine.service("stop")
    assert machine.told()[-1] == f"systemctl --user stop {name}.service"
    gone = machine.service("status", ok=False)
    assert gone.code == 3
    assert "not running" in gone.out

    machine.service("start")
    assert machine.service("uninstall").out == f"removed: {path}\n"
    assert not path.exists()
    assert "daemon-reload" in machine.told()[-1]
    assert machine.service("uninstall").out.startswith("no unit is installed")


def test_a_unit_that_was_edited_is_left_alone_and_what_differs_is_said(machine: Machine):
    machine.plays("systemctl", answers=1)
    path = Path(machine.service("install", "--systemd", "--json").json["path"])
    before = path.read_text()
    path.write_text(before.replace("WatchdogSec=30", "WatchdogSec=90"))
    refused = machine.service("install", ok=False)
    assert "edited by hand" in refused.err
    assert "-WatchdogSec=90" in refused.err
    assert "+WatchdogSec=30" in refused.err
    assert "--force" in refused.err
    assert machine.service("status", "--json", ok=None).json["file"] == "edited"
    assert "edited by hand" in machine.service("uninstall", ok=False).err
    assert "WatchdogSec=90" in path.read_text()

    assert machine.service("install", "--force", "--json").json["written"] == "updated"
    assert path.read_text() == before
    assert "WatchdogSec=90" in path.with_name(f"{path.name}.before").read_text()
    machine.env["LANG"] = "C"
    assert machine.service("install", "--json").json["written"] == "updated", "a new LANG, no edit"
    assert [one.name for one in path.parent.glob(".orch-*")] == []


def test_a_launch_agent_is_installed_and_started(machine: Machine):
    machine.plays("launchctl")
    made = machine.service("install", "--launchd", "--json").json
    path, label = Path(made["path"]), f"dev.orch.{made['unit']}"
    assert path == machine.world.root / "Library/LaunchAgents" / f"{label}.plist"
    read = plistlib.loads(path.read_bytes())
    assert read["Label"] == label
    assert read["EnvironmentVariables"]["PATH"].startswith(f"{machine.bin}:")
    assert read["ProgramArguments"][0] == sys.executable
    assert Path(read["StandardErrorPath"]).parent.is_dir(), "launchd does not make folders"
    machine.service("start")
    domain = f"gui/{os.getuid()}"
    assert machine.told() == [
        f"launchctl bootout {domain}/{label}",
        f"launchctl enable {domain}/{label}",
        f"launchctl bootstrap {domain} {path}",
        f"launchctl kickstart {domain}/{label}",
    ]
    assert machine.service("stop").out.startswith("orch is down")
    machine.service("uninstall")
    assert machine.told() == [f"launchctl bootout {domain}/{label}"]
    assert not path.exists()


@pytest.mark.parametrize(
    "kind, program, next_",
    [
        ("--systemd", "systemctl", "systemctl --user daemon-reload && systemctl --user enable"),
        ("--launchd", "launchctl", "launchctl bootout gui/"),
    ],
)
def test_without_a_service_manager_the_next_command_is_said(machine, kind, program, next_):
    machine.without_managers()
    said = machine.service("install", kind)
    assert said.out.startswith("new: ")
    assert f"not enabled: there is no {program} here" in said.err
    assert f"next: {next_}" in said.out
    refused = machine.service("start", ok=False)
    assert f"there is no {program} here" in refused.err
    assert "`orch up -d`" in refused.err
    removed = machine.service("uninstall")
    assert "only the file is removed" in removed.err
    assert "next: " in removed.out
    assert "no unit is installed" in machine.service("start", ok=False).err


def test_the_units_satisfy_the_tools_of_their_own_systems(machine: Machine):
    """Beside what the parsers above say: the systems' own, where this machine has them."""
    machine.without_managers()
    systemd = machine.service("install", "--systemd", "--json").json["path"]
    machine.service("uninstall")
    launchd = machine.service("install", "--launchd", "--json").json["path"]
    machine.service("install", "--systemd")
    plistlib.loads(Path(launchd).read_bytes())
    formula = ROOT / "contrib/homebrew/orchd.rb"
    assert "requirements/run.lock" in formula.read_text()
    assert (ROOT / "requirements/run.lock").exists()
    tools = {
        "systemd-analyze": ["--user", "--man=no", "verify", systemd],
        "plutil": ["-lint", launchd],
        "ruby": ["-c", str(formula)],
    }
    for name, words in tools.items():
        if program := shutil.which(name):
            env = {**os.environ, "XDG_RUNTIME_DIR": str(machine.world.root)}
            ran = subprocess.run(
                [program, *words], env=env, capture_output=True, text=True, check=False
            )
            said = "\n".join(one for one in ran.stderr.splitlines() if "orchd" in one)
            assert (ran.returncode, said) == (0, ""), ran.stderr
