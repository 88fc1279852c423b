"""Where sessions run, behind one narrow interface."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from orch.session.launch import LOG, Result, State

Place = Path | str
"""A folder, by its path."""


class Host(Protocol):
    """A place where sessions run. Every method is safe from any thread, may take seconds, and
    raises `Unknown` when the truth cannot be found out: then nothing may be concluded."""

    def start(self, session: str, folder: Place, cwd: Place) -> None:
        """Run the attempt in `folder`, whose `launch.json` and `runner.sh` are written. A session
        of that name that runs this very folder is adopted. Raises `Refused`, `ToolFailed`."""

    def alive(self) -> dict[str, int]:
        """The sessions there are, each with its pane's pid."""

    def stop(self, session: str, folder: Place, reason: str = "") -> None:
        """End the session and everything that belongs to it; returns when nothing is left.

        A `folder` without a launch order stands for whatever the session runs.
        """

    def size(self, folder: Place, name: str = LOG) -> int:
        """Bytes of `terminal.log`, or of another file of the attempt; 0 while there is none."""

    def read(self, folder: Place, offset: int, limit: int, name: str = LOG) -> bytes:
        """At most `limit` bytes of it from `offset`; b'' past its end."""

    def stamp(self, folder: Place, name: str) -> int:
        """Another number whenever that file of the attempt is written; 0 while there is none."""

    def state(self, folder: Place) -> State | None:
        """What a structured agent does now, with what it asks; None when nothing is known."""

    def finished(self, folder: Place) -> Result | None:
        """How the attempt ended; None while it has no `exit.txt`."""

    def send(
        self, session: str, text: str, submit: bool, key: str, by: str = ""
    ) -> tuple[str, str]:
        """Type text into the session, once per `key`; returns the state (submitted, queued or
        refused) and the reason."""

    def answer(
        self, session: str, question: str, allowed: bool, reason: str, key: str, by: str = ""
    ) -> tuple[str, str]:
        """Settle what a structured agent asks (`question` '' for the oldest), once per `key`;
        returns the state (submitted or refused) and the reason."""

    def limit(self, session: str, budget: dict[str, Any]) -> bool:
        """Give a structured agent other limits (`orch.agents.budget.written`; {}: none); false
        when it does not take them."""

    def take(self, session: str, by: str) -> bool:
        """Tell the session who works in it ('' for nobody); false when nobody listens there."""

    def interrupt(self, session: str) -> bool:
        """Stop what the agent does now; false when nobody listens there."""

    def sweep(self, run: str) -> list[int]:
        """End every process that carries `ORCH_RUN={run}`; returns those that live on."""
