"""`orch parse`: what a recorded run came to, judged as the engine would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from orch import agents
from orch.cli import complete, show
from orch.cli.app import App
from orch.config.load import load
from orch.errors import NotFound, OrchError
from orch.model import Verdict
from orch.session.launch import read_result

TAIL_BYTES = 256 * 1024
"""How much of the end of the output is read, as the engine does."""


@click.command()
@click.option("--agent", default="command", shell_complete=complete.agents, help="Who ran, or how.")
@click.option("--exit", "code", type=int, help="The agent's exit code; negative for a signal.")
@click.option("--stderr", type=click.Path(dir_okay=False), help="What it wrote to stderr.")
@click.argument("path")
@click.pass_obj
def parse(app: App, agent: str, code: int | None, stderr: str | None, path: str) -> None:
    """Judge a run: PATH is what it printed (- for stdin), or an attempt's folder.

    Needs no running orch. AGENT is an agent of the configuration, or a protocol's name.

    \b
    Example:
      my-agent > out.txt; orch parse --exit $? out.txt
    """
    protocol = _protocol(app, agent)
    recorded = _folder(Path(path)) if path != "-" and Path(path).is_dir() else None
    if recorded is None:
        errors = _read(stderr) if stderr else ""
        recorded = _recorded(_read(path), errors, code or 0)
    verdict = agents.verdict(protocol, recorded)
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
            ("files", ", ".join(answer.files_changed) if answer else ""),
        ]
    )


def _protocol(app: App, agent: str) -> str:
    """The protocol meant by an agent's name or by its own; raises `NotFound` on neither."""
    if agent in agents.BY_PROTOCOL:
        return agent
    known = load(app.home).config.agents
    if agent not in known:
        names = ", ".join(sorted({*known, *agents.BY_PROTOCOL}))
        raise NotFound(f"there is no agent or protocol {agent!r}", f"there are {names}")
    return known[agent].protocol


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
    """The run that an attempt's folder holds; raises `NotFound` while it has not ended."""
    result = read_result(folder)
    if result is None:
        raise NotFound(f"{folder} holds no ended attempt", "it has no exit.txt (yet)")
    ended = agents.Ended(
        ended_by=result.ended_by,
        exit_code=result.exit_code,
        signal=result.signal,
        message=result.message,
    )
    tail = agents.strip_ansi(_read(str(folder / "terminal.log")))
    return agents.Recorded(result=ended, tail=tail, output=result.answer_text)


def _read(path: str) -> str:
    """The end of a file, or of stdin, as text; raises `NotFound` and `OrchError`."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read()
        else:
            with Path(path).open("rb") as file:
                file.seek(max(Path(path).stat().st_size - TAIL_BYTES, 0))
                data = file.read()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise OrchError(f"{path} cannot be read: {error.strerror}") from None
    return data[-TAIL_BYTES:].decode("utf-8", "replace")
