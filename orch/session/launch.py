"""What the engine and a session process tell each other by files in the attempt's folder.

`launch.json` and `runner.sh` go in, `result.json` and (last, atomically) `exit.txt` come out. The
session process itself reads and writes these files without this module: msgspec alone would cost
it more time and memory than everything else it does (`orch.session.order`).
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orch.errors import Unknown

LAUNCH, RUNNER, RESULT, EXIT = "launch.json", "runner.sh", "result.json", "exit.txt"
LOG, TIMING, OWNER = "terminal.log", "terminal.timing", "session.json"
EVENTS, STDERR, STATE = "events.jsonl", "stderr.txt", "state.json"

S = TypeVar("S", bound=msgspec.Struct)


class Instead(msgspec.Struct, frozen=True, kw_only=True):
    """What else to run where the agent's server does not come up; see the fields of `Launch`."""

    argv: tuple[str, ...]
    dialect: str
    settings: dict[str, str] = {}
    again: tuple[str, ...] = ()


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """The order to run one attempt.

    `run` is the marker every process of the attempt carries as `ORCH_RUN`; `env` is the agent's
    whole environment; `socket` is where the session process listens for input; `nudges` are
    datagram sockets told of each write and of the end, `endings` of the end alone;
    `timeout_seconds` 0 means no limit; `columns` and `rows` hold until the pane says otherwise.
    With the protocol `structured` the agent is on pipes and speaks `dialect` by `settings`
    (`orch.agents.stream`), and `prompt` is the file it is given. `again` is the argv of a one-shot
    program's next turn, with `{session}` in it; `instead` is run when the agent does not begin.
    `budget` is what it may spend (`orch.agents.budget.written`; empty: no limit).
    """

    session: str
    task: str
    attempt: int
    run: str
    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    folder: str
    socket: str
    fence: int = 0
    agent: str = ""
    model: str = ""
    protocol: str = "command"
    nudges: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    timeout_seconds: float = 0.0
    output_file: str = ""
    columns: int = 200
    rows: int = 50
    dialect: str = ""
    settings: dict[str, str] = {}
    prompt: str = ""
    again: tuple[str, ...] = ()
    instead: Instead | None = None
    budget: dict[str, Any] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How one attempt's agent ended. Times are seconds since the epoch.

    `ended_by` is exit, timeout, budget (budget_day: the day's), cancelled, hangup or launch_failed;
    one of `exit_code` and `signal` is set whenever the agent ran; `size` is the bytes of
    `terminal.log`; `answer_text` is what the agent wrote to its output file (its first MiB).
    `native_session` is the id by which a structured agent can resume the conversation.
    """

    ended_by: str
    exit_code: int | None = None
    signal: int | None = None
    started_at: float = 0.0
    ended_at: float = 0.0
    size: int = 0
    message: str = ""
    answer_text: str = ""
    native_session: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a structured agent does now (`state.json`): `state` is one of `orch.agents.stream`,
    `question` is what it waits to be told first and `questions` all of that, oldest first
    (`stream.Asked`), `settled` the last that were (`structured_talk.Talk.now`), `used` its tokens
    so far (`stream.TokensUsed`)."""

    state: str
    native_session: str = ""
    model: str = ""
    question: dict[str, Any] | None = None
    questions: tuple[dict[str, Any], ...] = ()
    settled: tuple[dict[str, Any], ...] = ()
    used: dict[str, Any] | None = None


def prepare(launch: Launch) -> None:
    """Write `launch.json` and `runner.sh` into the attempt's folder, both for this user alone."""
    folder = Path(launch.folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _replace(folder / LAUNCH, msgspec.json.format(msgspec.json.encode(launch)), 0o600)
    _replace(folder / RUNNER, runner(folder).encode(), 0o700)


def runner(folder: Path | str) -> str:
    """The text of `runner.sh`: becomes the session process of `folder`, and nothing else."""
    program = " ".join(shlex.quote(word) for word in (sys.executable, "-I", "-m", "orch.session"))
    return f"#!/bin/sh\n# Runs one attempt; started in a tmux pane.\nexec {program} " + (
        shlex.quote(str(folder)) + "\n"
    )


def read_launch(folder: Path | str) -> Launch | None:
    """The order in `folder`; None when there is none. Raises `Unknown` when it cannot be read."""
    return _read(Path(folder) / LAUNCH, Launch)


def read_result(folder: Path | str) -> Result | None:
    """How the attempt ended; None while `exit.txt` is not there. Raises `Unknown`."""
    folder = Path(folder)
    try:
        (folder / EXIT).stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unknown(f"cannot look for {folder / EXIT}: {error.strerror}") from error
    found = _read(folder / RESULT, Result)
    if found is None:
        raise Unknown(f"{folder / EXIT} is there, but {RESULT} is not")
    return found


def read_state(folder: Path | str) -> State | None:
    """What the structured agent in `folder` does; None when nothing is known. Raises `Unknown`."""
    return _read(Path(folder) / STATE, State)


def _read(path: Path, kind: type[S]) -> S | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unknown(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unknown(f"{path} cannot be understood: {error}") from error


def _replace(path: Path, data: bytes, mode: int) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.touch(mode)
    fresh.write_bytes(data)
    fresh.replace(path)
