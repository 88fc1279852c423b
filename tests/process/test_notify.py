"""orchd under a service manager: what it says on a real notify socket, and who says it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.core import unit
from orch.messages import StopService, Upgrade
from orch.paths import data
from tests.support.scratch_orchd import ROOT, ScratchOrchd, eventually, scratch_orchd

CREDENTIALS = struct.Struct("3i")


class NotifySocket:
    """The service manager's side of sd_notify(3): a datagram socket that learns who sends."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(address)
        self.socket.settimeout(20)
        self.told: list[str] = []
        self.senders: set[int] = set()

    def heard(self, line: str) -> str:
        """Wait for a line that begins so, and take it and what came before it off the list."""
        while True:
            for number, one in enumerate(self.told):
                if one.startswith(line):
                    del self.told[: number + 1]
                    return one
            text, extra, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
            self.senders.add(CREDENTIALS.unpack(extra[0][2])[0])
            self.told += text.decode().split("\n")


@pytest.fixture
def manager(short_home: Path) -> Iterator[NotifySocket]:
    made = NotifySocket(str(short_home / "notify"))
    with contextlib.closing(made.socket):
        yield made


def start(orchd: ScratchOrchd, manager: NotifySocket, watchdog: float = 0.5) -> int:
    """Start orchd as systemd does, with the watchdog's time in seconds; its pid."""
    told = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": str(int(watchdog * 1e6))}
    orchd.start(environment=told)
    assert orchd.process is not None
    return orchd.process.pid


def test_a_service_manager_hears_of_each_stage_from_orchd_alone(manager: NotifySocket):
    with scratch_orchd("fork") as orchd:
        orchd.three()
        pid = start(orchd, manager)
        manager.heard("READY=1")
        assert manager.heard("STATUS=") == "STATUS=3 of 3 services ready"
        orchd.ready()
        for _ in range(3):
            manager.heard("WATCHDOG=1")
        os.kill(pid, signal.SIGHUP)
        manager.heard("RELOADING=1")
        assert int(manager.heard("MONOTONIC_USEC=").partition("=")[2]) > 0
        manager.heard("READY=1")
        orchd.ask(StopService("capture"))
        manager.heard("STATUS=2 of 3 services ready")
        orchd.ask(Upgrade())
        manager.told.clear()
        manager.heard("WATCHDOG=1")
        orchd.stop()
        manager.heard("STOPPING=1")
        assert "READY=1" not in manager.told
        assert manager.senders == {pid}


def test_a_broken_service_does_not_keep_the_others_from_being_ready(manager: NotifySocket):
    with scratch_orchd("fork") as orchd:
        orchd.limits = {"first_wait": 0.1, "longest_wait": 0.2}
        orchd.add("engine").add("broken", f"repaired:{orchd.root / 'never'}")
        start(orchd, manager)
        manager.heard("READY=1")
        assert manager.heard("STATUS=") == "STATUS=1 of 2 services ready; not: broken"


def test_what_the_rendered_unit_starts_is_an_orchd_that_becomes_ready(
    manager: NotifySocket, short_home: Path
):
    home = short_home / "a home"
    facts = unit.Facts(
        name="orchd",
        argv=(sys.executable, "-P", "-u", "-m", "orch.supervisor"),
        home=str(home),
        log=str(home / "logs" / "orchd.out"),
        environment=unit.kept({**os.environ, "LANG": "C.UTF-8"}, str(home))
        | {"PYTHONPATH": str(ROOT)},
    )
    template = (data("contrib") / "systemd" / "orchd.service").read_text()
    lines = unit.render(unit.SYSTEMD, template, facts).splitlines()
    [command] = [line.partition("=")[2] for line in lines if line.startswith("ExecStart=")]
    variables = [
        shlex.split(line.partition("=")[2])[0] for line in lines if line.startswith("Environment=")
    ]
    told = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000000"}
    environment = dict(one.split("=", 1) for one in variables) | told
    home.mkdir(mode=0o700)
    orchd = subprocess.Popen(shlex.split(command), env=environment, cwd=home)
    try:
        manager.heard("READY=1")
        manager.heard("WATCHDOG=1")
    finally:
        orchd.terminate()
        assert orchd.wait(30) == 0
    manager.heard("STOPPING=1")
    assert manager.senders == {orchd.pid}
    eventually(lambda: not (home / "run" / "ctl.sock").exists(), "it has left")
