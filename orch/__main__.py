"""The `orch` command: the smallest commands answer without loading the command line."""

from __future__ import annotations

import sys

QUICK = ("ping", "version", "--version")
"""Commands that import nothing, as long as they are called plainly."""


def main() -> int:
    """Run `orch` with the arguments of this process; returns its exit code."""
    args = sys.argv[1:]
    if args and args[0] in QUICK and set(args[1:]) <= {"--json"}:
        from orch.cli import quick  # noqa: PLC0415 - the other branch must not pay for it

        return quick.run(args[0].lstrip("-"), json="--json" in args)
    from orch.cli.main import run  # noqa: PLC0415 - it imports click

    return run(args)


if __name__ == "__main__":
    sys.exit(main())
