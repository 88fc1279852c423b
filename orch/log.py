"""Structured logs: one JSON object a line, appended to a file, never in the way of the work."""

from __future__ import annotations

import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

MAX_LINE = 65536
"""A longer line, in bytes, loses its extra fields and the end of its message."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_json = msgspec.json.Encoder(enc_hook=str)


class Logs(Protocol):
    """What knows where a service's structured log lies (an `orch.paths.Home`)."""

    def log(self, service: str) -> Path:
        """The file of the service."""
        ...


class LineFormatter(logging.Formatter):
    """A record as a line of JSON: time (RFC 3339 UTC), level, service, message, extras, error."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        stamp = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self.service,
            "message": record.getMessage(),
        }
        extra = {k: v for k, v in vars(record).items() if k not in _STANDARD and k not in line}
        if record.exc_info:
            extra["error"] = self.formatException(record.exc_info)
        text = _encoded(line | extra)
        if len(text) > MAX_LINE:
            kept = {"message": line["message"][: MAX_LINE // 8], "truncated": len(text)}
            if record.exc_info:
                kept["error"] = str(extra["error"])[-MAX_LINE // 8 :]
            text = _encoded(line | kept)
        return text.decode()


class FileHandler(logging.Handler):
    """Appends whole lines to a file. What cannot be written is counted, and said once it can."""

    def __init__(self, path: Path, service: str) -> None:
        super().__init__()
        self.path = path
        self.lost = 0
        self._torn = False
        self._fd = -1
        self.setFormatter(LineFormatter(service))
        self.reopen()

    def reopen(self) -> None:
        """Open the file by its name again: the old one has been rotated away or deleted."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self.acquire()
        try:
            fd = os.open(self.path, flags, 0o600)
            old, self._fd, self._torn = self._fd, fd, False
            if old >= 0:
                os.close(old)
        except OSError:
            pass  # the old file, if any, still takes what there is to say
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; never raises for a full disk or a missing folder."""
        line = self.format(record)
        if self._fd < 0:
            self.reopen()
        if self.lost and self._write(self._loss(record)):
            self.lost = 0
        if not self._write(line):
            self.lost += 1

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        super().close()

    def _loss(self, record: logging.LogRecord) -> str:
        lost = {"name": record.name, "levelno": logging.WARNING, "levelname": "WARNING"}
        message = f"{self.lost} log lines could not be written"
        return self.format(logging.makeLogRecord({**lost, "msg": message, "lost": self.lost}))

    def _write(self, line: str) -> bool:
        data = f"{line}\n".encode()
        if self._torn:
            data = b"\n" + data
        try:
            written = os.write(self._fd, data)
        except OSError:
            return False
        self._torn = written < len(data)
        return not self._torn


class Seldom:
    """A logger for what may happen a thousand times a second: each kind once per `seconds`."""

    MAX_KINDS = 256

    def __init__(self, logger: logging.Logger, seconds: float = 10.0) -> None:
        self._logger = logger
        self._seconds = seconds
        self._seen: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, message: str, **fields: object) -> None:
        """Log `message` unless this `kind` was logged lately; says how many were held back."""
        now = time.monotonic()
        last, held = self._seen.get(kind, (-self._seconds, 0))
        if now - last < self._seconds:
            self._seen[kind] = (last, held + 1)
            return
        if len(self._seen) >= self.MAX_KINDS:
            self._seen.clear()
        self._seen[kind] = (now, 0)
        self._logger.warning(message, extra={**fields, "kind": kind, "held_back": held})


def setup(home: Logs, service: str, level: str = "info") -> None:
    """Send everything that is logged to the service's log; replaces what a parent had set up."""
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    root.addHandler(FileHandler(home.log(service), service))
    root.setLevel(level.upper())
    logging.raiseExceptions = False


def reopen(raw: Path | None = None) -> None:
    """Open every log file by its name again (after rotation), and have what is written to stdout
    and stderr appended to `raw`, if given. What cannot be opened stays as it is."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, FileHandler):
            handler.reopen()
    if raw is not None:
        _redirect(raw)


def _redirect(raw: Path) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        fd = os.open(raw, flags, 0o600)
    except OSError:
        return
    for standard in (1, 2):
        os.dup2(fd, standard)
    os.close(fd)


def _encoded(line: dict[str, Any]) -> bytes:
    try:
        return _json.encode(line)
    except (ValueError, TypeError, RecursionError):
        clean = {str(k): str(v).encode("utf-8", "replace").decode() for k, v in line.items()}
        return _json.encode(clean)
