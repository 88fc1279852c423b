"""The real engine, except that it kills itself (SIGKILL) once, at the moment it was told.

Moments are counted over all its lives in a file: just before and just after each commit, and just
before and after each piece of work that it does aside. `strike` in the folder named by
`ORCH_STRIKE` holds the number of the moment to die at.
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
    """Count a moment; die when it is the one."""
    here = Path(os.environ["ORCH_STRIKE"])
    counted = os.open(here / "count", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(counted, b"x")
    number = os.fstat(counted).st_size
    os.close(counted)
    if number == int((here / "strike").read_text() or 0):
        (here / "died").write_text(f"{number}: {name}")
        os.kill(os.getpid(), signal.SIGKILL)


class DyingEngine(Engine):
    """Dies before or after a commit, before or after work aside."""

    name = "engine"

    @contextmanager
    def write(self) -> Iterator[None]:
        outermost = not self.store.db.in_transaction
        with super().write():
            yield
            if outermost:
                moment("before commit")
        if outermost:
            moment("after commit")

    def _step(self, attempt: Any, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        def mortal() -> Any:
            moment(f"before work in {attempt.phase}")
            found = work()
            moment(f"after work in {attempt.phase}")
            return found

        super()._step(attempt, mortal, then)

    def _aside_for(self, run: Any, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        def mortal() -> Any:
            moment(f"before the job's work in {run.state}")
            found = work()
            moment(f"after the job's work in {run.state}")
            return found

        super()._aside_for(run, mortal, then)


def main() -> None:
    """Run it like the real one."""
    raise SystemExit(run(DyingEngine))


if __name__ == "__main__":
    main()
