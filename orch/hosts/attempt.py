"""An agent's plan as a launch order, and what its session left as a run to be judged: the two ends
of an attempt, the same for whoever starts one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orch import agents
from orch.hosts import Host
from orch.session.launch import EVENTS, STDERR, Instead, Launch, Result
from orch.tools.zone import machine_zone

TAIL_BYTES = 256 * 1024
"""How much of the end of `terminal.log` and `stderr.txt` is read for the answer."""

EVENTS_BYTES = 32 * 1024 * 1024
"""How much of the end of `events.jsonl` is read for the verdict."""


def order(plan: agents.Plan, folder: Path, **more: Any) -> Launch:
    """The launch order of a plan; `more` are the other fields of `Launch`."""
    other, instead = plan.instead, None
    if other is not None:
        instead = Instead(
            argv=other.argv, dialect=other.dialect, settings=other.settings, again=other.again
        )
    return Launch(
        argv=plan.argv,
        folder=str(folder),
        protocol=plan.protocol,
        output_file=plan.env.get("ORCH_OUTPUT_FILE", ""),
        dialect=plan.dialect,
        settings=plan.settings,
        prompt=str(folder / plan.prompt) if plan.prompt else "",
        again=plan.again,
        instead=instead,
        **more,
    )


def recorded(host: Host, folder: Path, ended: Result) -> agents.Recorded:
    """What the session in `folder` came to. Raises `Unknown` when it cannot be read."""
    tail = _end(host, folder, "terminal.log", TAIL_BYTES)
    return agents.Recorded(
        result=agents.Ended(
            ended_by=ended.ended_by,
            exit_code=ended.exit_code,
            signal=ended.signal,
            message=ended.message,
            ended_at=ended.ended_at,
        ),
        tail=agents.strip_ansi(tail.decode(errors="replace")),
        output=ended.answer_text,
        events=tuple(_end(host, folder, EVENTS, EVENTS_BYTES).splitlines()),
        stderr=_end(host, folder, STDERR, TAIL_BYTES).decode(errors="replace"),
        zone=machine_zone(),
    )


def _end(host: Host, folder: Path, name: str, most: int) -> bytes:
    """The end of a file of the attempt's folder."""
    size = host.size(folder, name)
    return host.read(folder, max(0, size - most), most, name) if size else b""
