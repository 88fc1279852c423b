"""The plainest supervisor there is, as a measure: Popen, wait, again.

Run as `python popen_supervisor.py FILE`: keeps one `child.py FILE` alive.
"""

import signal
import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Keep one child alive until SIGTERM."""
    child = [sys.executable, str(Path(__file__).with_name("child.py")), sys.argv[1]]
    running = subprocess.Popen(child)

    def leave(_number: int, _frame: object) -> None:
        running.kill()
        sys.exit(0)

    signal.signal(signal.SIGTERM, leave)
    while True:
        running.wait()
        running = subprocess.Popen(child)


if __name__ == "__main__":
    main()
