"""The real engine, except that it kills itself (SIGKILL) once, at the moment it was told.

Moments are noted over all its lives in the file `moments`, a line each, in the folder named by
`ORCH_STRIKE`: just before and just after each commit that changes something, and just before and
after each piece of work that it does aside. What it notes of deaths comes whenever it comes, and is
not counted. `strike` there holds the number of the moment to die at, or `SINCE NTH NAME`: the nth
moment of that name after so many others.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orch.service import run
from services.engine.engine import Engine


def moment(name: str) -> None:
    """Note a moment; die when it is the one."""
    here = Path(os.environ["ORCH_STRIKE"])
    noted = os.open(here / "moments", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(noted, f"{name}\n".encode())
    os.close(noted)
    names = (here / "moments").read_text().splitlines()
    since, _, wanted = (here / "strike").read_text().partition(" ")
    nth, _, wanted = wanted.partition(" ")
    if wanted:
        due = name == wanted and names[int(since) :].count(name) == int(nth)
    else:
        due = len(names) == int(since or 0)
    if due and not (here / "died").exists():
        (here / "died").write_text(f"{len(names)}: {name}")
        os.kill(os.getpid(), signal.SIGKILL)


class DyingEngine(Engine):
    """Dies before or after a commit, before or after work aside."""

    name = "engine"
    beside = False

    def on_supervision(self, event: dict[str, Any]) -> None:
        self.beside = True
        try:
            super().on_supervision(event)
        finally:
            self.beside = False

    @contextmanager
    def write(self) -> Iterator[None]:
        outermost = not self.store.db.in_transaction and not self.beside
        before = self.store.db.total_changes()
        with super().write():
            yield
            changed = outermost and self.store.db.total_changes() != before
            if changed:
                moment("before commit")
        if changed:
            moment("after commit")

    def _step(self, attempt: Any, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        def mortal() -> Any:
            moment(f"before work in {attempt.phase}")
            found = work()
            moment(f"after work in {attempt.phase}")
            return found

        super()._step(attempt, mortal, then)

    def apart(self, task: Any, run: Callable[[], Any], then: Callable[..., object]) -> None:
        def mortal() -> Any:
            moment(f"before work in review: {then.__name__}")
            found = run()
            moment(f"after work in review: {then.__name__}")
            return found

        super().apart(task, mortal, then)

    def _aside_for_run(
        self, run: Any, work: Callable[[], Any], then: Callable[[Any], object]
    ) -> None:
        def mortal() -> Any:
            moment(f"before the job's work in {run.state}")
            found = work()
            moment(f"after the job's work in {run.state}")
            return found

        super()._aside_for_run(run, mortal, then)


def main() -> None:
    """Run it like the real one."""
    raise SystemExit(run(DyingEngine))


if __name__ == "__main__":
    main()
