"""orchd as a process: started in the background, waited for, stopped; for `up`, `down`, `demo`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from orch import control
from orch.errors import NotRunning, OrchError, Unavailable
from orch.messages import GetRoster, Roster, Shutdown
from orch.paths import Home

READY_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.01
LOG_LINES = 12
WELL = frozenset({"ready", "disabled"})
INTERRUPTING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

INHERITED = ("ORCH_RUN", "ORCH_SERVICE", "ORCH_FDS", "ORCH_CHAT")
"""What marks a process of an attempt or a service: an orchd started from one belongs to neither."""


def command(options: Sequence[str] = ()) -> list[str]:
    """The argv of orchd; `-P` keeps the current folder's own `services/` out of the way."""
    return [sys.executable, "-P", "-u", "-m", "orch.supervisor", *options]


def environment(home: Home) -> dict[str, str]:
    """The environment of an orchd for this home."""
    kept = {name: value for name, value in os.environ.items() if name not in INHERITED}
    return {**kept, "ORCH_HOME": os.fspath(home.root)}


def roster(home: Home, timeout: float = 2.0) -> Roster | None:
    """What runs, or None when no orchd does; raises `Unavailable` when one does not answer."""
    try:
        return control.ask(home, GetRoster(), timeout)
    except NotRunning:
        return None


def start(home: Home, options: Sequence[str] = ()) -> int:
    """Start orchd in a session of its own, its output in its log; returns its pid.

    Signals wait until it has become orchd: one that interrupts whoever starts it would else leave
    a process that nobody knows yet (see `belonging`).
    """
    home.make()
    argv, env = command(options), environment(home)
    log = home.raw_log("orchd")
    sys.stdout.flush()
    sys.stderr.flush()
    became, becoming = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTING)
    try:
        pid = os.fork()
        if pid == 0:
            _become(argv, env, log, mask)
        os.close(becoming)
        os.read(became, 1)
    finally:
        os.close(became)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def wait_ready(home: Home, pid: int, *, now: Callable[[], float] = time.monotonic) -> Roster:
    """Wait until orchd and every service are ready; raises `OrchError` saying who is not."""
    deadline = now() + READY_SECONDS
    seen: Roster | None = None
    while now() < deadline:
        if not alive(pid):
            raise OrchError(f"orchd ended while starting\n{last_lines(home)}", "see `orch doctor`")
        with contextlib.suppress(Unavailable):
            seen = roster(home)
        if seen and seen.services and all(one.state in WELL for one in seen.services):
            return seen
        failing = [one for one in seen.services if one.state == "failing"] if seen else []
        if failing:
            break
        time.sleep(POLL_SECONDS)
    late = [one for one in seen.services if one.state not in WELL] if seen else []
    told = "; ".join(f"{one.name} is {one.state} {one.last_error}".strip() for one in late)
    raise OrchError(
        f"not everything came up: {told or 'orchd does not answer'}",
        f"look at `orch log` and {home.logs}; `orch down` stops it",
    )


def wait_for_ready(home: Home) -> Roster:
    """Wait until an orchd that somebody else has started is ready; raises `OrchError`."""
    deadline = time.monotonic() + READY_SECONDS
    while (seen := roster(home)) is None:
        if time.monotonic() > deadline:
            raise OrchError("orchd does not answer", "`orch service status`, `orch log orchd`")
        time.sleep(POLL_SECONDS)
    return wait_ready(home, seen.pid)


def stop(home: Home) -> int:
    """Stop orchd and wait until it is gone; returns the pid it had, 0 when none ran."""
    seen = roster(home)
    if seen is None:
        return 0
    with contextlib.suppress(NotRunning):
        control.ask(home, Shutdown(), STOP_SECONDS)
    deadline = time.monotonic() + STOP_SECONDS
    while alive(seen.pid) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if alive(seen.pid):
        raise Unavailable(f"orchd (pid {seen.pid}) did not end", f"kill {seen.pid}")
    return seen.pid


def end_everything(home: Home) -> None:
    """Stop orchd, then end the tmux server and every process of this home, agents included."""
    with contextlib.suppress(OrchError):
        stop(home)
    end_sessions(home)


def end_sessions(home: Home) -> list[int]:
    """End the home's tmux server and whatever processes still belong to it; returns their pids."""
    from orch.tools.process import end  # noqa: PLC0415 - slow (psutil), and seldom needed
    from orch.tools.tmux import Tmux  # noqa: PLC0415

    found = belonging(home)
    with contextlib.suppress(OrchError):
        Tmux(home.tmux).kill_server()
    end(found, grace=3.0)
    return found


def belonging(home: Home) -> list[int]:
    """The processes of this home's sessions and services, this one and its parents apart.

    Agents, orchd and its services carry their home in their environment (`ORCH_RUN`, `ORCH_HOME`),
    session processes in their arguments.
    """
    import psutil  # noqa: PLC0415 - slow, and seldom needed

    root = os.fspath(home.root)
    own = {os.getpid(), *(one.pid for one in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        with contextlib.suppress(psutil.Error):
            words, environ = process.cmdline(), process.environ()
            session = "orch.session" in words and words[-1].startswith(f"{home.state}/")
            agent = environ.get("ORCH_RUN", "").startswith(f"{root}:")
            orchd = "orch.supervisor" in words or " ".join(words).strip() == f"orchd {root}"
            served = environ.get("ORCH_HOME") == root and (orchd or "ORCH_SERVICE" in environ)
            if session or agent or served:
                found.append(process.pid)
    return found


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be reaped does not."""
    with contextlib.suppress(ChildProcessError):
        ended, _ = os.waitpid(pid, os.WNOHANG)
        return ended == 0
    from orch.tools.process import started  # noqa: PLC0415 - slow (psutil), and seldom needed

    return started(pid) is not None


def last_lines(home: Home) -> str:
    """The end of what orchd wrote, for an error message."""
    try:
        text = home.raw_log("orchd").read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES:])


def _become(argv: list[str], env: dict[str, str], log: Path, mask: Iterable[int]) -> None:
    """In the fork: leave the terminal, write to the log, turn into orchd. Never returns."""
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setsid()
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDONLY)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(nothing, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.execve(argv[0], argv, env)
    finally:
        os._exit(127)
