"""A private tmux server: exact targets, quick control mode, and no guess when it cannot be asked.

The server lives at a socket of its own, outside the caller's process group, session and (where
systemd lets us) control group, so that it outlives whoever started it. Calls go over one
control-mode connection (`tmux -C`, about 0.05 ms each) attached to a keeper session that nobody
else sees; where that fails, a command is spawned (3 ms).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from orch.errors import ToolFailed, Unknown
from orch.tools import process
from orch.tools.tmux_control import Broken, Connection

KEEPER = "orch_keeper"
"""The session that keeps our connection; no session of a task has an underscore there."""

TIMEOUT = 5.0
"""Seconds for one command."""

OPTIONS = (
    ("-s", "exit-empty", "off"),
    ("-s", "default-terminal", "screen-256color"),
    ("-s", "escape-time", "10"),
    ("-g", "history-limit", "50000"),
    ("-g", "status", "off"),
    ("-g", "update-environment", ""),
    ("-g", "destroy-unattached", "off"),
    ("-g", "remain-on-exit", "off"),
    ("-g", "detach-on-destroy", "on"),
    ("-g", "set-titles", "off"),
    ("-g", "default-size", "200x50"),
)
"""Server and session options: what must not depend on anybody's tmux.conf."""

PASSED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""The environment the server gets; nothing of orch's own, and no outer tmux."""


class Tmux:
    """The tmux server at `path`. Every method is safe from any thread."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._note = self.path.with_name(f"{self.path.name}.pid")
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    # ---- what it is asked ---------------------------------------------------------------------

    def new_session(
        self, name: str, argv: Sequence[str], cwd: str, size: tuple[int, int] = (200, 50)
    ) -> None:
        """Start a detached session that runs `argv` without a shell. Starts the server if needed.

        Raises `ToolFailed` when tmux refuses (a session of that name is there already).
        """
        self.start()
        words = list(argv) if len(argv) > 1 else ["/usr/bin/env", *argv]
        columns, rows = size
        place = ["-x", str(columns), "-y", str(rows), "-c", cwd]
        self.command("new-session", "-d", "-s", name, *place, "--", *words)

    def sessions(self) -> dict[str, int]:
        """Every session (the keeper apart) and its first pane's pid; {} when there is confirmed
        no server. Raises `Unknown` when that cannot be found out."""
        if not self.running():
            return {}
        try:
            listed = self.command("list-panes", "-a", "-F", "#{pane_pid} #{session_name}")
        except ToolFailed as refused:
            if not self.running():
                return {}
            raise Unknown(f"tmux cannot list its sessions: {refused.message}") from refused
        found: dict[str, int] = {}
        for line in listed:
            pid, _, name = line.partition(" ")
            if name != KEEPER and pid.isdigit():
                found.setdefault(name, int(pid))
        return found

    def kill_session(self, name: str) -> bool:
        """End exactly this session; false when there is none. Raises `Unknown`."""
        if not self.running():
            return False
        try:
            self.command("kill-session", "-t", f"={name}")
        except ToolFailed as refused:
            if "find session" in refused.message or "no server" in refused.message:
                return False
            raise Unknown(f"tmux did not end {name}: {refused.message}") from refused
        return True

    def kill_server(self) -> None:
        """End the server with all its sessions; nothing happens when there is none."""
        with self._lock:
            self._drop()
        pid = self._noted()
        if self.running():
            with contextlib.suppress(ToolFailed, Unknown):
                self._spawn("kill-server")
        if pid and self._noted() == pid:
            process.end([pid])
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def attach_command(self, name: str) -> list[str]:
        """The command with which a person attaches to a session."""
        return [program(), "-S", str(self.path), "attach-session", "-t", f"={name}"]

    def close(self) -> None:
        """Let go of the connection; the server stays."""
        with self._lock:
            self._drop()

    def command(self, *words: str) -> list[str]:
        """Run one tmux command; returns the lines it printed.

        A command whose connection ends under it is run again, so it must be safe to repeat.
        Raises `ToolFailed` with tmux's words, `Unknown` when the server does not answer.
        """
        with self._lock:
            for _ in range(2):
                try:
                    if self._connection is None:
                        argv = self._argv("-C", *_ATTACH)
                        self._connection = Connection(argv, environment(), TIMEOUT)
                    return self._connection.ask(words, TIMEOUT)
                except Broken:
                    self._drop()
                    if not self._keep():
                        break
        return self._spawn(*words)

    # ---- the server ---------------------------------------------------------------------------

    def running(self) -> bool:
        """Whether the server is there. Raises `Unknown` when that cannot be found out.

        A server whose socket was removed from under it is asked to make it again.
        """
        if self._answers():
            return True
        pid = self._noted()
        if pid is None:
            return False
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGUSR1)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            if self._answers():
                return True
            if self._noted() is None:
                return False
            time.sleep(0.01)
        raise Unknown(f"the tmux server (pid {pid}) lives, but its socket {self.path} is gone")

    def start(self) -> None:
        """Start the server unless it runs. Raises `ToolFailed`, `Unknown`."""
        if self.running():
            return
        settings = [word for option in OPTIONS for word in ("set-option", *option, ";")]
        argv = self._argv("start-server", ";", *settings, *_KEEP)
        env = environment()
        if scope := _scope():
            with contextlib.suppress(ToolFailed, Unknown):
                bus = {k: os.environ[k] for k in _BUS if k in os.environ}
                process.run([*scope, *argv], cwd="/", env=env | bus, timeout=TIMEOUT)
        if not self._answers():
            ran = process.run(argv, cwd="/", env=env, timeout=TIMEOUT, check=False)
            if ran.code != 0 and b"duplicate session" not in ran.err:
                raise ToolFailed(f"tmux did not start: {process.said(ran)}")
        self._remember()

    def _answers(self) -> bool:
        """Whether something listens at the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(TIMEOUT)
            try:
                probe.connect(os.fspath(self.path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError as error:
                what = errno.errorcode.get(error.errno or 0, "timeout")
                raise Unknown(f"cannot ask the tmux server at {self.path}: {what}") from error
        return True

    def _remember(self) -> None:
        """Note the server's pid and start time, to know it should its socket disappear."""
        pid = int(self._spawn("display-message", "-p", "#{pid}")[0])
        fresh = self._note.with_name(f"{self._note.name}.{os.getpid()}")
        fresh.write_text(f"{pid} {process.started(pid)}\n")
        fresh.replace(self._note)

    def _noted(self) -> int | None:
        """The pid of the noted server, if it still lives."""
        try:
            pid, began = self._note.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if str(process.started(int(pid))) == began else None

    # ---- how it is asked ----------------------------------------------------------------------

    def _keep(self) -> bool:
        """Make the keeper session again where somebody ended it; false without a server."""
        if not self.running():
            return False
        with contextlib.suppress(ToolFailed, Unknown):
            self._spawn(*_KEEP)
        return True

    def _drop(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _spawn(self, *words: str) -> list[str]:
        escaped = [f"{w[:-1]}\\;" if w.endswith(";") else w for w in words]
        ran = process.run(
            self._argv("-N", *escaped), cwd="/", env=environment(), timeout=TIMEOUT, check=False
        )
        if ran.code != 0:
            raise ToolFailed(f"tmux {words[0]} failed: {process.said(ran)}")
        return ran.out.decode("utf-8", "surrogateescape").splitlines()

    def _argv(self, *words: str) -> list[str]:
        return [program(), "-S", os.fspath(self.path), "-f", "/dev/null", "-u", *words]


_KEEP = ("new-session", "-d", "-s", KEEPER, "-x", "20", "-y", "5", "--", "sleep", "2147483647")
_ATTACH = ("attach-session", "-t", f"={KEEPER}", "-f", "no-output,ignore-size")
_BUS = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def program() -> str:
    """The path of tmux. Raises `ToolFailed` when it is not installed."""
    found = shutil.which("tmux")
    if not found:
        raise ToolFailed("tmux is not installed", process.INSTALL["tmux"])
    return found


def environment() -> dict[str, str]:
    """The environment of the tmux server: a short list of the caller's, and a terminal type."""
    kept = {name: os.environ[name] for name in PASSED if name in os.environ}
    kept.setdefault("PATH", os.defpath)
    if not any(name in kept for name in ("LC_ALL", "LC_CTYPE", "LANG")):
        kept["LC_CTYPE"] = "C.UTF-8"
    return kept | {"TERM": "screen-256color"}


@cache
def _scope() -> tuple[str, ...]:
    """The words that put a command into a control group of its own; () where systemd cannot."""
    if not shutil.which("systemd-run"):
        return ()
    scope = ("systemd-run", "--user", "--scope", "--quiet", "--collect")
    with contextlib.suppress(ToolFailed, Unknown):
        process.run([*scope, "true"], timeout=TIMEOUT)
        return scope
    return ()
