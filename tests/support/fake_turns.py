"""A fake CLI that plays another script each time it is run: `fake_turns.py FAKE SCRIPTS ARGS…`.

SCRIPTS is a JSON list of scripts for `fake_{FAKE}.py`, one for each run; the last one is for every
run after it. What each run was called with is kept beside it, in `SCRIPTS.N.argv`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Count the run, and become the fake."""
    name, scripts, *arguments = sys.argv[1:]
    counted = os.open(f"{scripts}.runs", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(counted, b"x")
    number = os.fstat(counted).st_size
    os.close(counted)
    known = json.loads(Path(scripts).read_text())
    script = Path(f"{scripts}.{number}")
    script.write_text(json.dumps(known[min(number, len(known)) - 1]))
    Path(f"{scripts}.{number}.argv").write_text(json.dumps(arguments))
    fake = Path(__file__).with_name(f"fake_{name}.py")
    os.execv(sys.executable, [sys.executable, str(fake), str(script), *arguments])


if __name__ == "__main__":
    main()
