"""A program that has this terminal for a while, as a tmux client or a pager."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from orch.errors import Refused
from orch.paths import Home

DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGPIPE)
"""What the program must not inherit as ignored."""


def attach_command(home: Home, session: str) -> list[str]:
    """What enters a session."""
    return ["tmux", "-u", "-S", os.fspath(home.tmux), "attach-session", "-t", f"={session}"]


def run(argv: Sequence[str]) -> int:
    """Run a program on this terminal until it leaves; returns its exit code. Raises `Refused`."""
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"}
    ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is meant for the program
    try:
        pid = os.posix_spawnp(argv[0], list(argv), environment, setsigdef=DEFAULT_SIGNALS)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except FileNotFoundError:
        raise Refused(f"{argv[0]} is not installed", f"install {argv[0]}") from None
    except OSError as error:
        raise Refused(f"{argv[0]} cannot be started: {error.strerror}") from None
    finally:
        signal.signal(signal.SIGINT, ignored)
