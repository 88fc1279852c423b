"""A stand-in for orchd: keeps a service's listening sockets while its process comes and goes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orch.paths import Home
from orch.sockets import listen

ROOT = Path(__file__).parents[2]
DEADLINE = 20.0


def wait_until(condition: Callable[[], Any], seconds: float = DEADLINE, what: str = "") -> Any:
    """What `condition` says as soon as it says something; fails past the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.005)  # the pause of a poll, not a guess at how long something takes
    return value


class Keeper:
    """One service's sockets and, at most times, its process."""

    def __init__(self, home: Home, service: str, **environment: str) -> None:
        self.home = home
        self.service = service
        self.environment = environment
        self.sockets = {
            kind: listen(home.socket(service, kind), kind) for kind in ("req", "pub", "nudge")
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.lifeline: socket.socket | None = None
        self.heard = b""

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for kept in self.sockets.values():
            kept.close()

    def start(self, **environment: str) -> Keeper:
        """Start the process, without waiting for it."""
        ours, theirs = socket.socketpair()
        fds = {"lifeline": theirs.fileno(), **{k: s.fileno() for k, s in self.sockets.items()}}
        said = {
            "ORCH_HOME": str(self.home.root),
            "ORCH_SERVICE": self.service,
            "ORCH_FDS": ",".join(f"{name}={fd}" for name, fd in fds.items()),
        }
        with self.home.raw_log(self.service).open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.toy_service"],
                cwd=ROOT,
                env={**os.environ, **self.environment, **environment, **said},
                pass_fds=tuple(fds.values()),
                stdout=out,
                stderr=out,
            )
        theirs.close()
        self.lifeline, self.heard = ours, b""
        ours.setblocking(False)
        return self

    def ready(self) -> Keeper:
        """Wait until it says READY."""
        wait_until(lambda: b"READY\n" in self.listen(), what=f"{self.service} ready")
        return self

    def listen(self) -> bytes:
        """Everything it has said on its lifeline."""
        assert self.lifeline is not None
        try:
            while data := self.lifeline.recv(65536):
                self.heard += data
        except BlockingIOError:
            pass
        return self.heard

    def say(self, line: str) -> None:
        """Tell it something, as orchd would."""
        assert self.lifeline is not None
        self.lifeline.sendall(f"{line}\n".encode())

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the process; the sockets stay."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
                self.process.send_signal(number)
            self.process.wait(timeout=DEADLINE)
            self.process = None
        if self.lifeline is not None:
            self.lifeline.close()
            self.lifeline = None

    def exit_code(self) -> int:
        """Wait for it to leave by itself."""
        assert self.process is not None
        return self.process.wait(timeout=DEADLINE)

    def logged(self) -> list[dict[str, Any]]:
        """The records of its structured log."""
        path = self.home.log(self.service)
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines() if line]
