"""`make bench`: every figure beside its peer and its target, as one table, kept in results.md.

python -m tests.bench [NAME]...     only the files named (start, memory, messaging, …)
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from tests.bench.row import Row

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = HERE / "results.md"
HEADERS = ("figure", "value", "target", "ok", "beside", "note")


def main(names: list[str]) -> int:
    """Measure, print each row as it comes, write the table; 1 when something was not measured."""
    wanted = names or measuring()
    found: list[Row] = []
    broken: list[str] = []
    for name in wanted:
        print(f"... {name}", file=sys.stderr, flush=True)
        measured = apart(name)
        if measured is None:
            broken.append(name)
            continue
        found += measured
        for row in measured:
            print(" ".join(cells(row)), file=sys.stderr, flush=True)
    table = layout([HEADERS, *map(cells, found)])
    print(table)
    passed = sum(row.ok for row in found)
    print(f"\n{passed} of {len(found)} targets met" + "".join(f"; {n} failed" for n in broken))
    if not names and not broken:
        RESULTS.write_text(f"# Results\n\n{setting()}\n\n{table}\n")
    return 1 if broken else 0


def apart(name: str) -> list[Row] | None:
    """The rows of one file, measured in a process of its own; None when that failed."""
    code = (
        f"import json, dataclasses, tests.bench.{name} as measured\n"
        "rows = [dataclasses.asdict(row) for row in measured.rows()]\n"
        "print('rows:' + json.dumps(rows))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    last = [line for line in ran.stdout.splitlines() if line.startswith("rows:")]
    if ran.returncode or not last:
        return None
    return [Row(**row) for row in json.loads(last[-1].removeprefix("rows:"))]


def measuring() -> list[str]:
    """The files here that have figures: those that define `rows`."""
    return sorted(
        path.stem for path in HERE.glob("*.py") if "\ndef rows() -> list[Row]" in path.read_text()
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    beside = (
        f"{row.peer} {number(row.peer_value)} {row.unit}" if row.peer_value else row.peer or "-"
    )
    return (
        row.figure,
        f"{number(row.value)} {row.unit}",
        number(row.target),
        "yes" if row.ok else "NO",
        beside,
        row.note,
    )


def number(value: float) -> str:
    """Three digits are enough."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def layout(lines: list[tuple[str, ...]]) -> str:
    """A Markdown table that is readable as it is."""
    widths = [max(len(line[n]) for line in lines) for n in range(len(HEADERS))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([texts[0], rule, *texts[1:]])


def setting() -> str:
    """Where and when it was measured."""
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    load = os.getloadavg()[0]
    return (
        f"Measured {when} by `make bench`: {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} cores (load {load:.1f}), Python {platform.python_version()}. "
        "A target is an absolute figure in the row's unit, or a ratio to what stands beside it."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
