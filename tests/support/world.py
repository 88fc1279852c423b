"""A whole orch in a scratch home: real orchd, git, tmux and SQLite, driven by the real command."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import psutil
from msgspec import to_builtins

from orch.cli import daemon, documents
from orch.client import Client
from orch.errors import Unavailable
from orch.messages import GetTask, ListTasks, R, Request
from orch.model import Task
from orch.paths import Home, scratch

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "tests" / "support" / "scripted_agent.py"
SETTLE_SECONDS = 15.0
"""How long ended processes of a home may take to leave."""

CONFIG = """\
projects:
{projects}
router:
  {router}
agents:
  script:
    protocol: command
    command: [{python}, {agent}]
{agents}engine:
  max_parallel: {max_parallel}
  tick_interval: 1
  sync_interval: 2
{more}"""


@dataclass(frozen=True)
class Ran:
    """What one `orch` command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The JSON document it printed."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines it printed."""
        return [json.loads(line) for line in self.out.splitlines()]


class World:
    """One scratch home with its projects; `up()` starts orchd, `close()` removes everything."""

    def __init__(self) -> None:
        self.root = scratch("ow-")
        self.home = Home(self.root / "h")
        self.home.root.mkdir(mode=0o700)
        self.projects: list[Path] = []
        self.slugs: dict[Path, str] = {}
        self.orchd: subprocess.Popen[bytes] | None = None
        self.started: list[subprocess.Popen[str]] = []
        self.max_parallel = 4
        self.inside: tuple[str, ...] = ()
        """Put before orchd's command: what makes it run somewhere else (a network of its own)."""
        self.more = ""
        self.router = "mode: round_robin\n  agents: [script]"
        self.agents = ""
        """What stands below `router`, and further agents, for the next `configure`."""
        self.env = self._environment()
        self.project("octo/demo")

    # ---- setting up ------------------------------------------------------------------------

    @property
    def repo(self) -> Path:
        """The first project's folder."""
        return self.projects[0]

    def project(self, slug: str, folder: str = "") -> Path:
        """A git repository with one commit and an `.orch.yml`, added to the home's config."""
        path = self.root / (folder or f"p{len(self.projects)}")
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", cwd=path)
        (path / "README.md").write_text(f"# {slug}\n")
        (path / ".orch.yml").write_text(f"gh:\n  repo: {json.dumps(slug)}\n")
        self.git("add", "-A", cwd=path)
        self.git("commit", "-qm", "Begin", cwd=path)
        self.projects.append(path)
        self.slugs[path] = slug
        self.configure()
        return path

    def agent(self, name: str, **more: Any) -> None:
        """Configure one more agent that does as its task says."""
        spec = {"protocol": "command", "command": [sys.executable, str(AGENT)], **more}
        self.agents += f"  {name}: {json.dumps(spec)}\n"
        self.configure()

    def configure(self, more: str | None = None, *, max_parallel: int = 0) -> None:
        """Write `config.yml`; `more` is YAML added at its end, and kept for later calls."""
        self.more = self.more if more is None else more
        self.max_parallel = max_parallel or self.max_parallel
        text = CONFIG.format(
            projects="\n".join(f"  - {json.dumps(str(path))}" for path in self.projects),
            python=json.dumps(sys.executable),
            agent=json.dumps(str(AGENT)),
            max_parallel=self.max_parallel,
            router=self.router,
            agents=self.agents,
            more=self.more,
        )
        fresh = self.home.root / ".config.fresh"
        fresh.write_text(text)
        fresh.replace(self.home.config)

    def up(self, *options: str) -> None:
        """Start orchd and wait until every service is ready."""
        self.start(*options)
        self.until(self.all_ready, "every service ready")

    def start(self, *options: str) -> None:
        """Start orchd, and do not wait."""
        log = (self.root / "orchd.out").open("ab")
        self.orchd = subprocess.Popen(
            [*self.inside, sys.executable, "-m", "orch.supervisor", *options],
            env=self.env,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()

    def all_ready(self) -> bool:
        """Whether orchd answers and all of its services are ready."""
        try:
            roster = daemon.roster(self.home)
        except Unavailable:
            return False  # it is too busy to say
        if roster is None:
            assert self.orchd is None or self.orchd.poll() is None, self.logs()
            return False
        return bool(roster.services) and all(one.state == "ready" for one in roster.services)

    # ---- asking without a command ------------------------------------------------------------

    @cached_property
    def client(self) -> Client:
        """A client of this home: quicker than a command where the command is not the point."""
        return Client(self.home)

    def ask(self, request: Request[R]) -> R:
        """The reply to a request."""
        return self.client.ask(request, timeout=20.0)

    # ---- acting ----------------------------------------------------------------------------

    def orch(
        self,
        *args: str,
        cwd: Path | None = None,
        ok: bool | None = True,
        text: str | None = None,
        timeout: float = 60,
        inside: tuple[str, ...] = (),
    ) -> Ran:
        """Run `orch ARGS` in the first project; `ok` says what its exit code must tell. `inside`
        stands before the command, as `World.inside` before orchd's."""
        run = subprocess.run(
            [*inside, sys.executable, "-m", "orch", *args],
            check=False,
            env=self.env,
            cwd=cwd or self.repo,
            capture_output=True,
            input=text,
            text=True,
            encoding="utf-8",
            timeout=timeout,
        )
        ran = Ran(run.returncode, run.stdout, run.stderr)
        assert ok is None or (ran.code == 0) is ok, f"orch {args}: {ran}\n{self.logs()}"
        return ran

    def follow(self, *args: str, into: IO[str] | None = None) -> subprocess.Popen[str]:
        """Start `orch ARGS` in the background; its output goes to a file, or to `stdout`."""
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "orch", *args],
            env=self.env,
            cwd=self.repo,
            stdin=subprocess.DEVNULL,
            stdout=into or subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.started.append(process)
        return process

    def add(self, title: str, *does: str, cwd: Path | None = None, more: Iterable[str] = ()) -> str:
        """Add a task for the scripted agent and return its id."""
        body = "\n".join(f"do: {one}" for one in does)
        args = ("task", "add", *more, "-b", "-", "--json", "--", title)
        added: str = self.orch(*args, cwd=cwd, text=body).json["id"]
        return added

    def task(self, task: str, cwd: Path | None = None) -> dict[str, Any]:
        """A task as `orch task get --json` shows it."""
        detail = self.ask(GetTask(task, project=self.slug(cwd or self.repo)))
        plain: dict[str, Any] = to_builtins(documents.detail(detail))
        return plain

    def slug(self, folder: Path) -> str:
        """What a project's folder is called."""
        return self.slugs[folder]

    def git(self, *args: str, cwd: Path | None = None) -> str:
        """Run git, in the first project unless told otherwise, and return what it printed."""
        return subprocess.run(
            ["git", *args],
            cwd=cwd or self.repo,
            env=self.env,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a service or to `orchd`; returns the pid that got it."""
        found: list[int] = []
        # between two lives it has no pid; a signal to 0 would go to ourselves
        self.until(lambda: found.append(self.pid(name)) or found[-1] > 0, f"{name} runs")
        os.kill(found[-1], how)
        return found[-1]

    def pid(self, name: str) -> int:
        """The pid of a running service, or of `orchd`."""
        roster = daemon.roster(self.home, 20.0)
        assert roster is not None, self.logs()
        if name == "orchd":
            return roster.pid
        return next(one.pid for one in roster.services if one.name == name)

    def log_of(self, task: str, n: int = 1) -> Path:
        """The terminal log of an attempt."""
        attempts = self.task(task)["attempts"]
        return Path(next(one["folder"] for one in attempts if one["n"] == n)) / "terminal.log"

    def output_of(self, task: str) -> bytes:
        """What the first attempt has written so far."""
        try:
            return self.log_of(task).read_bytes()
        except (FileNotFoundError, StopIteration):
            return b""

    # ---- waiting ---------------------------------------------------------------------------

    def wait_for(
        self, *, task: str, status: str, seconds: float = 60, cwd: Path | None = None
    ) -> dict[str, Any]:
        """Wait until a task has a status; on timeout show its last state and the logs."""
        last: dict[str, Any] = {}

        def there() -> bool:
            last.update(self.task(task, cwd=cwd))
            return last["status"] == status

        self.until(there, f"{task} {status}", seconds=seconds, show=lambda: json.dumps(last))
        return last

    def wait_all_done(self, count: int, seconds: float = 100) -> list[Task]:
        """Wait until `count` tasks are done."""
        last: list[Task] = []

        def there() -> bool:
            last[:] = self.ask(ListTasks(all=True, limit=1000)).tasks
            return sum(one.status == "done" for one in last) == count

        def shown() -> str:
            return "\n".join(f"{one.key} {one.status} {one.last_error}" for one in last)

        self.until(there, f"{count} tasks done", seconds=seconds, show=shown)
        return last

    def until(
        self,
        true: Callable[[], bool],
        what: str,
        *,
        seconds: float = 30,
        show: Callable[[], str] = str,
    ) -> None:
        """Wait for a condition; on timeout fail with what was last seen and the logs."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {seconds} s: {what}\n{show()}\n"
                    f"{self.orch('status', ok=None).out}\n{self.logs()}"
                )
            time.sleep(0.05)

    def logs(self, lines: int = 40) -> str:
        """The last lines of every log of the home."""
        files = [self.root / "orchd.out", *sorted(self.home.logs.glob("*"))]
        return "\n".join(
            f"---- {file.name}\n" + "\n".join(tail)
            for file in files
            if file.is_file() and (tail := file.read_text(errors="replace").splitlines()[-lines:])
        )

    # ---- ending ----------------------------------------------------------------------------

    def down(self) -> None:
        """Stop orchd; sessions go on."""
        if self.orchd is not None and self.orchd.poll() is None:
            self.orchd.send_signal(signal.SIGTERM)
            self.orchd.wait(30)
        self.orchd = None

    def check(self) -> None:
        """Stop everything by the front door; fail if anything of this home survives."""
        self._end_clients()
        ran = self.orch("down", "--kill-sessions", ok=None)
        assert ran.code in {0, 3}, f"{ran}\n{self.logs()}"
        if self.orchd is not None:
            self.orchd.wait(30)
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := survivors(self.root)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == [], f"still alive: {left}\n{self.logs()}"
        assert not self.home.tmux.exists(), "the tmux socket was left behind"

    def close(self) -> None:
        """End what still runs and remove the scratch folder."""
        self._end_clients()
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := survivors(self.root)) and time.monotonic() < deadline:
            for pid, _ in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        if self.orchd is not None:
            self.orchd.kill()
            self.orchd.wait(30)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end_clients(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
            process.communicate()
        self.started.clear()
        if "client" in self.__dict__:
            self.client.close()
            del self.client

    def _environment(self) -> dict[str, str]:
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        user = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        return {
            **keep,
            "HOME": str(self.root),
            "ORCH_HOME": str(self.home.root),
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_AUTHOR_{name}": value for name, value in user.items()},
            **{f"GIT_COMMITTER_{name}": value for name, value in user.items()},
        }


def survivors(root: Path) -> list[tuple[int, str]]:
    """Processes (pid, command line) whose command line or environment names the folder."""
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        try:
            command = " ".join(process.cmdline())
            told = command + "\0".join(process.environ().values())
            if str(root) in told and process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.pid, command[:200]))
        except psutil.Error:
            continue
    return found
