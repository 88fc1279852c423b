"""A user manager of systemd for one test: the real one, with mounts and cgroups of its own.

It needs root (for the cgroup) and Linux; systemd need not be what the machine was booted with.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
READY_SECONDS = 20.0
PROGRAM = "/lib/systemd/systemd"

# systemd and its clients ask whether /run/systemd/system is there; it is, for them alone
SCRIPT = """
set -e
mount -t tmpfs orch-test /run/systemd
mkdir -p /run/systemd/system
for group in $GROUPS_MADE; do echo $$ >"$group/cgroup.procs"; done
exec env -i PATH="$PATH" HOME="$HOME" XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" LANG=C.UTF-8 \
    "$0" --user --log-level=notice --log-target=console
"""


def missing() -> str:
    """Why there can be no user manager here; '' when there can."""
    if os.geteuid() != 0:
        return "only root may make the cgroup of a user manager"
    wanted = (PROGRAM, "unshare", "nsenter", "systemctl", "dbus-daemon")
    gone = [name for name in wanted if shutil.which(name) is None]
    return f"{', '.join(gone)} is not installed: apt-get install systemd dbus" if gone else ""


class UserSystemd:
    """The manager of the home `home`; its log is `folder/systemd.log`. Use it as a context."""

    def __init__(self, folder: Path, home: Path) -> None:
        self._log = folder / "systemd.log"
        self._home = home
        self.runtime = folder / "xdg"
        self.runtime.mkdir(mode=0o700)
        self._groups = [base / f"orch-test-{folder.name}" for base in _bases()]

    def __enter__(self) -> UserSystemd:
        for group in self._groups:
            group.mkdir()
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self._home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "GROUPS_MADE": " ".join(map(str, self._groups)),
        }  # fmt: skip
        argv = ["unshare", "-m", "--propagation", "private", "sh", "-c", SCRIPT, PROGRAM]
        with self._log.open("wb") as log:
            self._manager = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + READY_SECONDS
        while self.systemctl("is-system-running").stdout.strip() not in ("running", "degraded"):
            assert self._manager.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.systemctl("exit")
        try:
            self._manager.wait(30)
        except subprocess.TimeoutExpired:
            self._manager.kill()
            self._manager.wait()
        for group in self._groups:
            _remove(group)

    def inside(self, cwd: Path) -> tuple[str, ...]:
        """What stands before a command so that it runs where the manager is, in folder `cwd`."""
        return ("nsenter", "-t", str(self._manager.pid), "-m", f"--wd={cwd}", "--")

    def systemctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `systemctl --user WORDS`."""
        argv = [*self.inside(self._home), "systemctl", "--user", "--no-pager", *words]
        env = {"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.runtime)}
        return subprocess.run(argv, env=env, check=False, capture_output=True, text=True)

    def shows(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.systemctl("show", unit, "-p", name, "--value").stdout.strip()


def cgroup_of(pid: int) -> str:
    """The cgroup of a process, as systemd sees it."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    named = [line for line in lines if ":name=systemd:" in line or line.startswith("0::")]
    return named[0].rpartition(":")[2]


def _bases() -> list[Path]:
    """Where systemd's groups are: in one tree, or in its own beside others."""
    several = [CGROUPS / name for name in ("systemd", "unified")]
    return [base for base in several if base.is_dir()] or [CGROUPS]


def _remove(group: Path) -> None:
    """Remove a cgroup and those in it, once their last processes are gone."""
    deadline = time.monotonic() + READY_SECONDS
    while group.is_dir() and time.monotonic() < deadline:
        for path, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(path).rmdir()
        time.sleep(0.05)
