"""Changing configuration files: one key at a time, atomically, comments and order kept."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from orch.config.check import Checked, Problem, split_key
from orch.config.cut import cut
from orch.config.expand import Lookup, lookup_in, read_env
from orch.config.files import OLD_PROJECT_FILE, PROJECT_FILE, check_text
from orch.config.layers import build
from orch.errors import ConfigError, NotFound, Refused, Unavailable

LOCK_SECONDS = 10.0
"""How long to wait for another command that changes a file in the same folder."""

Change = Callable[[str, Path], str]
"""A file's text and path to its new text."""

Touch = Callable[[Any], None]
"""Changes a file's values in place."""


def set_value(path: Path, key: str, value: Any, *, lookup: Lookup | None = None) -> None:
    """Set one dotted key of a file to a plain value; missing sections are made.

    `lookup` resolves `${VAR}` while the result is checked; unless given, the environment and the
    `env` file beside `path` do. Raises `ConfigError`, with nothing changed, when the file cannot
    be read or would get a problem that it does not have.
    """
    parts = _parts(key)

    def change(root: Any) -> None:
        holder = _below(root, parts[:-1], key)
        last = parts[-1]
        if isinstance(last, int) and not (isinstance(holder, list) and last < len(holder)):
            raise NotFound(f"{key}: there is no such item")
        holder[last] = value

    _edit(path, lambda text, where: _changed(text, change, where), lookup)


def add_item(path: Path, key: str, item: Any, *, lookup: Lookup | None = None) -> None:
    """Add an item to a list, which is made when it is missing. Otherwise like `set_value`."""
    parts = _parts(key)

    def change(root: Any) -> None:
        holder = _below(root, parts[:-1], key)
        items = _as_list(holder.get(parts[-1]))
        if items:
            _append(items, item)
        else:
            items = CommentedSeq([item])
        holder[parts[-1]] = items

    _edit(path, lambda text, where: _changed(text, change, where), lookup)


def remove_item(
    path: Path, key: str, wanted: Callable[[Any], bool], *, lookup: Lookup | None = None
) -> int:
    """Remove the items of a list for which `wanted` is true; returns how many there were.

    Everything else in the file stays byte for byte where each item has lines of its own. Otherwise
    like `set_value`; a file without such an item is left alone.
    """
    parts = _parts(key)
    removed = 0

    def change(text: str, where: Path) -> str:
        nonlocal removed
        done = cut(text, parts, wanted)
        if done is None:
            done = _removed(text, parts, key, wanted, where)
        removed = done[1]
        return done[0]

    _edit(path, change, lookup)
    return removed


def _removed(
    text: str, parts: list[str | int], key: str, wanted: Callable[[Any], bool], path: Path
) -> tuple[str, int]:
    """The text without some items of a list, where they cannot be cut out line by line."""
    count = 0

    def change(root: Any) -> None:
        nonlocal count
        holder = _below(root, parts[:-1], key)
        items = _as_list(holder.get(parts[-1]))
        going = [n for n, item in enumerate(items) if wanted(item)]
        for index in reversed(going):
            del items[index]
        if going:
            count = len(going)
            holder[parts[-1]] = items

    after = _changed(text, change, path)
    return (after, count) if count else (text, 0)


def create(path: Path, text: str) -> None:
    """Write a new configuration file, atomically. Raises `Refused` when there already is one."""
    with _locked(path):
        if path.exists():
            raise Refused(f"{path} is there already")
        _replace(path, text.encode())


def _edit(path: Path, change: Change, lookup: Lookup | None) -> None:
    path = path.resolve()  # a link stays a link: what it leads to is changed
    with _locked(path):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise Refused(f"{path} cannot be read: {error.strerror}") from None
        if lookup is None:
            lookup = lookup_in(read_env(path.parent / "env"))
        before, known = _checked(data, path, lookup)
        if known and not before.lines and data.strip() and known[0].key == "":
            raise ConfigError(str(known[0]), "correct it first: `orch config edit`")
        after = change(data.decode(), path).encode()
        if after == data:
            return
        _, problems = _checked(after, path, lookup)
        old = {(problem.key, problem.text) for problem in known}
        fresh = [problem for problem in problems if (problem.key, problem.text) not in old]
        if fresh:
            raise ConfigError(f"{fresh[0].key}: {fresh[0].text}", f"{path} was not changed")
        _replace(path, after)


def _checked(data: bytes, path: Path, lookup: Lookup) -> tuple[Checked, list[Problem]]:
    project = path.name in (PROJECT_FILE, OLD_PROJECT_FILE)
    checked = check_text(data, path, lookup, project=project)
    problems = [*checked.problems, *checked.bad_jobs]
    if not problems and not project:
        problems = build(checked)[1]
    return checked, problems


def _changed(text: str, change: Touch, path: Path) -> str:
    """The text with the change made in it."""
    writer = _writer(text)
    try:
        root = writer.load(text)
    except YAMLError as error:
        raise ConfigError(f"{path}: cannot be changed by a command: {error}") from None
    if root is None:
        fresh = CommentedMap()
        change(fresh)
        gap = "" if not text or text.endswith("\n") else "\n"
        return text + gap + _dumped(writer, fresh)
    change(root)
    return _dumped(writer, root)


def _writer(text: str) -> YAML:
    """A reader and writer that keeps the text's own indentation, quotes and long lines."""
    writer = YAML()
    writer.preserve_quotes = True
    writer.width = 1 << 20
    writer.explicit_start = bool(re.match(r"(?:\s*#[^\n]*\n|\s*\n)*---", text)) or None
    nested = re.search(r"^[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]",
                       text, re.MULTILINE)  # fmt: skip
    listed = re.search(r"^( *)[^\s#-][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)-( +)",
                       text, re.MULTILINE)  # fmt: skip
    offset = max(len(listed[2]) - len(listed[1]), 0) if listed else 2
    dash = 1 + len(listed[3]) if listed else 2
    writer.indent(mapping=len(nested[1]) if nested else 2, sequence=offset + dash, offset=offset)
    return writer


def _dumped(writer: YAML, root: Any) -> str:
    out = io.StringIO()
    writer.dump(root, out)
    return out.getvalue()


def _as_list(items: Any) -> Any:
    """A list as written: YAML's own, or text with commas."""
    if isinstance(items, list):
        return items
    words = items.split(",") if isinstance(items, str) else []
    return CommentedSeq(word.strip() for word in words if word.strip())


def _append(items: Any, item: Any) -> None:
    """Add behind the last item; a comment that follows the list stays behind it."""
    comments = getattr(getattr(items, "ca", None), "items", {})
    last = len(items) - 1
    trailing = comments.get(last)
    items.append(item)
    token = trailing[0] if trailing and not isinstance(items[last], dict) else None
    if token is None or not token.value.lstrip(" ").startswith("\n"):
        return
    comments[last + 1] = comments.pop(last)


def _below(root: Any, parts: list[str | int], key: str) -> Any:
    """The section that holds the last part of a key; sections that are missing are made."""
    holder = root
    for part in parts:
        try:
            below = holder[part]
        except KeyError:
            below = None
        except (IndexError, TypeError):
            raise NotFound(f"{key}: there is no such item") from None
        if below is None:
            below = holder[part] = CommentedMap()
        if not isinstance(below, dict | list):
            raise ConfigError(f"{key}: {part} is a plain value, not a section")
        holder = below
    return holder


def _parts(key: str) -> list[str | int]:
    try:
        return split_key(key)
    except ValueError as problem:
        raise NotFound(f"{key}: {problem}") from None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's folder locked against other commands, for at most `LOCK_SECONDS`."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path.parent} cannot be opened: {error.strerror}") from None
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while not _try_lock(folder):
            if time.monotonic() > deadline:
                raise Unavailable(f"another command keeps {path.parent} locked", "try again")
            time.sleep(0.02)
        yield
    finally:
        os.close(folder)


def _try_lock(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, data: bytes) -> None:
    """Put `data` in the file's place: whole or not at all, with the mode that it had."""
    try:
        mode = path.stat().st_mode & 0o7777
    except FileNotFoundError:
        mode = 0o644 if path.name == PROJECT_FILE else 0o600
    temporary = ""
    try:
        for left in path.parent.glob(f".{path.name}.*.new"):
            left.unlink(missing_ok=True)  # by a command that was killed: the lock is ours
        number, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".new", dir=path.parent
        )
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise Refused(
            f"{path} cannot be written: {error.strerror}", "nothing was changed"
        ) from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
