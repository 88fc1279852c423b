"""Rules of tools (`Bash(rm *)`, `Edit`) on what codex asks: which questions answer themselves.

They go by the words of a command, so they keep an agent from what it does by habit; what it must
not be able to do is for the sandbox.
"""

from __future__ import annotations

import fnmatch
import re
import shlex

PARTS = re.compile(r"&&|\|\||[;|&\n]")
"""What stands between the commands of a line. Quotes are not looked at: a part too many is only
asked about, or refused, too often."""
HIDDEN = re.compile(r"`|\$\(|[<>]")
"""What may hide another command, or write a file: never allowed by a rule for its first word."""
LEADING = re.compile(r"^(?:[({!\s]|\w+=\S*\s|(?:sudo|command|exec|env|nohup|time|then|do|else)\s)+")
"""What may stand before a command's own name."""
EDITS = frozenset({"Edit", "Write", "MultiEdit", "NotebookEdit"})


class Rules:
    """The allowed and the disallowed, each a list of rules with one a line."""

    def __init__(self, allowed: str, disallowed: str) -> None:
        self._allowed = allowed.split("\n") if allowed else []
        self._disallowed = disallowed.split("\n") if disallowed else []

    def command(self, line: str) -> bool | None:
        """Whether a shell line is allowed; None when no rule says."""
        parts = [LEADING.sub("", part).strip() for part in PARTS.split(line) if part.strip()]
        if any(self._match(self._disallowed, part) for part in parts):
            return False
        if HIDDEN.search(line) and "Bash" not in self._allowed:
            return None
        return True if parts and all(self._match(self._allowed, part) for part in parts) else None

    def edit(self) -> bool | None:
        """Whether files may be changed; None when no rule says."""
        if EDITS & set(self._disallowed):
            return False
        return True if EDITS & set(self._allowed) else None

    @staticmethod
    def _match(rules: list[str], part: str) -> bool:
        for rule in rules:
            if rule == "Bash":
                return True
            if rule.startswith("Bash(") and rule.endswith(")"):
                pattern = rule[5:-1].replace(":*", " *")
                if fnmatch.fnmatchcase(part, pattern) or part == pattern.removesuffix(" *"):
                    return True
        return False


def inner(command: str) -> str:
    """The line that a shell is given: codex runs all as `/bin/bash -lc '…'`."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    given = len(words) == 3 and words[1] in ("-lc", "-c")
    return words[2] if given else command
