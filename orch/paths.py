"""Where everything of a home lies: files, folders, sockets, and the data shipped with orch."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from orch.errors import Refused

SOCKET_BYTES = 103 if sys.platform == "darwin" else 107
"""The longest path a Unix socket may have (sun_path, less its final zero byte)."""

LONGEST_SOCKET = 1 + 2 + 48 + 5
"""Bytes that the longest name below the run folder takes: `/s/{48 bytes}.sock`."""


class Home:
    """An orch home (`ORCH_HOME`, default `~/.orch`) as paths. Creates nothing but by `make`."""

    def __init__(self, root: Path | str | None = None) -> None:
        chosen = root or os.environ.get("ORCH_HOME") or "~/.orch"
        self.root = Path(chosen).expanduser().absolute()
        self.config = self.root / "config.yml"
        self.env = self.root / "env"
        self.db = self.root / "orch.db"
        self.logs = self.root / "logs"
        self.worktrees = self.root / "worktrees"
        self.state = self.root / "state"
        self.projects = self.root / "projects"
        self.prompts = self.root / "prompts"
        self.run = self._run_folder()
        self.lock = self.run / "orchd.lock"
        self.control = self.run / "ctl.sock"
        self.tmux = self.run / "tmux"

    def make(self) -> None:
        """Create what is missing, for this user alone; raises `Refused` on a foreign folder."""
        for folder in (self.root, self.logs, self.worktrees, self.state, self.run, self.run / "s"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for private in (self.run, self.run / "s"):
            check_private(private)
        if self.run.parent != self.root:
            (self.root / "run.path").write_text(f"{self.run}\n")

    def socket(self, service: str, kind: str) -> Path:
        """A service's socket: kind `req` (requests), `pub` (events) or `nudge` (datagrams)."""
        return self.run / f"{service}.{kind}"

    def session_socket(self, session: str) -> Path:
        """A session's control socket; over-long names are shortened to a stable hash."""
        name = session
        if len(os.fsencode(name)) > 48:
            name = f"{session[:31]}-{_hash(session.encode(), 16)}"
        return self.run / "s" / f"{name}.sock"

    def task_folder(self, folder: str) -> Path:
        """A task's state folder; `folder` is `core.names.task_folder(project, key)`."""
        return self.state / folder

    def log(self, service: str) -> Path:
        """A service's structured log (JSON lines)."""
        return self.logs / f"{service}.log"

    def raw_log(self, service: str) -> Path:
        """What a service wrote to stdout and stderr."""
        return self.logs / f"{service}.out"

    def prompt_places(self, project: Path | None = None) -> tuple[Path, ...]:
        """Where a prompt's template is looked for: the project's own, the home's, the shipped."""
        own = (project / ".orch" / "prompts",) if project is not None else ()
        return (*own, self.prompts, data("prompts"))

    def _run_folder(self) -> Path:
        usual = self.root / "run"
        if len(os.fsencode(usual)) + LONGEST_SOCKET <= SOCKET_BYTES:
            return usual
        name = f"orch-{_hash(os.fsencode(self.root), 12)}"
        for base in (os.environ.get("XDG_RUNTIME_DIR"), f"/tmp/orch-{os.getuid()}"):
            if base and len(os.fsencode(base)) + len(name) + 1 + LONGEST_SOCKET <= SOCKET_BYTES:
                return Path(base) / name
        raise Refused(
            f"the path {usual} is too long for sockets ({SOCKET_BYTES} bytes at most)",
            "set ORCH_HOME to a shorter path",
        )


def check_private(folder: Path) -> None:
    """Raise `Refused` unless `folder` is a real folder of this user, closed to all others."""
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode):
        raise Refused(f"{folder} is not a folder", "move it away")
    if seen.st_uid != os.getuid():
        raise Refused(f"{folder} belongs to user {seen.st_uid}", "use a home of your own")
    if stat.S_IMODE(seen.st_mode) & 0o077:
        raise Refused(
            f"{folder} is open to other users (mode {stat.S_IMODE(seen.st_mode):04o})",
            f"chmod 700 {folder}",
        )


def data(name: str) -> Path:
    """A folder shipped with orch (`prompts`, `contrib`): in a wheel, or beside the package."""
    package = Path(__file__).parent
    for place in (package / "_data" / name, package.parent / name):
        if place.is_dir():
            return place
    raise Refused(f"orch's own folder {name!r} is missing", "install orch again")


def scratch(prefix: str = "orch-") -> Path:
    """A fresh private folder with a path short enough for sockets."""
    import tempfile  # noqa: PLC0415 - seldom needed, and slow to import

    return Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))


def _hash(data: bytes, digits: int) -> str:
    import hashlib  # noqa: PLC0415 - seldom needed, and slow to import

    return hashlib.sha256(data).hexdigest()[:digits]
