"""A scratch home for `orch demo` and `orch doctor --chaos`, of which nothing stays."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Callable, Iterator

from orch.cli import daemon
from orch.paths import Home, scratch

STOPPING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def scratch_home(prefix: str, interrupted: Callable[[], None]) -> Iterator[Home]:
    """A scratch home; afterwards everything that ran on it is ended and its folder is gone.

    Ctrl-C, SIGTERM and SIGHUP end it too: `interrupted` may say so first.
    """
    root = scratch(prefix)
    home = Home(root / "home")
    with _stoppable():
        try:
            yield home
        except KeyboardInterrupt:
            interrupted()
            raise
        finally:
            _masked(lambda: daemon.end_everything(home))
            shutil.rmtree(root, ignore_errors=True)


def _masked(work: Callable[[], None]) -> None:
    """Do `work` to its end: an impatient second Ctrl-C does not leave half of it."""
    numbers = (signal.SIGINT, *STOPPING)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        work()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the work as Ctrl-C does: with everything stopped and removed."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = [signal.signal(number, interrupt) for number in STOPPING]
    try:
        yield
    finally:
        for number, handler in zip(STOPPING, before, strict=True):
            signal.signal(number, handler)
