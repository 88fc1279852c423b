"""A text in the pieces in which a model would stream it."""

from __future__ import annotations

import re

MOST = 64
"""Pieces of one text; a longer one comes in larger pieces."""


def words(text: str) -> list[str]:
    """`text` cut after blanks, into at most `MOST` pieces that join to it again."""
    found = re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])
    size = -(-len(found) // MOST) or 1
    return ["".join(found[at : at + size]) for at in range(0, len(found), size)]
