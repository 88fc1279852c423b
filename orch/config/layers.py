"""Layers of configuration laid over each other, and taken apart again by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from orch.config.check import Checked, Problem, is_secret, join_key, kind_of, split_key
from orch.config.schema import BUILT_IN, Config, JobConfig, Secret
from orch.errors import NotFound


def build(base: Checked, over: Checked | None = None) -> tuple[Config, list[Problem]]:
    """The configuration of `config.yml`, or of a project's file over it, and what is missing.

    Jobs are not inherited: a project's are those of its own file.
    """
    values = merged(BUILT_IN, base.values)
    if over is not None:
        values = merged(values, over.values)
    own = base if over is None else over
    values["jobs"] = ()
    config = msgspec.structs.replace(msgspec.convert(values, Config), jobs=_jobs(own))
    problems = []
    for name, agent in config.agents.items():
        key = f"agents.{name}"
        if agent.protocol != "shell" and not agent.command:
            where = own if key in own.lines else base
            line = where.lines.get(key, 1)
            problems.append(Problem(where.file, line, f"{key}.command", "is missing"))
    return config, problems


def merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """`high` laid over `low`, key by key and deep; lists and plain values are replaced whole."""
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result


def pick(config: Config, key: str) -> Any:
    """A key's value as plain dicts and lists, secrets as `Secret`. Raises `NotFound`."""
    try:
        kind_of(key)
    except ValueError as problem:
        raise NotFound(f"{key}: {problem}", "`orch config get` lists every key") from None
    value: Any = plain(config)
    for part in split_key(key):
        try:
            value = value[part]
        except (KeyError, IndexError):
            raise NotFound(f"{key}: is not set") from None
    return value


def plain(config: Config) -> dict[str, Any]:
    """A configuration as plain dicts and lists, secrets as `Secret`."""
    values: dict[str, Any] = msgspec.to_builtins(config)
    return {name: _hidden(value, name) for name, value in values.items()}


def secrets(config: Config) -> tuple[str, ...]:
    """Every secret value of a configuration: what must leave orch nowhere."""
    without_jobs = msgspec.structs.replace(config, jobs=())  # they have none, and may be many
    return tuple(dict.fromkeys(_secrets_in(plain(without_jobs))))


def difference(old: Config, new: Config) -> tuple[str, ...]:
    """The keys, sorted, whose values differ between two configurations."""
    before, after = _flat(plain(old), ""), _flat(plain(new), "")
    keys = before.keys() | after.keys()
    return tuple(sorted(key for key in keys if before.get(key) != after.get(key)))


def _jobs(checked: Checked) -> tuple[JobConfig, ...]:
    return tuple(
        job if isinstance(job, JobConfig) else msgspec.convert(job, JobConfig)
        for job in checked.values.get("jobs", ())
    )


def _hidden(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: _hidden(item, join_key(key, name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item, join_key(key, n)) for n, item in enumerate(value)]
    if key.startswith("agents.") and is_secret(kind_of(key)):
        return Secret(str(value))
    return value


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _secrets_in(item)


def _flat(value: Any, key: str) -> dict[str, Any]:
    """Every leaf by its dotted key; a list is one leaf."""
    if not isinstance(value, dict):
        return {key: value}
    found = {}
    for name, item in value.items():
        found.update(_flat(item, join_key(key, name)))
    return found
