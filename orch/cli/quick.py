"""`orch ping` and `orch version` in as few imports as possible: they start like `python -c pass`.

What is done by hand here (the home's socket path, the reading of one msgpack map) is checked
against `orch.paths` and `orch.messages` by the tests.
"""

import os
import sys
import time

from orch import __version__

WAIT_SECONDS = 2.0
LONGEST_RUN_FOLDER = (103 if sys.platform == "darwin" else 107) - 56
"""Bytes that a run folder's path may have (`orch.paths.LONGEST_SOCKET` go below it)."""


def run(command: str, *, json: bool, home: str = "") -> int:
    """Print the answer of `ping` or `version`; returns the exit code."""
    if command == "version":
        text = f'{{"version":"{__version__}"}}' if json else f"orch {__version__}"
        return _print(text)
    started = time.perf_counter()
    try:
        pong = ping(home)
    except OSError as error:
        return _no_answer(error, json)
    took = time.perf_counter() - started
    version, pid = pong["version"], pong["pid"]
    if json:
        return _print(f'{{"pid":{pid},"version":"{version}","seconds":{took:.6f}}}')
    return _print(f"orchd {version} answered in {took * 1000:.1f} ms (pid {pid})")


def ping(home: str = "") -> dict[str, str | int]:
    """orchd's `Pong` as a map; raises `OSError` when there is no answer within two seconds."""
    from orch import control_ping  # noqa: PLC0415 - `version` does not need it

    reply = unpack_flat(control_ping.ping(control_path(home), WAIT_SECONDS))
    if reply.get("type") != "Pong":
        raise OSError(str(reply.get("message", "orchd gave a strange answer")))
    return reply


def control_path(home: str = "") -> str:
    """orchd's control socket of a home, as `orch.paths.Home` has it."""
    root = home or os.environ.get("ORCH_HOME") or "~/.orch"
    root = os.path.abspath(os.path.expanduser(root))  # noqa: PTH100, PTH111 - pathlib is slow
    folder = os.path.join(root, "run")  # noqa: PTH118
    if len(os.fsencode(folder)) > LONGEST_RUN_FOLDER:
        try:
            with open(os.path.join(root, "run.path"), encoding="utf-8") as file:  # noqa: PTH118, PTH123
                folder = file.read().strip()
        except FileNotFoundError:
            raise ConnectionRefusedError(root) from None
    return os.path.join(folder, "ctl.sock")  # noqa: PTH118


def unpack_flat(data: bytes) -> dict[str, str | int]:
    """A msgpack map of strings to strings and unsigned numbers; raises `OSError` on others."""
    if not data or data[0] & 0xF0 != 0x80:
        raise OSError("orchd gave a strange answer")
    found: dict[str, str | int] = {}
    at = 1
    for _ in range(data[0] & 0x0F):
        key, at = _unpack_one(data, at)
        found[str(key)], at = _unpack_one(data, at)
    return found


def _unpack_one(data: bytes, at: int) -> tuple[str | int, int]:
    """The string or number at `at`, and where the next one begins (msgpack's own spec)."""
    kind = data[at] if at < len(data) else -1
    at += 1
    if 0 <= kind < 0x80:
        return kind, at
    if 0xCC <= kind <= 0xCF:
        end = at + (1 << (kind - 0xCC))
        return int.from_bytes(data[at:end], "big"), end
    if 0xD9 <= kind <= 0xDB:
        begin = at + (1 << (kind - 0xD9))
        end = begin + int.from_bytes(data[at:begin], "big")
        return data[begin:end].decode("utf-8", "replace"), end
    if 0xA0 <= kind < 0xC0:
        end = at + (kind & 0x1F)
        return data[at:end].decode("utf-8", "replace"), end
    raise OSError("orchd gave a strange answer")


def _no_answer(error: OSError, json: bool) -> int:
    running = not isinstance(error, FileNotFoundError | ConnectionRefusedError)
    message = f"orchd does not answer: {error}" if running else "orchd is not running"
    hint = "look at `orch log orchd`" if running else "start it with `orch up -d`"
    if json:
        kind = "Unavailable" if running else "NotRunning"
        from json import dumps  # noqa: PLC0415 - only errors need it

        _print(dumps({"error": {"class": kind, "message": message, "hint": hint}}))
        return 3
    sys.stderr.write(f"error: {message}\nhint: {hint}\n")
    return 3


def _print(text: str) -> int:
    if sys.stdout is None:
        return 0
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return 0
