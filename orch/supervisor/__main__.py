"""`orchd`: runs the supervisor of a home in the foreground."""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import fcntl
import gc
import logging
import os
import socket
import sys
import time
from pathlib import Path

from orch import __version__, log, sockets
from orch.core.supervised import Start
from orch.errors import OrchError, Refused
from orch.lifeline import entitle
from orch.paths import Home
from orch.supervisor import leftovers, roster, spawn, upgrade
from orch.supervisor.notify import Notifier
from orch.supervisor.orchd import Orchd
from orch.supervisor.watch import Watch

LOCK_SECONDS = 2.0
"""How long a lock is waited for whose holder is already dead (its fork may hold it a moment)."""

logger = logging.getLogger("orchd")


def main(arguments: list[str] | None = None) -> None:
    """Run orchd until it is told to leave."""
    chosen = _parser().parse_args(arguments)
    faulthandler.enable()  # the watchdog of systemd ends a hung orchd by SIGABRT
    if chosen.preflight:
        _preflight()
        return
    try:
        home = Home(chosen.home)
        mode = spawn.Mode(chosen.spawn or spawn.default_mode())
        if chosen.adopt is not None:
            orchd = _adopted(home, mode, chosen.adopt)
        else:
            orchd = _started(home, mode)
    except OrchError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    orchd.run()
    _leave(orchd)


def take_lock(home: Home) -> int:
    """Hold the home's lock, with our pid in it; raises `Refused` with the holder's pid."""
    fd = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while not _locked(fd):
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        if _alive(holder) or time.monotonic() > deadline:
            os.close(fd)
            raise Refused(
                f"orchd already runs on {home.root} (pid {holder or 'unknown'})",
                "use it, or stop it with `orch down`",
            )
        time.sleep(0.02)
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="orchd", description="Run the supervisor of a home.")
    parser.add_argument("--home", help="the home (default: $ORCH_HOME or ~/.orch)")
    parser.add_argument("--spawn", choices=[*spawn.Mode], help="how services are made")
    parser.add_argument("--version", action="version", version=f"orchd {__version__}")
    parser.add_argument("--preflight", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--adopt", type=int, metavar="FD", help=argparse.SUPPRESS)
    return parser


def _preflight() -> None:
    """Show that this program can be imported, services included, and takes our state."""
    failed = spawn.preload(roster.planned(Home()).modules())
    for module, error in failed.items():
        print(f"{module}: {error}")
    if not failed:
        print(upgrade.FORMAT)


def _started(home: Home, mode: spawn.Mode) -> Orchd:
    began = time.monotonic()
    _make_home(home)
    lock = take_lock(home)
    log.setup(home, "orchd")
    swept = leftovers.sweep(home)
    control = sockets.listen(home.control, "ctl")
    orchd = _orchd(home, mode, lock)
    _introduce(orchd)
    orchd.serve(control)
    orchd.hear_signals()
    if swept:
        orchd.report("leftovers_ended", {"services": swept})
    for name in list(orchd.children):
        if name not in orchd.commands.stopped:
            orchd.step(name, Start())
    logger.info("orchd started", extra={"seconds": round(time.monotonic() - began, 3)})
    return orchd


def _adopted(home: Home, mode: spawn.Mode, fd: int) -> Orchd:
    """Go on where the program before us was; back to it when that fails."""
    try:
        carried = upgrade.read(fd)
        log.setup(home, "orchd")
        orchd = _orchd(home, mode, carried.lock)
        os.set_inheritable(carried.lock, False)
        orchd.serve(_listening(carried.control))
        client = upgrade.adopt(orchd, carried)
    except Exception as error:
        upgrade.go_back(fd, f"{type(error).__name__}: {error}")
        raise
    os.close(fd)
    orchd.hear_signals()
    orchd.apply(orchd.plan)
    upgrade.finish(orchd, client, carried.failed)
    return orchd


def _make_home(home: Home) -> None:
    try:
        home.make()
    except OSError as error:
        raise Refused(f"the home {home.root} cannot be made: {error}") from error


def _orchd(home: Home, mode: spawn.Mode, lock: int) -> Orchd:
    """orchd with everything imported that children share, and nothing running yet."""
    entitle(f"orchd {home.root}")
    watch = Watch(roster.sources(home), lambda: roster.planned(home), roster.usual())
    failed = spawn.preload(watch.plan.modules()) if mode is spawn.Mode.FORK else {}
    orchd = Orchd(home, mode, watch, lock, Notifier())
    for module, error in failed.items():
        logger.error("cannot be imported", extra={"module_name": module, "reason": error})
    if mode is spawn.Mode.FORK and spawn.threads() > 1:
        orchd.problems["threads"] = "orchd has more than one thread: services are executed"
    gc.collect()
    gc.freeze()
    return orchd


def _introduce(orchd: Orchd) -> None:
    for entry in orchd.plan.services:
        orchd.add(entry)


def _listening(fd: int) -> socket.socket:
    os.set_inheritable(fd, False)
    listener = socket.socket(fileno=fd)
    listener.setblocking(False)
    return listener


def _leave(orchd: Orchd) -> None:
    """Take away what only makes sense while we run; the lock goes with the process."""
    for name, child in orchd.children.items():
        for kind in child.listeners:
            sockets.remove(orchd.home.socket(name, kind))
    sockets.remove(orchd.home.control)
    with contextlib.suppress(OSError):
        Path(orchd.home.run / "children").unlink(missing_ok=True)
    logger.info("orchd left")


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _alive(holder: str) -> bool:
    if not holder.isdigit():
        return False  # it is only just writing its pid
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
