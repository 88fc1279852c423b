"""The root of the `orch` command: what commands there are, and how errors and exits look."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import cast

import click

from orch.cli import show
from orch.cli.app import App
from orch.cli.lazy import Entry, Lazy
from orch.errors import OrchError

RUN, WORK, WATCH, SETUP, PARTS = (
    "Run orch",
    "Give it work",
    "Watch and steer",
    "Set it up",
    "Parts for scripts",
)

COMMANDS = {
    "up": Entry("orch.cli.up:up", RUN, "Start orch, in the foreground or as a daemon."),
    "serve": Entry("orch.cli.up:up", RUN, "Another name of `up`.", hidden=True),
    "down": Entry("orch.cli.down:down", RUN, "Stop orch; sessions keep running."),
    "status": Entry("orch.cli.status:status", RUN, "Show services, slots, sessions and problems."),
    "service": Entry("orch.cli.service:service", RUN, "Start, stop, restart one service."),
    "demo": Entry("orch.cli.demo:demo", RUN, "Run one real task on a scratch project, live."),
    "doctor": Entry("orch.cli.doctor:doctor", RUN, "Check everything orch needs."),
    "task": Entry("orch.cli.task_group:task", WORK, "Add, look at, run and steer tasks."),
    "job": Entry("orch.cli.job_group:job", WORK, "What repeats by the clock."),
    "chat": Entry("orch.cli.chat:chat", WORK, "Talk with an agent that looks after tasks."),
    "tail": Entry("orch.cli.tail:tail", WATCH, "Follow every session and every event."),
    "stream": Entry("orch.cli.live:stream", WATCH, "Follow one task's session to its end."),
    "dashboard": Entry("orch.cli.dashboard.command:dashboard", WATCH, "Everything on one screen."),
    "cost": Entry("orch.cli.cost:cost", WATCH, "Show what agents cost."),
    "metrics": Entry("orch.cli.cost:metrics", WATCH, "Show how attempts went."),
    "log": Entry("orch.cli.log:log", WATCH, "Read the services' logs."),
    "init": Entry("orch.cli.init:init", SETUP, "Make this folder a project of orch."),
    "project": Entry("orch.cli.project:project", SETUP, "Add, remove and list projects."),
    "config": Entry("orch.cli.config:config", SETUP, "Read, change, check and explain settings."),
    "agents": Entry("orch.cli.agents:agents", SETUP, "List the agent programs and their state."),
    "skills": Entry("orch.cli.skills:skills", SETUP, "List and update the skills of agents."),
    "completions": Entry("orch.cli.completions:completions", SETUP, "Print a shell's completion."),
    "gc": Entry("orch.cli.gc:gc", SETUP, "Remove what nothing needs any more."),
    "parse": Entry("orch.cli.parse:parse", PARTS, "Tell what a recorded run came to."),
    "cron": Entry("orch.cli.cron:cron", PARTS, "Tell when a cron line comes, or came."),
    "template": Entry("orch.cli.template:template", PARTS, "Fill a prompt template."),
    "sidecar": Entry("orch.cli.sidecar:sidecar", PARTS, "Read and set a task's key/value pairs."),
    "ping": Entry("orch.cli.version:ping", PARTS, "Ask whether orchd answers."),
    "version": Entry("orch.cli.version:version", PARTS, "Print the version."),
}
"""Every command: only the one that is called gets imported."""

HELP = """Run AI coding agents on tasks, each in its own worktree and tmux session.

\b
Example:
  orch up -d
  orch task add "Fix the typo in README.md" --run --watch
"""

root = Lazy("orch", COMMANDS, HELP)


def run(args: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's); prints errors; returns the exit code."""
    words = list(sys.argv[1:] if args is None else args)
    _write_utf8()
    app = App()
    try:
        result = root.main(words, prog_name="orch", standalone_mode=False, obj=app)
        show.flush()
    except click.UsageError as error:
        return fail(app.json or _wants_json(words), "Usage", error.format_message(), _usage(error))
    except click.ClickException as error:
        return fail(app.json, "Usage", error.format_message(), "", error.exit_code)
    except OrchError as error:
        kind = type(error)
        return fail(app.json, kind.__name__, error.message, error.hint, kind.exit_code)
    except (click.Abort, KeyboardInterrupt, EOFError):
        return 130
    except BrokenPipeError:
        return _quiet()
    return result if isinstance(result, int) else 0


def fail(json: bool, kind: str, message: str, hint: str = "", code: int = 2) -> int:
    """Print an error as text on stderr or as JSON on stdout; returns its exit code."""
    try:
        show.error(json, kind, message, hint)
    except BrokenPipeError:
        _quiet()
    return code


def _wants_json(words: list[str]) -> bool:
    """Whether `--json` stands among the options: a usage error comes before it is read."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options


def _usage(error: click.UsageError) -> str:
    return f"see `{error.ctx.command_path if error.ctx else 'orch'} --help`"


def _quiet() -> int:
    """The reader has left: say nothing, not even while the interpreter closes."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return 1


def _write_utf8() -> None:
    """Whatever the locale: what cannot be written is escaped, never an error."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and stream.encoding.lower() not in ("utf-8", "utf8"):
            cast(TextIOWrapper, stream).reconfigure(encoding="utf-8", errors="backslashreplace")
