"""The door by which an opencode is asked which of its models cost nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from orch.agents.inherited import environment
from orch.agents.opencode_models import Listing, free
from orch.agents.plain import last_line, strip_ansi
from orch.errors import ToolFailed
from orch.tools import process

SAID_BYTES = 16 << 20
"""The most that it may say: some kilobyte for each of its models."""


def free_models(listing: Listing, folder: Path, timeout: float) -> tuple[str, ...]:
    """Ask, `timeout` seconds at most; slow, so run it aside. It runs in `folder`, which is made
    and removed, so that no project's settings count, and writes to a file: into a pipe that is not
    read at once it writes 64 KiB and leaves (opencode 1.18.33).

    Raises `ToolFailed`, `Unknown` or `Malformed` when it does not say it, `OSError` without a disk.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
        env = environment(dict(os.environ), listing.env, listing.passes)
        log = folder / "said"
        code = process.record(
            listing.argv, log, cwd=folder, env=env, timeout=timeout, limit=SAID_BYTES
        )
        said = strip_ansi(log.read_text(errors="replace"))
    finally:
        process.end(process.marked(listing.env["ORCH_RUN"]))
        shutil.rmtree(folder, ignore_errors=True)
    if code:
        raise ToolFailed(f"`opencode models` failed: {last_line(said) or f'exit code {code}'}")
    return free(said)
