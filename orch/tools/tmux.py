"""A private tmux server: exact targets, and no guess when it cannot be asked.

The server lives at a socket of its own, outside the caller's process group, session and (where
systemd lets us) control group, so that it outlives whoever started it. Every call is a command of
its own (3 ms). Control mode (`tmux -C`, 0.05 ms) is not used: a control client that attaches just
when a session comes or goes crashes the server, and every session with it (tmux pull requests
4980 and 5004; seen with 3.3a in one of ten tries).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import socket
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from orch.errors import ToolFailed, Unknown
from orch.tools import process

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
        """Every session and its first pane's pid; {} when there is confirmed no server, or none
        in it. Raises `Unknown` when that cannot be found out."""
        if not self.running():
            return {}
        try:
            listed = self.command("list-sessions", "-F", "#{W:#{P:#{pane_pid}/}} #{session_name}")
        except ToolFailed as refused:
            if not self.running():
                return {}
            raise Unknown(f"tmux cannot list its sessions: {refused.message}") from refused
        found: dict[str, int] = {}
        for line in listed:
            panes, _, name = line.partition(" ")
            first = panes.partition("/")[0]
            if first.isdigit():
                found[name] = int(first)
        return found

    def kill_session(self, name: str) -> bool:
        """End exactly this session; false when there is none. Raises `Unknown`."""
        if not self.running():
            return False
        try:
            self.command("kill-session", "-t", f"={name}")
        except ToolFailed as refused:
            if name not in self.sessions():
                return False
            raise Unknown(f"tmux did not end {name}: {refused.message}") from refused
        return True

    def kill_server(self) -> None:
        """End the server with all its sessions; nothing happens when there is none."""
        pid = self._noted()
        if self.running():
            with contextlib.suppress(ToolFailed, Unknown):
                self.command("kill-server")
        if pid and self._noted() == pid:
            process.end([pid])
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def attach_command(self, name: str) -> list[str]:
        """The command with which a person attaches to a session."""
        return [program(), "-S", str(self.path), "attach-session", "-t", f"={name}"]

    def command(self, *words: str) -> list[str]:
        """Run one tmux command; returns the lines it printed.

        Raises `ToolFailed` with tmux's words, `Unknown` when the server does not answer.
        """
        escaped = [f"{w[:-1]}\\;" if w.endswith(";") else w for w in words]
        ran = process.run(
            self._argv("-N", *escaped), cwd="/", env=environment(), timeout=TIMEOUT, check=False
        )
        if ran.code != 0:
            raise ToolFailed(f"tmux {words[0]} failed: {process.said(ran)}")
        return ran.out.decode("utf-8", "surrogateescape").splitlines()

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
        """Start the server unless it runs. Raises `ToolFailed`, `Unknown`.

        One process at a time: of two servers started at once, one would take the other's socket.
        """
        if self.running():
            return
        with self._note.with_suffix(".gate").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            if not self.running():
                self._launch()

    def _launch(self) -> None:
        settings = [word for option in OPTIONS for word in ("set-option", *option, ";")]
        argv = self._argv("start-server", ";", *settings)
        env = environment()
        if scope := _scope():
            with contextlib.suppress(ToolFailed, Unknown):
                bus = {k: os.environ[k] for k in _BUS if k in os.environ}
                process.run([*scope, *argv], cwd="/", env=env | bus, timeout=TIMEOUT)
        if not self._answers():
            ran = process.run(argv, cwd="/", env=env, timeout=TIMEOUT, check=False)
            if ran.code != 0:
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
        pid = int(self.command("display-message", "-p", "#{pid}")[0])
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

    def _argv(self, *words: str) -> list[str]:
        return [program(), "-S", os.fspath(self.path), "-f", "/dev/null", "-u", *words]


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
