"""Which project the current folder belongs to, read from its config file alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from orch.paths import Home


def slug(home: Home, config: str) -> str:
    """The `gh.repo` of a project's config file; raises `ConfigError` where it has none.

    The whole schema is loaded only for what needs it: variables to expand, problems to word.
    """
    try:
        loaded: Any = yaml.load(Path(config).read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        loaded = None
    section = loaded.get("gh") if isinstance(loaded, dict) else None
    found = section.get("repo") if isinstance(section, dict) else None
    if isinstance(found, str) and found and "$" not in found:
        return found
    from orch.config.load import slug_of  # noqa: PLC0415 - the whole schema

    return slug_of(home, Path(config).parent)


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
