"""`orch chat`: a conversation with an agent that has the `orch` command, left and come back to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from orch import agents
from orch.agents.talk import PROTOCOLS, Talk, Talking, talking
from orch.cli import complete, foreground, show, whom
from orch.cli.app import App
from orch.cli.lines import plain
from orch.cli.person import person
from orch.cli.plan import agents_of
from orch.core import names
from orch.errors import NotRunning, OrchError, Refused
from orch.hosts.local import Local
from orch.messages import PingOrchd
from orch.paths import Home
from orch.session.launch import LOG, Launch, prepare, read_launch, read_result

INSIDE = "ORCH_CHAT"
"""Set for the agent, and so for the `orch` that it calls."""

KEPT = 5
"""How many past conversations' folders are kept."""

LAST_LINES = 12
"""Lines of a conversation that failed which are shown."""


@click.command()
@click.option("--agent", default="", shell_complete=complete.agents, help="Whom to talk with.")
@click.option("--model", default="", help="Its model; else the agent's own default.")
@click.option("--new", is_flag=True, help="End the conversation that there is, and begin another.")
@click.pass_obj
def chat(app: App, agent: str, model: str, new: bool) -> int:
    """Talk with an agent that looks after your tasks: it can list, add, steer and judge them.

    Leave it with Ctrl-b d: it goes on, whatever happens to orch's services, and `orch chat` comes
    back to it. It ends when the agent's program does (as by /exit), or by --new. Without --agent
    the first that is installed of claude, codex, opencode and your `terminal` agents is taken.

    \b
    Example:
      orch chat
      orch chat --agent codex --new
    """
    if os.environ.get(INSIDE):
        raise Refused("you are in the conversation already", "leave it first, with Ctrl-b d")
    if not app.json and not (sys.stdin.isatty() and show.is_terminal(sys.stdout)):
        raise Refused("a conversation needs a terminal", "`orch task` has a command for each act")
    app.home.make()
    room = Room(app.home)
    with room.locked():
        begun = room.running()
        if begun is not None and not new:
            if agent not in ("", begun.agent):
                raise Refused(
                    f"a conversation with {begun.agent} goes on", "--new ends it and begins another"
                )
        else:
            room.end(begun)
            begun = _begin(app, room, agent, model)
    command = foreground.attach_command(app.home, names.CHAT)
    if app.json:
        show.json({"session": names.CHAT, "agent": begun.agent, "folder": begun.folder,
                   "command": command})  # fmt: skip
        return 0
    _note_if_down(app)
    return _enter(room, begun, command)


class Room:
    """The place of conversations: `state/internal/chat/N`, and the session of the present one."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.state / "internal" / "chat"
        self.host = Local(home)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One `orch chat` at a time looks and begins."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def numbers(self) -> list[int]:
        """The conversations there were, oldest first."""
        return sorted(int(path.name) for path in self.folder.iterdir() if path.name.isdigit())

    def running(self) -> Launch | None:
        """The conversation that goes on; None without one. Raises `Unknown`."""
        numbers = self.numbers()
        if not numbers or names.CHAT not in self.host.alive():
            return None
        return read_launch(self.folder / str(numbers[-1]))

    def end(self, begun: Launch | None) -> None:
        """End a conversation with all that it started, and what a lost one left behind."""
        numbers = self.numbers()
        if numbers:
            self.host.stop(
                names.CHAT, self.folder / str(numbers[-1]), "another conversation begins"
            )
        elif begun is not None:
            self.host.stop(names.CHAT, begun.folder)

    def fresh(self) -> Path:
        """The folder of the next conversation; the oldest ones are removed."""
        numbers = self.numbers()
        for old in numbers[: -KEPT + 1] if len(numbers) >= KEPT else ():
            shutil.rmtree(self.folder / str(old), ignore_errors=True)
        folder = self.folder / str(numbers[-1] + 1 if numbers else 1)
        (folder / "bin").mkdir(mode=0o700, parents=True)
        return folder


def _begin(app: App, room: Room, wanted: str, model: str) -> Launch:
    """Begin a conversation; returns once its session is there."""
    loaded, config = whom.configured(app)
    agent = whom.choose(config, wanted, PROTOCOLS, "be talked with")
    spec = config.agents[agent]
    here = loaded.projects.get(app.project) if app.project else None
    folder = room.fresh()
    cwd = Path(here.path) if here else folder
    values = {
        "projects": [{"slug": slug, "path": one.path} for slug, one in loaded.projects.items()],
        "project": app.project,
        "agents": agents_of(config),
        "person": person(),
    }
    from orch.tools.prompts import render  # noqa: PLC0415 - Jinja, only for a new conversation

    system = render("chat", values, app.home.prompt_places(cwd if here else None)).system
    run = f"{app.home.root}:chat:{folder.name}"
    told = talking(
        agent,
        agents.AgentSpec(
            protocol=spec.protocol, command=spec.command, env=spec.env, models=spec.models
        ),
        Talk(folder=str(folder), cwd=str(cwd), system=system, run=run, model=model),
    )
    for name, text in told.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    launch = Launch(
        session=names.CHAT, task="", attempt=int(folder.name), run=run,
        argv=told.argv, cwd=str(cwd),
        env=environment(app.home, folder, told), folder=str(folder),
        socket=str(app.home.session_socket(names.CHAT)), agent=agent, model=model,
        protocol="terminal",
    )  # fmt: skip
    prepare(launch)
    room.host.start(names.CHAT, folder, cwd)
    return launch


def environment(home: Home, folder: Path, told: Talking) -> dict[str, str]:
    """The agent's environment: from the allow-list, and an `orch` on its PATH for this home."""
    shim = folder / "bin" / "orch"
    words = [sys.executable, "-P", "-m", "orch"]
    shim.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
    shim.chmod(0o700)
    env = agents.environment(dict(os.environ), told.env, told.passes)
    return {
        **env,
        "PATH": f"{shim.parent}:{env['PATH']}",
        "TERM": "screen-256color",
        "ORCH_HOME": os.fspath(home.root),
        INSIDE: "1",
    }


def _note_if_down(app: App) -> None:
    from orch import control  # noqa: PLC0415 - like the client: only where it is asked

    try:
        control.ask(app.home, PingOrchd(), 1.0)
    except NotRunning:
        show.note("orch is not running: tasks can be looked at once it is up (`orch up -d`)")
    except OrchError as error:
        show.note(f"orch does not answer: {error.message}")


def _enter(room: Room, begun: Launch, command: list[str]) -> int:
    """Enter the session; afterwards tell whether it goes on, and how it ended if not."""
    code = foreground.run(command)
    folder = Path(begun.folder)
    ended = read_result(folder)
    if ended is None:
        if code and names.CHAT not in room.host.alive():
            raise Refused(
                "the conversation was lost: its session is gone", "`orch chat` begins one"
            )
        show.note("the conversation goes on; `orch chat` comes back to it")
        return 0
    if ended.ended_by in ("exit", "hangup", "cancelled") and not ended.exit_code:
        show.note("the conversation has ended; `orch chat` begins another")
        return 0
    end = room.host.read(folder, max(0, ended.size - 8192), 8192, LOG).decode("utf-8", "replace")
    lines = [text for line in end.split("\n") if (text := show.clean(plain(line))).strip()]
    for line in lines[-LAST_LINES:]:
        show.note(f"  {line}")
    how = ended.message or f"exit code {ended.exit_code}"
    raise OrchError(f"{begun.agent} left: {how}", f"`orch agents --check`; {folder} has its log")
