"""What a check of `orch doctor` gives."""

from __future__ import annotations

from typing import NamedTuple

OK, WARN, FAIL = "ok", "warn", "fail"


class Finding(NamedTuple):
    """What was found: the subject, a verdict (ok, warn, fail), details, and what to do about it."""

    subject: str
    verdict: str
    detail: str
    hint: str = ""
