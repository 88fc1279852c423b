"""What each CLI makes of each failure, as a document that people read and tests compare with."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.support.clis import NAMES, Outcome
from tests.support.model_server import Run

PATH = Path(__file__).with_name("outcomes.md")
HEAD = """\
# What the real CLIs make of each failure

One-shot mode, pinned versions (`.ci/real`), claude with one retry, codex with none (one where the
failure happens once), opencode as it comes. *exit* is the exit code, or `limit` where the CLI had
to be ended; *requests* are those that asked for a step; *seconds* are of one run and not compared.
Compared by `make real`; written anew by `ORCH_REAL_RECORD=1 make real`.

| CLI | what the server does | exit | requests | last word | seconds |
|---|---|---|---|---|---|
"""
VARYING = (
    (re.compile(r"(http://)?127\.0\.0\.1:\d+(/s/\w+/\w+)?"), "SERVER"),
    (re.compile(r"\d{1,2}:\d\d [AP]M"), "TIME"),
    (re.compile(r"resets .*? \(UTC\)"), "resets TIME (UTC)"),
    (re.compile(r"only ~\d+ tokens"), "only N tokens"),
    (re.compile(r"\s*\n\s*"), " "),
    (re.compile(r"\|"), "/"),
)
LONGEST = 200
LIMIT = "limit"
HOPELESS_SECONDS, PATIENT_SECONDS = 12.0, 90.0


class Row(NamedTuple):
    """One line of the table, without its seconds."""

    cli: str
    scenario: str
    exit: str
    requests: str
    last_word: str


def row(scenario: str, outcome: Outcome, run: Run) -> Row:
    """The line for an outcome, with what differs from run to run taken out."""
    asked = len(run.requests)
    if outcome.code is None:
        return Row(outcome.name, scenario, LIMIT, "1" if asked == 1 else "many", "")
    word = outcome.last_word
    for pattern, instead in VARYING:
        word = pattern.sub(instead, word)
    return Row(outcome.name, scenario, str(outcome.code), str(asked), word[:LONGEST].strip())


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
            if len(cells) == 6 and cells[0] in NAMES:
                rows[cells[0], cells[1]] = (Row(*cells[:5]), cells[5])
        return cls(rows)

    @property
    def recording(self) -> bool:
        """Whether this run writes the document instead of being compared with it."""
        return os.environ.get("ORCH_REAL_RECORD") == "1"

    def limit_seconds(self, cli: str, scenario: str) -> float:
        """How long to watch: not for long where it is known that no end comes."""
        known, _ = self.rows.get((cli, scenario), (None, ""))
        return HOPELESS_SECONDS if known and known.exit == LIMIT else PATIENT_SECONDS

    def check(self, found: Row, seconds: float) -> None:
        """Compare with what is known, or record it."""
        key = (found.cli, found.scenario)
        self.seen[key] = (found, f"{seconds:.1f}")
        if not self.recording:
            assert key in self.rows, f"not in {PATH.name}: {found}"
            assert found == self.rows[key][0]

    def keep(self) -> None:
        """Write the document if this run records."""
        if self.recording:
            all_rows = self.rows | self.seen
            lines = [f"| {' | '.join((*row, took))} |" for row, took in all_rows.values()]
            PATH.write_text(HEAD + "\n".join(sorted(lines)) + "\n")
