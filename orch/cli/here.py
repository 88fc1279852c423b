"""Which project the current folder belongs to, read from its config file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from orch.errors import ConfigError


def slug(config: str) -> str:
    """The `gh.repo` of a project's config file; raises `ConfigError` where it has none."""
    try:
        loaded: Any = yaml.load(Path(config).read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _wrong(config, f"cannot be read: {_first_line(error)}") from None
    section = loaded.get("gh") if isinstance(loaded, dict) else None
    found = section.get("repo") if isinstance(section, dict) else None
    if not isinstance(found, str) or not found:
        raise _wrong(config, "gh.repo: expected owner/repo, got nothing")
    return found


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _wrong(config: str, problem: str) -> ConfigError:
    return ConfigError(
        f"{config}: {problem}", "correct the file (`orch config check`), or pass --project"
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())
