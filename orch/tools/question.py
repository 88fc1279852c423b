"""The door by which an agent is asked one question: bounded in time, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from orch.agents.contract import OUTPUT
from orch.agents.inherited import environment
from orch.agents.question import OUTPUT_BYTES, Asking, Reply, heard
from orch.errors import ToolFailed
from orch.tools import process


def ask(asking: Asking, timeout: float) -> Reply:
    """Ask, and wait for the reply, `timeout` seconds at most; slow, so run it aside. A failure of
    the agent is a reply with its class. The question's folder is made, and removed afterwards."""
    folder = Path(asking.folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in asking.files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return _asked(asking, timeout)
    finally:
        run = asking.env.get("ORCH_RUN", "")
        if run:
            process.end(process.marked(run))
        shutil.rmtree(folder, ignore_errors=True)


def _asked(asking: Asking, timeout: float) -> Reply:
    env = environment(dict(os.environ), asking.env, asking.passes)
    try:
        ran = process.run(
            asking.argv, cwd=asking.cwd, env=env, timeout=timeout, input=asking.stdin,
            check=False, limit=OUTPUT_BYTES,
        )  # fmt: skip
    except process.Late as late:
        return heard(asking, late.out, late.err, None, now=time.time(), ended_by="timeout",
                     message=f"no reply within {timeout:g} s")  # fmt: skip
    except ToolFailed as error:
        said = error.message if not error.hint else f"{error.message} ({error.hint})"
        return heard(
            asking, b"", b"", None, now=time.time(), ended_by="launch_failed", message=said
        )
    return heard(asking, ran.out, ran.err, ran.code, now=time.time(), output=_written(asking))


def _written(asking: Asking) -> str:
    """What it wrote to its output file."""
    try:
        with (Path(asking.folder) / OUTPUT).open("rb") as file:
            return file.read(OUTPUT_BYTES).decode(errors="replace")
    except OSError:
        return ""
