"""Other supervisors, started in a scratch folder, each keeping `child.py` alive."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHILD = HERE / "child.py"
WAIT_SECONDS = 30.0


def installed(program: str) -> str:
    """The path of a program beside this interpreter or on the path; '' when there is none."""
    beside = Path(sys.executable).parent / program
    return str(beside) if beside.exists() else shutil.which(program) or ""


class Peer:
    """A supervisor with some children; `ready` files tell when each was ready."""

    def __init__(self, folder: Path, children: int = 1) -> None:
        self.folder = folder
        self.names = [f"c{n}" for n in range(children)]
        self.process: subprocess.Popen[bytes] | None = None

    def argv(self) -> list[str]:
        """The command that starts the supervisor; writes its configuration first."""
        return [sys.executable, str(HERE / "popen_supervisor.py"), str(self.ready(self.names[0]))]

    def ready(self, name: str) -> Path:
        """The file to which a child adds a line whenever it is ready."""
        return self.folder / f"{name}.ready"

    def start(self) -> None:
        """Start the supervisor."""
        log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            self.argv(),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        log.close()

    def lines(self, name: str) -> list[tuple[int, float]]:
        """Pid and time (monotonic seconds) of each start of a child."""
        try:
            text = self.ready(name).read_text()
        except FileNotFoundError:
            return []
        pairs = (line.split() for line in text.splitlines())
        return [(int(pair[0]), float(pair[1])) for pair in pairs if len(pair) == 2]

    def wait_ready(self, name: str, count: int = 1) -> float:
        """Wait until a child has been ready `count` times; returns when it was."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(found := self.lines(name)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.argv()[0]}: {(self.folder / 'log').read_text()}")
            time.sleep(0.0005)
        return found[count - 1][1]

    def restart_seconds(self, rounds: int) -> list[float]:
        """From `kill -9` of a child until its replacement is ready, several times."""
        name = self.names[0]
        self.wait_ready(name)
        took = []
        for n in range(1, rounds + 1):
            time.sleep(1.1)  # supervisord and circus call a child up only after a second
            pid = self.lines(name)[-1][0]
            began = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            took.append(self.wait_ready(name, n + 1) - began)
        return took

    def stop(self) -> None:
        """End the supervisor and its children."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(WAIT_SECONDS)


class Supervisord(Peer):
    """supervisord in the foreground."""

    def argv(self) -> list[str]:
        """Its configuration and command."""
        programs = "".join(
            f"[program:{name}]\ncommand={sys.executable} {CHILD} {self.ready(name)}\n"
            "autorestart=true\n"
            for name in self.names
        )
        self.config.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={self.folder}/s.log\n"
            f"pidfile={self.folder}/s.pid\n"
            f"[unix_http_server]\nfile={self.folder}/s.sock\n"
            f"[supervisorctl]\nserverurl=unix://{self.folder}/s.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            + programs
        )
        return [installed("supervisord"), "-c", str(self.config)]

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "s.conf"

    def command(self, *words: str) -> list[str]:
        """A `supervisorctl` command."""
        return [installed("supervisorctl"), "-c", str(self.config), *words]


class Circus(Peer):
    """circusd, tuned to look at its children as often as it can."""

    def argv(self) -> list[str]:
        """Its configuration and command."""
        watchers = "".join(
            f"[watcher:{name}]\ncmd = {sys.executable}\nargs = {CHILD} {self.ready(name)}\n"
            "copy_env = True\n"
            for name in self.names
        )
        config = self.folder / "c.ini"
        config.write_text(
            f"[circus]\ncheck_delay = 0.1\nendpoint = ipc://{self.folder}/c.ep\n"
            f"pubsub_endpoint = ipc://{self.folder}/c.pub\n" + watchers
        )
        return [installed("circusd"), str(config)]
