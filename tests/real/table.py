"""What each CLI makes of each failure, as a document that people read and tests compare with."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from orch.core import retry
from orch.model import Status, Verdict
from tests.support.clis import NAMES, PRINTING

PATH = Path(__file__).with_name("outcomes.md")
HEAD = """\
# What orch makes of each failure of each real CLI

Sessions as orch runs them, pinned versions (`.ci/real`): claude with one retry, codex with none
(one where the failure happens once), opencode given up after two tries, gemini with one retry,
qwen with its own six. *class* is the verdict, *what follows* is for the first attempt of a task.
*requests* are those that asked for a step (`1-2`: a race inside of the CLI); *seconds*, with the
start of the CLI, are of one run and not compared. Compared by `make real`;
written anew by `ORCH_REAL_RECORD=1 make real`.

| CLI | what the server does | class | what follows | requests | message | seconds |
|---|---|---|---|---|---|---|
"""
VARYING = (
    (re.compile(r"(http://)?127\.0\.0\.1:\d+(/s/\w+/\w+)?"), "SERVER"),
    (re.compile(r"\d{1,2}:\d\d [AP]M"), "TIME"),
    (re.compile(r"resets .*? \(UTC\)"), "resets TIME (UTC)"),
    (re.compile(r"only ~\d+ tokens"), "only N tokens"),
    (
        re.compile(
            r"Connection reset by server|Cannot connect to API: The socket connection was closed "
            r"unexpectedly\..*"
        ),
        "CONNECTION CLOSED",  # by which of the two depends on what it was just doing
    ),
    (re.compile(r"\s*\n\s*"), " "),
    (re.compile(r"\|"), "/"),
)
LONGEST = 160
NOW = 1_000_000.0


class Row(NamedTuple):
    """One line of the table, without its seconds."""

    cli: str
    scenario: str
    error: str
    follows: str
    requests: str
    message: str


def row(cli: str, scenario: str, verdict: Verdict, asked: int) -> Row:
    """The line for a verdict, with what differs from run to run taken out."""
    message = verdict.answer.summary if verdict.ok and verdict.answer else verdict.message
    for pattern, instead in VARYING:
        message = pattern.sub(instead, message)
    error = verdict.error.value if verdict.error else "-"
    return Row(cli, scenario, error, follows(verdict, cli), str(asked), message[:LONGEST].strip())


def follows(verdict: Verdict, cli: str) -> str:
    """The consequence in words: what rests, who goes on, whether it is counted."""
    command = cli in PRINTING  # which has no conversation, but is run again
    before = retry.History(counted=0, can_ask=command or bool(verdict.native_session))
    then = retry.follow(verdict, before, max_attempts=3, now=NOW)
    if then.ask:
        return "run once more, told all" if command else "asked once more in the same conversation"
    parts = []
    if then.broken:
        parts.append("the agent rests until it is checked")
    elif then.cooldown and then.cooldown == verdict.retry_at:
        parts.append("rests until the stated time")
    elif then.cooldown:
        parts.append(f"rests {(then.cooldown - NOW) / 60:.0f} min")
    if then.status is Status.ROUTED:
        parts.append("next model or agent" if then.other_agent else "tried again")
        parts.append("counted" if then.counted else "not counted")
    else:
        parts.append(then.status.value.replace("_", " "))
    return ", ".join(parts)


def settled(found: Row, known: Row) -> Row:
    """The known row, with the number of requests that was found where it is one of several."""
    least, dash, most = known.requests.partition("-")
    among = dash and int(least) <= int(found.requests) <= int(most)
    return known._replace(requests=found.requests) if among else known


@dataclass
class Table:
    """The document's rows by CLI and scenario, each with the seconds it took."""

    rows: dict[tuple[str, str], tuple[Row, str]] = field(default_factory=dict)
    seen: dict[tuple[str, str], tuple[Row, str]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Table:
        """The document as it is."""
        rows = {}
        for line in PATH.read_text().splitlines() if PATH.exists() else ():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) == 7 and cells[0] in {*NAMES, *PRINTING}:
                rows[cells[0], cells[1]] = (Row(*cells[:6]), cells[6])
        return cls(rows)

    @property
    def recording(self) -> bool:
        """Whether this run writes the document instead of being compared with it."""
        return os.environ.get("ORCH_REAL_RECORD") == "1"

    def check(self, found: Row, seconds: float) -> None:
        """Compare with what is known, or record it."""
        key = (found.cli, found.scenario)
        self.seen[key] = (found, f"{seconds:.1f}")
        if not self.recording:
            assert key in self.rows, f"not in {PATH.name}: {found}"
            assert found == settled(found, self.rows[key][0])

    def keep(self) -> None:
        """Write the document if this run records; a scenario that there is no more goes, a number
        of requests that was widened by hand stays so."""
        if self.recording:
            all_rows = self.rows | {
                key: (found._replace(requests=self._widened(key, found)), took)
                for key, (found, took) in self.seen.items()
            }
            lines = [f"| {' | '.join((*row, took))} |" for row, took in all_rows.values()]
            PATH.write_text(HEAD + "\n".join(sorted(lines)) + "\n")

    def _widened(self, key: tuple[str, str], found: Row) -> str:
        known = self.rows.get(key)
        if known is not None and settled(found, known[0]).requests == found.requests:
            return known[0].requests
        return found.requests
