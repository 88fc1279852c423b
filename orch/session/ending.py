"""How an attempt ends: the agent is asked, then told, then killed; then what it left behind is."""

from __future__ import annotations

import signal
import time

from orch.session import marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from orch.session.program import Program

LADDER = ((0.0, signal.SIGINT), (2.0, signal.SIGTERM), (5.0, signal.SIGKILL))
"""Seconds after the decision, and the signal: interrupted first, so that agents clean up."""
LEFT = ((0.0, signal.SIGTERM), (1.0, signal.SIGKILL), (2.0, signal.SIGKILL))
"""The same for what is left after the agent's own end."""
GIVE_UP = 6.0
"""Seconds after the agent's end when what still lives is named and left alone."""
LOOK = 0.05
"""Seconds between two looks at what is left."""


class Ending:
    """Decides what to signal when. `by` is why the attempt ends, '' while it goes on."""

    def __init__(self, program: Program, run: str) -> None:
        self.by = ""
        self.message = ""
        self.clear = False
        self._program = program
        self._run = run
        self._since = 0.0
        self._steps = 0
        self._gone: float | None = None
        self._look = 0.0

    def begin(self, by: str, message: str, now: float) -> None:
        """End the agent for this reason; a second reason changes nothing."""
        if not self.by and not self._program.ended:
            self.by, self.message, self._since = by, message, now

    def step(self, now: float) -> float | None:
        """Do what is due; returns when to do more. `clear` is true once nothing is left."""
        if self._program.reap():
            return self._sweep(now)
        if not self.by:
            return None
        while self._steps < len(LADDER) and now >= self._since + LADDER[self._steps][0]:
            self._program.send(LADDER[self._steps][1])
            self._steps += 1
        if self._steps < len(LADDER):
            return self._since + LADDER[self._steps][0]
        return now + 1.0

    def _sweep(self, now: float) -> float | None:
        if self._gone is None:
            self._gone, self._steps = now, 0
            self.by = self.by or "exit"
        if self.clear:
            return None
        if now < self._look:
            return self._look
        self._look = now + LOOK
        left = marks.marked(self._run)
        late = now - self._gone >= GIVE_UP
        if late and left:
            names = ", ".join(str(pid) for pid in left[:10])
            self.message = f"{self.message}; could not end: {names}".lstrip("; ")
        if late or not left:
            self.clear = True
            return None
        while self._steps < len(LEFT) and now >= self._gone + LEFT[self._steps][0]:
            marks.signal_all(left, LEFT[self._steps][1])
            self._steps += 1
        if self._steps == len(LEFT):
            marks.signal_all(left, signal.SIGKILL)
        return self._look


def end_all(run: str) -> None:
    """End what an earlier life of this attempt left, before it lives again."""
    began = time.monotonic()
    while (left := marks.marked(run)) and time.monotonic() - began < GIVE_UP:
        late = time.monotonic() - began >= LEFT[1][0]
        marks.signal_all(left, signal.SIGKILL if late else signal.SIGTERM)
        time.sleep(LOOK)
