"""An agent with a limit, speaking claude's stream-json: so many runs in a window of time, and then
the vendor's refusal with the moment at which the window ends.

`limited_claude.py FOLDER RUNS SECONDS [TYPE]`: TYPE is how the vendor calls the limit. What it did
stands in FOLDER/log, a JSON line a run.
"""

from __future__ import annotations

import fcntl
import json
import math
import sys
import time
from pathlib import Path

DONE = json.dumps({"status": "done", "summary": "done"})
SESSION = "5e551011-0000-4000-8000-000000000002"


def main(folder: Path, most: int, seconds: float, kind: str) -> None:
    """Hear the prompt; do it, or refuse."""
    heard = json.loads(sys.stdin.readline())
    tell(type="system", subtype="init", model="limited-1")
    tell(**heard, isReplay=True)
    resets = take(folder, most, seconds)
    if resets:
        limit = {"status": "rejected", "resetsAt": resets, "rateLimitType": kind}
        tell(type="rate_limit_event", rate_limit_info=limit)
        said = {
            "is_error": True,
            "result": "You've hit your session limit",
            "api_error_status": 429,
        }
    else:
        said = {"is_error": False, "result": DONE}
    usage = {"input_tokens": 10, "output_tokens": 0 if resets else 5}
    tell(type="result", subtype="success", usage=usage, permission_denials=[], **said)
    sys.stdin.read()


def take(folder: Path, most: int, seconds: float) -> int:
    """Take one of the runs of this window: 0, or when the window ends (epoch seconds)."""
    with (folder / "log").open("a+") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.seek(0)
        past = [json.loads(line) for line in log]
        now = time.time()
        since = past[-1]["since"] if past and now < past[-1]["resets"] else now
        resets = math.ceil(since + seconds)
        used = sum(one["since"] == since and not one["refused"] for one in past)
        run = {"at": now, "since": since, "resets": resets, "refused": used >= most}
        log.write(json.dumps(run) + "\n")
        return resets if used >= most else 0


def tell(**message: object) -> None:
    """Print a message."""
    sys.stdout.write(json.dumps({**message, "session_id": SESSION}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    named = [word for word in sys.argv[4:5] if word and not word.startswith("-")]
    kind = named[0] if named else "five_hour"
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), kind)
