"""Terminal output as plain text."""

from __future__ import annotations

import re

ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, modes
    r"|\x1b[]PX^_].*?(?:\x07|\x1b\\|\Z)"  # OSC, DCS, SOS, PM, APC: titles, links, pictures
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-Z\\^-~]"  # single-character functions
    r"|\x1b\[?[0-?]*[ -/]*\Z"  # cut off at the end
    r"|\x9b[0-?]*[ -/]*[@-~]",
    re.DOTALL,
)
"""Escape sequences (ECMA-48; xterm's `ctlseqs`)."""

CONTROLS = re.compile(r"[\x00-\x07\x0b-\x0c\x0e-\x1f\x7f-\x9f]")


def strip_ansi(text: str) -> str:
    """The text without escape sequences and control characters. A line that was written over
    (carriage return) is what was written last; backspaces take their character away."""
    text = CONTROLS.sub("", ESCAPES.sub("", text))
    return "\n".join(_overwritten(line) for line in text.split("\n"))


def last_line(text: str, most: int = 400) -> str:
    """The last line with something on it, shortened to `most` characters; '' without one."""
    for line in reversed(text.splitlines()):
        if line.strip():
            found = line.strip()
            return found if len(found) <= most else f"{found[: most - 1]}…"
    return ""


def _overwritten(line: str) -> str:
    if "\r" in line:
        parts = [part for part in line.split("\r") if part]
        line = parts[-1] if parts else ""
    if "\b" not in line:
        return line
    kept: list[str] = []
    for char in line:
        if char != "\b":
            kept.append(char)
        elif kept:
            kept.pop()
    return "".join(kept)
