"""Who types: the author of tasks and of acts on them."""

from __future__ import annotations

import os
import pwd


def person() -> str:
    """The login name of who types."""
    try:
        return os.environ.get("USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
