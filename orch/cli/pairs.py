"""`KEY=VALUE` arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orch.errors import Malformed

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")


def key_values(given: Iterable[str]) -> dict[str, str]:
    """Each `KEY=VALUE` as a pair; raises `Malformed` for what is none. The value may hold `=`."""
    found: dict[str, str] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not _KEY.fullmatch(key):
            raise Malformed(f"{one!r} is not KEY=VALUE", "write it like name=Ada")
        found[key] = value
    return found
