"""`${VAR}` in configuration values, from the environment and the home's `env` file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from orch.errors import ConfigError

Lookup = Callable[[str], str | None]
"""A variable's value by its name; None when it is not set."""

_REFERENCE = re.compile(
    r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\$\{"
)
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


class Unset(Exception):
    """A reference that cannot be replaced; the argument says why."""


def expand(text: str, lookup: Lookup) -> str:
    """`text` with `${VAR}` and `${VAR:-default}` replaced; `$${` stands for `${`.

    An empty variable counts as unset for `:-`, as in a shell. Raises `Unset`.
    """

    def replaced(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match["name"], match["default"]
        if name is None:
            raise Unset("cannot read what follows `${`; for a plain `${` write `$${`")
        value = lookup(name)
        if default is not None:
            return value or default
        if value is None:
            raise Unset(f"the variable {name} is not set, neither in the environment nor in env")
        return value

    return _REFERENCE.sub(replaced, text)


def has_reference(text: str) -> bool:
    """Whether `expand` would change `text`."""
    return "${" in text


def read_env(path: Path) -> dict[str, str]:
    """The variables of an `env` file (`KEY=VALUE` lines); none when there is no file.

    Values may be quoted; `#` starts a comment line. Raises `ConfigError` when a line cannot be
    read, or when others than its owner may read the file.
    """
    try:
        with path.open("rb") as file:
            seen = os.fstat(file.fileno())
            data = file.read(1 << 20)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if stat.S_IMODE(seen.st_mode) & 0o077:
        raise ConfigError(
            f"{path}: other users may read it (mode {stat.S_IMODE(seen.st_mode):04o})",
            f"chmod 600 {path}",
        )
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(stripped)
        if match is None:
            raise ConfigError(f"{path}:{number}: expected KEY=VALUE")
        found[match[1]] = _unquoted(match[2])
    return found


def lookup_in(env: dict[str, str]) -> Lookup:
    """Look variables up in the process's environment first, then in `env`."""

    def lookup(name: str) -> str | None:
        value = os.environ.get(name)
        return env.get(name) if value is None else value

    return lookup


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
