"""A router that answers as a folder says: `scripted_router.py FOLDER`, asked as a `command` agent.

FOLDER/replies holds one JSON list of actions a line; the n-th question does the n-th line, and the
last line stays. Actions: ["say", text], ["wait", path], ["exit", code]. Each question adds its
prompt to FOLDER/asked (a JSON string a line), and tells in FOLDER/overlaps when another question of
this router was still being answered.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

WAIT_SECONDS = 90


def main() -> None:
    """Answer one question."""
    folder = Path(sys.argv[1])
    prompt = sys.stdin.read()
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with (folder / "overlaps").open("a") as file:
            file.write(f"{os.getpid()}\n")
    replies = (folder / "replies").read_text().splitlines()
    with (folder / "asked").open("a+") as file:
        file.write(json.dumps(prompt) + "\n")
        file.seek(0)
        number = len(file.read().splitlines())
    for verb, what in json.loads(replies[min(number, len(replies)) - 1]):
        act(verb, what)


def act(verb: str, what: str) -> None:
    """Do one action."""
    if verb == "say":
        print(what, flush=True)
    elif verb == "wait":
        deadline = time.monotonic() + WAIT_SECONDS
        while not Path(what).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    else:
        sys.exit(int(what))


if __name__ == "__main__":
    main()
