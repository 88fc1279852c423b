"""`python -I -m orch.session FOLDER`: run the attempt whose launch order lies in FOLDER."""

from __future__ import annotations

import sys
import time

from orch.session import order
from orch.session.ending import end_all
from orch.session.loop import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orch.session.launch import Launch


def main(folder: str) -> int:
    """Own the folder, run its attempt, return an exit status for the pane."""
    try:
        before = order.own(folder)
    except (order.Taken, OSError) as problem:
        print(f"orch: {problem}", file=sys.stderr)
        return 75
    try:
        launch = order.read(folder)
    except (OSError, ValueError) as problem:
        print(f"orch: cannot read {folder}/launch.json: {problem}", file=sys.stderr)
        now = time.time()
        order.finish(
            folder,
            {
                "ended_by": "launch_failed",
                "exit_code": None,
                "signal": None,
                "started_at": now,
                "ended_at": now,
                "size": 0,
                "message": f"cannot read launch.json: {problem}",
                "answer_text": "",
            },
        )
        return 1
    if before:
        end_all(launch.run)
    _kind(launch)(launch).run()
    return 0


def _kind(launch: Launch) -> type[Session]:
    if launch.protocol != "structured":
        return Session
    from orch.session.structured import StructuredSession  # noqa: PLC0415 - only where needed

    return StructuredSession


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -I -m orch.session FOLDER")
    sys.exit(main(sys.argv[1]))
