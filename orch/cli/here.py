"""Which project the current folder belongs to, read from its config file alone."""

from __future__ import annotations

import re

from orch.paths import Home

_PLAIN = re.compile(r"""(["']?)([\w.-]+/[\w.-]+)\1[ \t]*(?:#.*)?""")


def slug(home: Home, config: str) -> str:
    """The `gh.repo` of a project's config file; raises `ConfigError` where it has none.

    Written the usual way it is read without the YAML library, which takes longer to import than
    a quick command takes in all; anything else goes through the whole schema.
    """
    try:
        with open(config, encoding="utf-8") as file:  # noqa: PTH123 - on the fast path
            found = plain_slug(file.read())
    except (OSError, UnicodeDecodeError):
        found = ""
    if found:
        return found
    from orch.config.load import slug_of  # noqa: PLC0415 - the whole schema

    return slug_of(home, config.rpartition("/")[0])


def plain_slug(text: str) -> str:
    """The slug in block style, `gh:` with `repo: owner/repo` right below; '' if it is not so."""
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    starts = [n for n, line in enumerate(lines) if re.fullmatch(r"gh:[ \t]*(#.*)?", line)]
    if len(starts) != 1:
        return ""
    indent = ""
    values = []
    for line in lines[starts[0] + 1 :]:
        lead = line[: len(line) - len(line.lstrip(" "))]
        indent = indent or lead
        if not lead:
            break
        if lead == indent and line[len(lead) :].startswith("repo:"):
            values.append(line[len(lead) + 5 :].strip())
    found = _PLAIN.fullmatch(values[0]) if len(values) == 1 else None
    return found[2] if found else ""
