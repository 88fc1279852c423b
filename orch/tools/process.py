"""Running programs: bounded in time and output, in a process group of their own, never guessing."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from orch.errors import ToolFailed, Unknown

LIMIT = 16 << 20
"""The most output of one program that is kept, in bytes, stdout and stderr each."""

REAP_SECONDS = 0.2
"""The longest wait for more output of a program that may have left a child holding its end."""

DRAIN_BYTES = 1 << 20
"""Bytes read after a program's end: a pipe's worth is its own, more comes from what it left."""
SIZE_SECONDS = 0.5
"""Seconds between two looks at how much a program has written to its file."""

SAID = 2000
"""The most of a program's own words in an error, in characters."""

INSTALL = {
    "git": "apt install git, or brew install git",
    "tmux": "apt install tmux, or brew install tmux",
    "gh": "see https://cli.github.com",
}


class Ran(NamedTuple):
    """What a program came to: its exit code (negative: a signal), and what it wrote."""

    code: int
    out: bytes
    err: bytes


class Late(Unknown):
    """A program did not end in time; `out` and `err` are what it had written by then."""

    def __init__(self, message: str, out: bytes, err: bytes) -> None:
        super().__init__(message)
        self.out = out
        self.err = err


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    cwd: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 30.0,
    input: bytes = b"",  # noqa: A002 - the name subprocess gives it
    check: bool = True,
    limit: int = LIMIT,
) -> Ran:
    """Run a program to its end. Safe from any thread.

    Raises `ToolFailed` in the program's own words when it is missing, exits other than 0 (with
    `check`) or writes more than `limit` bytes; `Unknown` (`Late`) when it takes longer than
    `timeout` seconds: it and its process group are killed then.
    """
    words = [os.fspath(word) for word in argv]
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE if input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
    except OSError as error:
        raise _not_started(words[0], cwd, error) from error
    kept: tuple[bytearray, bytearray] = (bytearray(), bytearray())
    try:
        _talk(process, input, time.monotonic() + timeout, limit, kept)
    except _TooLate:
        late = f"{_name(words)} did not answer within {timeout:g} s"
        raise Late(late, bytes(kept[0]), bytes(kept[1])) from None
    except _TooMuch:
        raise ToolFailed(f"{_name(words)} wrote more than {limit} bytes") from None
    finally:
        _kill(process)
    ran = Ran(process.returncode, bytes(kept[0]), bytes(kept[1]))
    if check and ran.code != 0:
        raise ToolFailed(f"{_name(words)} failed: {said(ran)}")
    return ran


def follow(argv: Sequence[str], cwd: str | os.PathLike[str], into: Callable[[bytes], None]) -> int:
    """Run a program in this process's own group and environment to its end, handing on what it
    writes (stdout and stderr together) as it comes. Returns its exit code (negative: a signal).

    Raises `ToolFailed` when it cannot be started. What it leaves running is not waited for.
    """
    try:
        process = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as error:
        raise _not_started(argv[0], cwd, error) from error
    assert process.stdout
    with process.stdout as out, selectors.DefaultSelector() as selector:
        os.set_blocking(out.fileno(), False)
        selector.register(out, selectors.EVENT_READ)
        left = DRAIN_BYTES
        while left > 0:
            ended = process.poll() is not None  # before the last look at its output
            if not selector.select(0.0 if ended else REAP_SECONDS):
                if ended:
                    break
                continue
            block = os.read(out.fileno(), 65536)
            if not block:
                break
            left -= len(block) if ended else 0
            into(block)
        return process.wait()


def said(ran: Ran) -> str:
    """A failed program's own words, shortened; its exit code when it said nothing."""
    text = (ran.err.strip() or ran.out.strip()).decode("utf-8", "replace")
    if len(text) > SAID:
        text = f"{text[:SAID]}…"
    how = f"signal {-ran.code}" if ran.code < 0 else f"exit code {ran.code}"
    return text or how


def record(
    argv: Sequence[str],
    log: Path,
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str],
    timeout: float,
    input: bytes = b"",  # noqa: A002 - the name subprocess gives it
    limit: int = LIMIT,
) -> int:
    """Run a program to its end, with all that it writes going to the file `log`. Returns its exit
    code (negative: a signal). What is left of its process group then is killed.

    Raises `ToolFailed` when it cannot be started or writes more than `limit` bytes, `Unknown` when
    it takes longer than `timeout` seconds, and `OSError` when the file cannot be written.
    """
    deadline = time.monotonic() + timeout
    with log.open("wb") as out, tempfile.TemporaryFile() as given:
        given.write(input)
        given.seek(0)
        try:
            process = subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=given, stdout=out, stderr=out, process_group=0
            )
        except OSError as error:
            raise _not_started(argv[0], cwd, error) from error
        try:
            while process.poll() is None:
                if os.fstat(out.fileno()).st_size > limit:
                    raise ToolFailed(f"{_name([*argv])} wrote more than {limit} bytes")
                if (left := deadline - time.monotonic()) <= 0:
                    raise Unknown(f"{_name([*argv])} did not end within {timeout:g} s")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(left, SIZE_SECONDS))
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return process.returncode


def started(pid: int) -> float | None:
    """When a process started, on a scale that tells two users of one pid apart (seconds since
    boot on Linux, else since the epoch); None when there is no such process, or it is a zombie."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def marked(run: str, below: bool = False) -> list[int]:
    """The processes of this user, this one apart, that carry `ORCH_RUN={run}`; with `below` also
    those that carry a name below it, `{run}:…`."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            mark = process.environ().get("ORCH_RUN", "")
            ours = mark == run or (below and mark.startswith(f"{run}:"))
            if ours and process.pid != os.getpid():
                found.append(process.pid)
    return found


def inside(folder: str | os.PathLike[str]) -> list[int]:
    """The processes of this user whose current folder is `folder` or lies below it."""
    top = os.fspath(folder)
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            where = process.cwd()
            if where == top or where.startswith(f"{top}/"):
                found.append(process.pid)
    return found


def end(pids: Iterable[int], grace: float = 1.0) -> list[int]:
    """End processes: SIGTERM, `grace` seconds, SIGKILL. Returns those that live on regardless."""
    living = {pid: born for pid in pids if (born := started(pid)) is not None}
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        for pid in living:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while living := {pid: born for pid, born in living.items() if started(pid) == born}:
            if time.monotonic() >= deadline:
                break
            time.sleep(0.005)
    return list(living)


class _TooLate(Exception):
    """The program took longer than allowed."""


class _TooMuch(Exception):
    """The program wrote more than allowed."""


def _talk(
    process: subprocess.Popen[bytes],
    data: bytes,
    deadline: float,
    limit: int,
    outputs: tuple[bytearray, bytearray],
) -> None:
    """Feed and read the program, into `outputs`, until both its outputs end and it has left."""
    assert process.stdout
    assert process.stderr
    kept: dict[int, bytearray] = {}
    left = memoryview(data)
    with selectors.DefaultSelector() as selector:
        for stream, output in zip((process.stdout, process.stderr), outputs, strict=True):
            kept[stream.fileno()] = output
            selector.register(stream, selectors.EVENT_READ)
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            for key, _ in selector.select(_left(deadline)):
                if key.fileobj is process.stdin:
                    left = _feed(key.fd, left)
                    if not left:
                        selector.unregister(key.fd)
                        process.stdin.close()
                    continue
                block = os.read(key.fd, 65536)
                kept[key.fd] += block
                if len(kept[key.fd]) > limit:
                    raise _TooMuch
                if not block:
                    selector.unregister(key.fd)
    try:
        process.wait(_left(deadline))
    except subprocess.TimeoutExpired:
        raise _TooLate from None


def _feed(descriptor: int, data: memoryview) -> memoryview:
    try:
        return data[os.write(descriptor, data[:65536]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return memoryview(b"")  # it does not want the rest


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _TooLate
    return left


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the group of a program that is still there, and close our ends."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError):
                stream.close()


def _not_started(program: str, cwd: str | os.PathLike[str] | None, error: OSError) -> ToolFailed:
    if cwd is not None and not Path(cwd).is_dir():
        return ToolFailed(f"cannot run {program} in {os.fspath(cwd)}: there is no such folder")
    if isinstance(error, FileNotFoundError) and shutil.which(program) is None:
        return ToolFailed(
            f"{program} is not installed",
            INSTALL.get(Path(program).name, f"install {program}, or put it in PATH"),
        )
    return ToolFailed(f"cannot run {program}: {error.strerror}")


def _name(words: list[str]) -> str:
    """The command for an error: the program and its subcommand."""
    return " ".join([Path(words[0]).name, *(w for w in words[1:2] if not w.startswith("-"))])
