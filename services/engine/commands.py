"""Commands of people's own (hooks, preparing a worktree): each in a thread of its own, so that none
takes one from the engine's steps; bounded in time; ended with the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from orch.errors import OrchError
from orch.tools import process
from services.engine.ledger import Ledger

OUTPUT_BYTES = 8 << 20
"""The most that a command may write."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be run: `mark` is the `ORCH_RUN` that its processes carry, `log` the file that
    keeps what it writes."""

    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    mark: str
    log: Path
    timeout_seconds: float
    input: bytes = b""


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What a command came to: '' as `problem` when it ended well, and the end of what it wrote."""

    problem: str
    output: str


class Commands(Ledger):
    """Runs people's commands beside everything else."""

    def setup(self) -> None:
        """Begin with none running."""
        self._commands: dict[str, int] = {}
        super().setup()

    def beside(self, command: Command, then: Callable[[Came], None]) -> None:
        """Run a command in a thread of its own; `then` runs in the loop."""
        self._commands[command.mark] = self._commands.get(command.mark, 0) + 1

        def ended(came: Came) -> None:
            self._commands[command.mark] -= 1
            then(came)

        def work() -> None:
            came = run(command)
            self.post(lambda: ended(came))

        threading.Thread(target=work, name="command", daemon=True).start()

    def teardown(self) -> None:
        """End the commands that run: they are run again by the next engine."""
        for mark, count in self._commands.items():
            if count:
                process.end(process.marked(mark), grace=0.3)
        super().teardown()


def run(command: Command) -> Came:
    """Run a command to its end, whatever that is."""
    try:
        command.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        code = process.record(
            command.argv,
            command.log,
            cwd=command.cwd,
            env={**command.env, "ORCH_RUN": command.mark},
            timeout=command.timeout_seconds,
            input=command.input,
            limit=OUTPUT_BYTES,
        )
    except (OrchError, OSError) as error:
        problem = error.message if isinstance(error, OrchError) else str(error)
        return Came(problem=problem, output=_tail(command.log))
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return Came(problem=how if code else "", output=_tail(command.log))


def _tail(log: Path, most: int = 4000) -> str:
    """The end of what a command wrote."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            return file.read(most).decode("utf-8", "replace").strip()
    except OSError:
        return ""
