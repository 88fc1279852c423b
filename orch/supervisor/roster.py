"""Which services there are: built in, or named by the file in `ORCH_ROSTER`."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import msgspec

from orch.core.supervised import Limits
from orch.errors import ConfigError
from orch.paths import Home

ROSTER_VARIABLE = "ORCH_ROSTER"
"""Names a JSON file in the form of `Plan` that replaces the built-in roster (for tests)."""

SHARED = (
    "zmq",
    "apsw",
    "watchdog.observers",
    "orch.messages",
    "orch.lifeline",
    "orch.log",
    "orch.service",
)
"""What services have in common: imported once, in orchd, and shared by every fork."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service: its module has `main()`; orchd makes its `sockets` (`req`, `pub`, `nudge`).

    `keys` are the dotted config keys that it reads only at its start, `settings` the fingerprint
    of their values: when that changes, the service is restarted.
    """

    name: str
    module: str
    sockets: tuple[str, ...] = ("req", "pub")
    environment: dict[str, str] = {}
    keys: tuple[str, ...] = ()
    preload: bool = True
    settings: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The services in the order of their start, and the waits they are held to."""

    services: tuple[Entry, ...]
    limits: Limits = Limits()
    shared: tuple[str, ...] = SHARED

    def modules(self) -> tuple[str, ...]:
        """What orchd imports before it forks."""
        return (*self.shared, *(entry.module for entry in self.services if entry.preload))


BUILT_IN = Plan(
    services=(
        Entry(name="engine", module="services.engine", sockets=("req", "pub", "nudge")),
        Entry(name="scheduler", module="services.scheduler"),
        Entry(name="capture", module="services.capture", sockets=("req", "pub", "nudge")),
    )
)
"""The services of a plain home."""


def planned(home: Home) -> Plan:
    """The roster as configured now; raises `ConfigError` naming file and line."""
    hook = os.environ.get(ROSTER_VARIABLE)
    plan = _read_plan(Path(hook)) if hook else BUILT_IN
    names = [entry.name for entry in plan.services]
    if len(set(names)) < len(names):
        raise ConfigError(f"the roster names a service twice: {', '.join(names)}")
    return _with_settings(plan, read_config(home.config))


def usual() -> Plan:
    """The roster of a home without a config, for when that cannot be read."""
    hook = os.environ.get(ROSTER_VARIABLE)
    return _with_settings(_read_plan(Path(hook)) if hook else BUILT_IN, {})


def _with_settings(plan: Plan, config: dict[str, Any]) -> Plan:
    services = tuple(
        msgspec.structs.replace(entry, settings=fingerprint(config, entry))
        for entry in plan.services
    )
    return msgspec.structs.replace(plan, services=services)


def sources(home: Home) -> tuple[Path, ...]:
    """The files the roster is derived from."""
    hook = os.environ.get(ROSTER_VARIABLE)
    return (home.config, Path(hook)) if hook else (home.config,)


def read_config(path: Path) -> dict[str, Any]:
    """The global config as plain data, {} when there is none; raises `ConfigError`.

    Only its syntax is judged here: what the keys mean is for the services that read them.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    import yaml  # noqa: PLC0415 - a home without a config needs no parser

    try:
        config = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: {error.problem or error}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}:1: {error}") from error
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise ConfigError(f"{path}:1: expected keys and values, got {type(config).__name__}")
    return config


def fingerprint(config: dict[str, Any], entry: Entry) -> str:
    """A short text that changes when what the service reads at its start does."""
    values = [(key, _at(config, key)) for key in entry.keys]
    seen = repr((entry.module, entry.sockets, sorted(entry.environment.items()), values)).encode()
    return f"{zlib.crc32(seen):08x}{zlib.adler32(seen):08x}"


def _at(config: dict[str, Any], key: str) -> object:
    value: object = config
    for part in key.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _read_plan(path: Path) -> Plan:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{path}:1: {error}") from error
