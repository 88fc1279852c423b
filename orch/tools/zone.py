"""The machine's time zone, with its clock changes."""

from __future__ import annotations

import os
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

LOCALTIME = Path("/etc/localtime")


def machine_zone() -> tzinfo:
    """The zone of `TZ`, else of `/etc/localtime`; failing both, today's distance from UTC."""
    name = os.environ.get("TZ", "").lstrip(":")
    try:
        if name:
            return ZoneInfo(name)
        with LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, "localtime")
    except (OSError, ValueError, LookupError):
        return datetime.now().astimezone().tzinfo or ZoneInfo("UTC")
