"""`.ci/setup` on machines that lack something: what is missing is installed, or said exactly."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.world import ROOT

TOOLS = ("sh", "dirname", "env", "touch", "mkdir", "chmod", "cat", "ln", "id")

PYTHON = """\
#!/bin/sh
# {version}: knows what .ci/setup asks of it, and notes what it is told to do.
echo "{version} $*" >> {log}
case "$*" in
    --version) echo "Python {version}" ;;
    *"-m venv"*) mkdir -p "$VENV/bin"; ln -s "$0" "$VENV/bin/python" ;;
    *version_info*) exit {old} ;;
esac
"""


class Machine:
    """A folder of programs that is the whole PATH, and what ran."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "log"
        self.venv = folder / "venv"
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)

    def program(self, name: str, text: str = "#!/bin/sh\n") -> None:
        """Put a program on the PATH."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def python(self, name: str, version: str) -> None:
        """Put a python of a version on the PATH."""
        old = int(tuple(map(int, version.split("."))) < (3, 11))
        self.program(name, PYTHON.format(version=version, log=self.log, old=old))

    def setup(self) -> subprocess.CompletedProcess[str]:
        """Run `.ci/setup` there."""
        env = {"PATH": str(self.bin), "VENV": str(self.venv), "HOME": str(self.bin.parent)}
        return subprocess.run(
            [str(ROOT / ".ci" / "setup")],
            check=False,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def ran(self) -> str:
        """What the programs noted."""
        return self.log.read_text() if self.log.exists() else ""


@pytest.fixture
def machine(short_home: Path) -> Machine:
    """A machine with git, tmux and a good python; a test takes away what it likes."""
    made = Machine(short_home)
    made.program("git")
    made.program("tmux")
    made.python("python3", "3.12")
    return made


def test_a_venv_is_made_and_the_locked_dependencies_installed(machine):
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert f"3.12 -m venv --clear {machine.venv}" in machine.ran()
    assert "--require-hashes -r requirements/dev.lock" in machine.ran()
    assert "--no-deps --no-build-isolation -e ." in machine.ran()
    assert (machine.venv / ".ready").exists()


def test_a_default_python_that_is_too_old_is_passed_over(machine):
    machine.python("python3", "3.9")
    machine.python("python3.11", "3.11")
    assert machine.setup().returncode == 0
    assert "3.11 -m venv" in machine.ran()
    assert "3.9 -m venv" not in machine.ran()


def test_a_venv_that_is_there_is_kept(machine):
    machine.setup()
    machine.log.unlink()
    assert machine.setup().returncode == 0
    assert "-m venv" not in machine.ran()


@pytest.mark.parametrize(
    "manager, hint",
    [
        ("", "install tmux with your system's package manager, then"),
        ("dnf", "sudo dnf install tmux, then"),
        ("pacman", "sudo pacman -S tmux, then"),
        ("apk", "sudo apk add tmux, then"),
    ],
)
def test_what_cannot_be_installed_is_said_exactly(machine, manager, hint):
    (machine.bin / "tmux").unlink()
    if manager:
        machine.program(manager)
    failed = machine.setup()
    assert failed.returncode == 1
    assert "error: tmux is missing" in failed.stderr
    assert f"hint: {hint}" in failed.stderr


@pytest.mark.parametrize("manager", ["apt-get", "brew"])
def test_a_missing_system_package_is_installed_where_that_is_allowed(machine, manager):
    (machine.bin / "tmux").unlink()
    machine.program("sudo", '#!/bin/sh\n[ "$1" = -n ] && shift\n"$@"\n')
    machine.program(
        manager,
        f'#!/bin/sh\necho "{manager} $*" >> {machine.log}\n'
        f"cat > {machine.bin}/tmux < /dev/null; chmod +x {machine.bin}/tmux\n",
    )
    done = machine.setup()
    assert done.returncode == 0, done.stderr
    assert f"{manager} install" in machine.ran()
    assert os.access(machine.bin / "tmux", os.X_OK)


def test_a_machine_without_any_python_says_what_is_needed(machine):
    (machine.bin / "python3").unlink()
    failed = machine.setup()
    assert failed.returncode == 1
    assert "error: python3 is missing" in failed.stderr
