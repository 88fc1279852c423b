"""Makes the processes: forked from the preloaded orchd, or executed as a fresh interpreter."""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import importlib
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import msgspec

from orch.lifeline import entitle

FIRST_FD = 3
"""Where the descriptors handed to a child begin; the lifeline is the first."""

PR_SET_PDEATHSIG = 1
"""`prctl(2)`: the signal a process gets when its parent dies (Linux)."""

EXIT_CRASHED = 70
"""The status of a forked child whose `main` raised (EX_SOFTWARE of sysexits.h)."""


class Mode(StrEnum):
    """How a process is made."""

    FORK = "fork"
    EXEC = "exec"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A process to make: `fds` are the parent's numbers by name, the lifeline first."""

    name: str
    module: str
    fds: Mapping[str, int]
    environment: Mapping[str, str]
    folder: Path
    output: Path


def default_mode() -> Mode:
    """Fork, except on macOS, where system libraries do not survive it."""
    return Mode.EXEC if sys.platform == "darwin" else Mode.FORK


def threads() -> int:
    """How many threads this process has, foreign ones included where that can be seen."""
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - a Path would cost more
    except OSError:
        return threading.active_count()


def preload(modules: tuple[str, ...]) -> dict[str, str]:
    """Import what children will need, so that they share it; the failures by module.

    A module that cannot be imported here fails again in its own child, where it is reported.
    """
    failed: dict[str, str] = {}
    for module in modules:
        try:
            importlib.import_module(module)
        except (Exception, SystemExit) as error:
            failed[module] = f"{type(error).__name__}: {error}"
    return failed


def spawn(order: Order, mode: Mode) -> int:
    """Make the process and return its pid; raises OSError when there can be none.

    A process with several threads cannot fork safely and execs, whatever the mode.
    """
    if mode is Mode.FORK and threads() > 1:
        mode = Mode.EXEC
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _be_child(order, mode, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def command(module: str) -> list[str]:
    """How a fresh interpreter runs a service: isolated, so never the folder's own `services/`."""
    return [sys.executable, "-I", "-u", "-X", "faulthandler", "-m", module]


def examine(arguments: list[str]) -> subprocess.Popen[bytes]:
    """Run a program whose output is read from the returned object's `stdout`; raises OSError."""
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
        start_new_session=True,
    )


# ---- in the child ----------------------------------------------------------------------------


def _be_child(order: Order, mode: Mode, parent: int) -> NoReturn:
    status = EXIT_CRASHED
    try:
        _settle(order, parent)
        if mode is Mode.EXEC:
            arguments = command(order.module)
            os.execve(arguments[0], arguments, os.environ)
        status = _run(order)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(status)


def _run(order: Order) -> int:
    """Run the service's `main` in this forked process; its exit status."""
    entitle(f"orch-{order.name} {os.environ.get('ORCH_HOME', '')}".rstrip())
    sys.argv = [f"orch-{order.name}"]
    random.seed()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    faulthandler.disable()  # orchd's own handlers were reset with all the others
    faulthandler.enable()
    try:
        importlib.import_module(order.module).main()
    except SystemExit as leaving:
        return _status(leaving)
    return 0


def _status(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def _settle(order: Order, parent: int) -> None:
    """Become a process of its own: nothing of orchd's stays open, caught or blocked."""
    os.setsid()
    _reset_signals()
    _close_logs()
    numbers = _take_descriptors(order)
    os.environ.update(order.environment)
    os.environ["ORCH_FDS"] = ",".join(f"{name}={fd}" for name, fd in numbers.items())
    os.chdir(order.folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGCHLD,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGQUIT,
        signal.SIGABRT,
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _close_logs() -> None:
    """Drop orchd's log handlers while the numbers of their descriptors are still theirs."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()


def _take_descriptors(order: Order) -> dict[str, int]:
    """Move what is handed over to 3, 4, …, the output to 1 and 2; close everything else."""
    beyond = max([*order.fds.values(), FIRST_FD + len(order.fds)]) + 1
    moved = [_above(fd, beyond) for fd in order.fds.values()]
    nothing = _above(os.open(os.devnull, os.O_RDWR), beyond)
    output = _output(order.output, beyond) or nothing
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    for number, source in enumerate(moved, FIRST_FD):
        os.dup2(source, number)
    os.closerange(FIRST_FD + len(moved), _most_descriptors())
    return dict(zip(order.fds, range(FIRST_FD, FIRST_FD + len(moved)), strict=True))


def _above(fd: int, beyond: int) -> int:
    """A copy of `fd` numbered above what is about to be overwritten."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, beyond)


def _output(path: Path, beyond: int) -> int | None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError:
        return None  # a full disk or a missing folder must not keep the service from running
    return _above(fd, beyond)


def _most_descriptors() -> int:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if soft == resource.RLIM_INFINITY else max(soft, 1024)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def _load_libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


_libc = _load_libc()
"""Loaded before any fork: a child between fork and exec loads nothing."""
