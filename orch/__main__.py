"""The `orch` command: the smallest commands answer without loading the command line.

Not even `__future__` is imported here and in `orch.cli.quick`: each file costs what it saves.
"""

import gc
import os
import sys

QUICK = ("ping", "version", "--version")
"""Commands that import nothing, as long as they are called plainly."""

NEW_OBJECTS = 50_000
"""Between two collections: the usual 700 would mean dozens of them during the imports alone."""


def main() -> int:
    """Run `orch` with the arguments of this process; returns or leaves with its exit code."""
    args = sys.argv[1:]
    if args and args[0] in QUICK and set(args[1:]) <= {"--json"}:
        from orch.cli import quick  # noqa: PLC0415 - the other branch must not pay for it

        return _leave(quick.run(args[0].lstrip("-"), json="--json" in args))
    gc.set_threshold(NEW_OBJECTS)
    from orch.cli.main import run  # noqa: PLC0415 - it imports click

    return _leave(run(args))


def _leave(code: int) -> int:
    """Skip the taking down of everything imported: a good part of a short command's time."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        return code  # the interpreter's own way out tells what is to be told
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
