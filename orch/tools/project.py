"""The door to what a project says of itself: its own texts for agents, and its files."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from orch.errors import OrchError
from orch.tools import git

INSTRUCTIONS = ("CLAUDE.md", "AGENTS.md", "README.md")
"""The texts for whoever works in a project, in their order."""

MOST_BYTES = 64 * 1024
"""How much of one text is read."""


def instructions(folder: Path) -> tuple[tuple[str, str], ...]:
    """Name and text of the project's instructions that are there, each text once. A link that
    leads out of the folder, or what is no plain file, is none."""
    found: dict[str, str] = {}
    for name in INSTRUCTIONS:
        text = text_within(folder, name)
        if text.strip() and text not in found.values():
            found[name] = text
    return tuple(found.items())


def text_within(folder: Path, name: str, most: int = MOST_BYTES) -> str:
    """The first `most` bytes of a plain file in the folder; '' when there is none, when it cannot
    be read, or when a link leads out of the folder."""
    try:
        path = (folder / name).resolve(strict=True)
        if not path.is_relative_to(folder.resolve()):
            return ""
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError, ValueError):
        return ""
    try:
        plain = stat.S_ISREG(os.fstat(opened).st_mode)
        return os.read(opened, most).decode(errors="replace") if plain else ""
    except OSError:
        return ""
    finally:
        os.close(opened)


def files(folder: Path) -> tuple[str, ...]:
    """The files of a worktree that git knows; none when it cannot be asked: an agent can look."""
    try:
        return git.files_known(folder)
    except OrchError:
        return ()
