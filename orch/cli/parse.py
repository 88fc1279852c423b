"""`orch parse`: what a recorded run came to, judged as the engine would."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from orch import agents
from orch.agents import runs
from orch.agents.runs import READERS
from orch.cli import complete, show
from orch.cli.app import App
from orch.config.load import load
from orch.errors import NotFound, OrchError
from orch.model import Verdict
from orch.session.launch import EVENTS, LOG, STDERR, Result, read_result
from orch.tools.zone import machine_zone

TAIL_BYTES = 256 * 1024
"""How much of the end of the output is read, as the engine does."""

MOST_BYTES = 256 * 1024 * 1024
"""How much of the end of a CLI's own output is read."""


@click.command()
@click.option("--agent", default="command", shell_complete=complete.agents, help="Who ran, or how.")
@click.option("--exit", "code", type=int, help="The agent's exit code; negative for a signal.")
@click.option("--stderr", type=click.Path(dir_okay=False), help="What it wrote to stderr.")
@click.argument("path")
@click.pass_obj
def parse(app: App, agent: str, code: int | None, stderr: str | None, path: str) -> None:
    """Judge a run: PATH is what it printed (- for stdin), or an attempt's folder.

    Needs no running orch. AGENT is an agent of the configuration, a protocol's name, or a CLI whose
    output is understood: claude, codex, gemini, opencode, qwen.

    \b
    Example:
      my-agent > out.txt; orch parse --exit $? out.txt
      codex exec --json - < prompt.txt > out.jsonl 2> err.txt
      orch parse --agent codex --exit $? --stderr err.txt out.jsonl
    """
    protocol = _protocol(app, agent)
    in_folder = path != "-" and Path(path).is_dir()
    if in_folder and protocol in agents.BY_PROTOCOL:
        verdict = agents.verdict(protocol, _folder(Path(path)))
    elif in_folder:
        verdict = runs.judge(protocol, _folder(Path(path)))
    elif protocol in READERS:
        verdict = _run(path, stderr, code, protocol)
    else:
        errors = _read(stderr) if stderr else ""
        verdict = agents.verdict(protocol, _recorded(_read(path), errors, code or 0))
    if app.json:
        show.json(document(verdict))
    else:
        _print(verdict)


def document(verdict: Verdict) -> dict[str, Any]:
    """The JSON of the contract."""
    usage = verdict.usage
    return {
        "ok": verdict.ok,
        "class": verdict.error,
        "message": verdict.message,
        "retry_at": show.rfc3339(verdict.retry_at),
        "answer": verdict.answer,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "usd": usage.usd,
        },
        "native_session": verdict.native_session,
    }


def _print(verdict: Verdict) -> None:
    answer = verdict.answer
    show.pairs(
        [
            ("verdict", "ok" if verdict.ok else f"not ok: {verdict.error}"),
            ("message", verdict.message),
            ("retry at", show.moment(verdict.retry_at)),
            ("status", answer.status if answer else ""),
            ("summary", answer.summary if answer else ""),
            ("reason", answer.reason if answer else ""),
            ("session", verdict.native_session),
            ("files", ", ".join(answer.files_changed) if answer else ""),
        ]
    )


def _protocol(app: App, agent: str) -> str:
    """The protocol meant by an agent's name or by its own; raises `NotFound` on neither."""
    if agent in agents.BY_PROTOCOL or agent in READERS:
        return agent
    known = load(app.home).config.agents
    if agent not in known:
        names = ", ".join(sorted({*known, *agents.BY_PROTOCOL, *READERS}))
        raise NotFound(f"there is no agent or protocol {agent!r}", f"there are {names}")
    return known[agent].read_as


def _run(path: str, stderr: str | None, code: int | None, cli: str) -> Verdict:
    """The verdict on what a CLI printed. A clock time in it is seen from when it was written."""
    out, errors = _bytes(path), _bytes(stderr) if stderr else b""
    now = time.time() if path == "-" else Path(path).stat().st_mtime
    return READERS[cli](out, errors, code, now=now, zone=machine_zone())


def _recorded(printed: str, errors: str, code: int) -> agents.Recorded:
    """The run as a terminal would have shown it: what went wrong stands last if it went wrong."""
    texts = [errors, printed] if code == 0 else [printed, errors]
    ended = agents.Ended(
        ended_by="exit",
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
    )
    tail = "\n".join(text for text in texts if text)
    return agents.Recorded(result=ended, tail=agents.strip_ansi(tail))


def _folder(folder: Path) -> agents.Recorded:
    """The run that an attempt's folder holds, as the engine reads it; raises `NotFound` while it
    has not ended. Without raw messages they are what its terminal showed."""
    result = _ended(folder)
    ended = agents.Ended(
        ended_by=result.ended_by,
        exit_code=result.exit_code,
        signal=result.signal,
        message=result.message,
        ended_at=result.ended_at,
    )
    events, errors = folder / EVENTS, folder / STDERR
    raw = _bytes(str(events if events.is_file() else folder / LOG))
    return agents.Recorded(
        result=ended,
        tail=agents.strip_ansi(_read(str(folder / LOG))),
        output=result.answer_text,
        events=tuple(raw.splitlines()),
        stderr=_read(str(errors)) if errors.is_file() else "",
        zone=machine_zone(),
    )


def _ended(folder: Path) -> Result:
    result = read_result(folder)
    if result is None:
        raise NotFound(f"{folder} holds no ended attempt", "it has no exit.txt (yet)")
    return result


def _read(path: str) -> str:
    """The end of a file, or of stdin, as text; raises as `_bytes` does."""
    return _bytes(path, TAIL_BYTES).decode("utf-8", "replace")


def _bytes(path: str, most: int = MOST_BYTES) -> bytes:
    """The last bytes of a file, or of stdin; raises `NotFound` and `OrchError`."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with Path(path).open("rb") as file:
                file.seek(max(Path(path).stat().st_size - most, 0))
                data = file.read()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise OrchError(f"{path} cannot be read: {error.strerror}") from None
    return data[-most:]
