"""Reasons not to type a text into an agent's terminal now."""


# Without pathlib: to import it would cost more than the rest of the start.
# ruff: noqa: PTH123

from __future__ import annotations

import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orch.session.program import Program

LINE = 4000
"""Bytes: a terminal that collects lines cuts longer ones off (N_TTY_BUF_SIZE is 4096)."""

SHELLS = {"sh", "bash", "zsh", "dash", "fish", "ksh", "mksh", "tcsh", "csh", "ash", "busybox"}


def objection(program: Program, terminal: bool, text: str) -> str:
    """Why `text` must not be typed now; '' when it may be."""
    try:
        lines, echo = program.modes()
    except (OSError, termios.error):
        return "the agent's terminal is gone"
    if lines and any(len(line.encode("utf-8", "replace")) > LINE for line in text.split("\n")):
        return f"the program reads lines, of which none may be longer than {LINE} bytes"
    if not terminal:
        return ""
    if lines and not echo:
        return "the program hides what is typed; it may be asking for a password"
    shell = _strange_shell(program)
    return f"a shell ({shell}) is in the foreground, not the agent" if shell else ""


def _strange_shell(program: Program) -> str:
    """The shell in the terminal's foreground, when it is not what was started as the agent."""
    try:
        front = os.tcgetpgrp(program.master)
        if front in (0, program.pid):
            return ""
        with open(f"/proc/{front}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        return ""
    return name if name in SHELLS else ""
