"""A real orchd over toy services in a scratch home, for tests of supervision."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psutil

from orch import control
from orch.messages import GetRoster, R, Request, Roster, Shutdown
from orch.model import Served
from orch.paths import Home, scratch

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
TOYS = "tests.support.scratch_services"
PATIENCE = 30.0
"""Seconds to wait for what must come; only a failing test waits so long."""


def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true value of `look` within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {found!r}")
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class ScratchOrchd:
    """An orchd that is not started yet, and its roster of toys."""

    def __init__(self, root: Path, mode: str) -> None:
        self.home = Home(root / "h")
        self.root = root
        self.mode = mode
        self.roster = root / "roster.json"
        self.limits: dict[str, float] = {}
        self.toys: dict[str, dict[str, Any]] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.others: list[subprocess.Popen[bytes]] = []
        self.output = root / "orchd.out"

    def add(self, name: str, how: str = "", **more: Any) -> ScratchOrchd:
        """Put a toy that behaves so into the roster, or replace it there."""
        self.toys[name] = {"name": name, "module": TOYS, "environment": {"TOY": how}, **more}
        return self

    def three(self) -> ScratchOrchd:
        """Three toys that behave, the first called engine."""
        return self.add("engine", "echo").add("scheduler").add("capture")

    def write_roster(self) -> None:
        """Put the toys and limits where orchd reads its roster, by rename."""
        new = self.roster.with_suffix(".new")
        plan = {"services": list(self.toys.values()), "limits": self.limits, "shared": []}
        new.write_text(json.dumps(plan))
        new.replace(self.roster)

    def launch(self, **more: Any) -> subprocess.Popen[bytes]:
        """Start an orchd process and do not wait for it."""
        environment = {
            **{name: value for name, value in os.environ.items() if "ORCH" not in name},
            "ORCH_ROSTER": str(self.roster),
            "ORCH_TEST_TAG": str(self.root),
            **more.pop("environment", {}),
        }
        arguments = ["-m", "orch.supervisor", "--home", str(self.home.root), "--spawn", self.mode]
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                **more,
            )
        self.others.append(process)
        return process

    def start(self, **more: Any) -> ScratchOrchd:
        """Start orchd and wait until it answers."""
        self.write_roster()
        self.process = process = self.launch(**more)

        def answering() -> bool:
            assert process.poll() is None, f"orchd left: {self.said()}"
            return self.home.control.exists() and self.answers()

        eventually(answering, "orchd answers")
        return self

    def answers(self) -> bool:
        """Whether orchd answers now."""
        try:
            return self.ask(GetRoster()).pid > 0
        except control.Unavailable:
            return False

    def ready(self, *names: str) -> ScratchOrchd:
        """Wait until the services are ready; all of them when none is named."""
        for name in names or tuple(self.toys):
            self.wait(name, state="ready")
        return self

    def ask(self, request: Request[R], timeout: float = PATIENCE) -> R:
        """orchd's reply."""
        return control.ask(self.home, request, timeout)

    def see(self, name: str) -> Served:
        """A service as orchd shows it."""
        return {served.name: served for served in self.roster_now().services}[name]

    def roster_now(self) -> Roster:
        """All services."""
        return self.ask(GetRoster())

    def pids(self) -> dict[str, int]:
        """The pids by name."""
        return {served.name: served.pid for served in self.roster_now().services}

    def wait(self, name: str, *, state: str, other_than: int = -1) -> Served:
        """Wait for a service in that state, with a pid other than the one given."""

        def there() -> Served | None:
            seen = self.see(name)
            return seen if seen.state == state and seen.pid != other_than else None

        try:
            return eventually(there, f"{name} is {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.see(name)}\n{self.said()}") from None

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Signal a service; its pid."""
        pid = self.see(name).pid
        os.kill(pid, number)
        return pid

    def diary(self, name: str) -> list[str]:
        """What a toy has written, without pids."""
        path = self.home.root / f"{name}.diary"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        """The supervision events that the toy `name` was told."""
        told = [line[6:] for line in self.diary(name) if line.startswith("EVENT ")]
        return [one for one in map(json.loads, told) if one["name"] == event]

    def said(self) -> str:
        """All that orchd printed and logged."""
        files = [self.output, *sorted(self.home.logs.glob("*"))]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in files)

    def survivors(self) -> list[str]:
        """Processes that carry this test's tag."""
        tag = f"ORCH_TEST_TAG={self.root}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and tag in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(f"{entry.name} {(entry / 'cmdline').read_text()[:80]}")
            except OSError:
                continue
        return found

    def stop(self) -> None:
        """Shut down by the front door and see it gone."""
        self.ask(Shutdown())
        assert self.process is not None
        assert self.process.wait(PATIENCE) == 0, self.said()

    def close(self) -> None:
        """End what is left, whatever it is."""
        for process in self.others:
            if process.poll() is None:
                process.kill()
                process.wait()
        for survivor in self.survivors():
            try:
                os.kill(int(survivor.split()[0]), signal.SIGKILL)
            except ProcessLookupError:
                continue


@contextmanager
def scratch_orchd(mode: str) -> Iterator[ScratchOrchd]:
    """An orchd not started yet; fails if anything of it is alive after it was stopped."""
    root = scratch("os-")
    orchd = ScratchOrchd(root, mode)
    try:
        yield orchd
        if orchd.process is not None and orchd.process.poll() is None:
            orchd.stop()
        eventually(lambda: not orchd.survivors(), f"all are gone: {orchd.survivors()}")
    finally:
        orchd.close()
        shutil.rmtree(root, ignore_errors=True)
