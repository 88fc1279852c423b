"""`orch doctor` on machines that differ in gh and in the service unit; and `--chaos` for real."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.test_demo import check_gone
from tests.process.test_service_unit import Machine
from tests.support.world import ROOT, World

GH = """#!/bin/sh
case "$*" in
--version) echo "gh version 2.40.1 (2023-12-13)" ;;
"auth status") printf '%s\\n' "{says}" >&2; exit {code} ;;
esac
"""


@pytest.fixture
def machine(world: World) -> Machine:
    return Machine(world)


def finding(machine: Machine, subject: str) -> dict[str, Any]:
    """What doctor finds of a subject."""
    machine.world.env = machine.env
    found = machine.world.orch("doctor", "--json", ok=None).json
    return next(one for one in found if one["subject"] == subject)


@pytest.mark.parametrize(
    "code, says, verdict, told",
    [
        (0, "  - Token scopes: 'gist', 'read:org', 'repo'", "ok", "scopes gist, read:org, repo"),
        (0, "  - Token scopes: gist, workflow", "warn", "its token lacks repo"),
        (0, "  - Logged in to github.com as ada", "ok", "no scopes to show"),
        (1, "You are not logged into any GitHub hosts.", "warn", "not logged in: You are not"),
    ],
)
def test_gh_is_checked_with_the_scopes_of_its_token(machine, code, says, verdict, told):
    script = machine.bin / "gh"
    script.write_text(GH.format(says=says, code=code))
    script.chmod(0o755)
    found = finding(machine, "gh")
    assert (found["verdict"], told in found["detail"]) == (verdict, True), found
    assert "2.40.1" in found["detail"]
    assert bool(found["hint"]) is (verdict == "warn")


def test_the_service_unit_is_checked(machine):
    assert "orch service install" in finding(machine, "service unit")["detail"]
    machine.plays("systemctl", "loginctl")
    path = Path(machine.service("install", "--systemd", "--json").json["path"])
    machine.pid.write_text("999999999")
    found = finding(machine, "service unit")
    assert (found["verdict"], "enabled, active" in found["detail"]) == ("ok", True)
    assert finding(machine, "lingering")["verdict"] == "warn"

    text = path.read_text()
    path.write_text(text.replace("RestartSec=1", "RestartSec=9"))
    assert "edited by hand" in finding(machine, "service unit")["detail"]
    path.write_text("\n".join(one for one in text.splitlines() if "PATH" not in one))
    found = finding(machine, "service unit")
    assert (found["verdict"], "no git or tmux in its PATH" in found["detail"]) == ("fail", True)
    machine.service("uninstall", "--force")

    machine.service("install", "--launchd")
    found = finding(machine, "service unit")
    assert (found["verdict"], "there is no launchctl here" in found["detail"]) == ("warn", True)


def test_agents_that_nobody_asked_for_are_told_together(machine):
    for name in ("bash", "git", "tmux"):
        (machine.bin / name).symlink_to(shutil.which(name) or name)
    machine.env["PATH"] = str(machine.bin)
    machine.world.agent("codex", command=["codex-nightly"])
    found = finding(machine, "other agents")
    missing = "not installed: claude, kimi, minimax, opencode"
    assert (found["verdict"], found["detail"], found["hint"]) == ("ok", missing, "")
    assert finding(machine, "agent codex")["detail"] == "codex-nightly is not installed"

    machine.world.home.config.write_text("projects: []")
    found = finding(machine, "other agents")
    assert (found["verdict"], "npm install -g" in found["hint"]) == ("warn", True)


@pytest.fixture
def env(short_home: Path) -> dict[str, str]:
    """The environment of a person whose own home must stay as it is."""
    own = {"HOME": str(short_home), "ORCH_HOME": str(short_home / "untouched"), "NO_COLOR": "1"}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **own}


def chaos(env: dict[str, str], *options: str) -> subprocess.Popen[str]:
    """Start `orch doctor --chaos`."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "orch", "doctor", "--chaos", *options],
        env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def scratch_of(line: str) -> Path:
    """The scratch folder that chaos tells of."""
    return Path(line.strip().rpartition(", ")[2]).parent


def test_chaos_kills_each_process_and_loses_nothing(env):
    process = chaos(env, "--json")
    out, told = process.communicate(timeout=100)
    assert process.returncode == 0, told + out
    report = json.loads(out)
    kills = {one["victim"]: one for one in report["kills"]}
    assert list(kills) == ["engine", "scheduler", "capture", "orchd", "session process"]
    assert len({one["pid"] for one in kills.values()}) == 5
    assert all(one["ready_seconds"] > 0 for one in kills.values())
    assert all(one["lost"] == [] for one in kills.values())
    assert (report["status"], report["attempts"], report["lost"]) == ("done", ["lost", "done"], [])
    assert report["streamed_bytes"] == report["printed_bytes"] > 0
    for name, kill in kills.items():
        assert f"kill -9 {kill['pid']} ({name})" in told
    check_gone(scratch_of(told.splitlines()[0]))
    assert not Path(env["ORCH_HOME"]).exists()


def test_chaos_that_is_interrupted_leaves_nothing_either(env):
    process = chaos(env)
    assert process.stderr is not None
    scratch = scratch_of(process.stderr.readline())
    assert "(engine)" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    check_gone(scratch)
