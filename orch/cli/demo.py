"""`orch demo`: a whole orch on a scratch project, one real task live to its commit, and gone."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from orch.cli import daemon, demo_story, show
from orch.cli.app import App
from orch.cli.demo_map import process_map
from orch.cli.lines import Rows
from orch.cli.scratch_home import scratch_home
from orch.client import Client
from orch.errors import NotFound, OrchError
from orch.messages import (
    AddTask,
    EventLogged,
    GetTask,
    KillTask,
    ListSessions,
    OutputSeen,
    ReadOutput,
    TaskDetail,
)
from orch.model import Session, Status
from orch.paths import Home
from orch.tools import git
from orch.tools.process import run

LIMIT_SECONDS = {"shell": 120.0}
AGENT_LIMIT_SECONDS = 900.0
"""How long the task may take: the built-in agent, and any other."""

INTERRUPTED = "interrupted: stopping everything"
ENDED = frozenset({Status.DONE, Status.BLOCKED, Status.NEEDS_REVIEW})


class Teller:
    """Prints the story: a line per stage with the time since the start, output as it comes."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.began = time.monotonic()
        self.rows = Rows(show.colourful(sys.stdout))
        self.margin = f"          {show.paint('│', 'cyan')} "

    def stage(self, text: str, **details: Any) -> None:
        """Tell what is done now."""
        self.quiet()
        seconds = time.monotonic() - self.began
        if self.as_json:
            show.json_line({"kind": "stage", "seconds": round(seconds, 3), "text": text, **details})
        else:
            show.write(f"{show.paint(f'{seconds:6.2f} s', 'dim')}  {text}\n")

    def block(self, text: str) -> None:
        """Show several lines as they are, indented."""
        if not self.as_json:
            show.write("".join(f"          {line}\n" for line in text.splitlines()))

    def output(self, session: str, offset: int, data: bytes) -> None:
        """Show what the agent wrote."""
        text = data.decode("utf-8", "replace")
        if self.as_json:
            show.json_line({"kind": "output", "session": session, "offset": offset, "text": text})
        else:
            show.write(self.rows.add(self.margin, text))

    def quiet(self) -> None:
        """The output pauses: its unfinished line ends."""
        if not self.as_json:
            show.write(self.rows.finish(self.margin))


@click.command()
@click.option("--agent", default="shell", help="Another agent of your config (may cost money).")
@click.pass_obj
def demo(app: App, agent: str) -> int:
    """Show orch at work: a scratch project, a real task streamed live to its commit.

    Nothing of yours is touched and nothing is left behind; a few seconds with the built-in agent.

    \b
    Example:
      orch demo
    """
    settings = _agent_settings(app, agent)
    teller = Teller(app.json)
    with scratch_home("orch-demo-", partial(teller.stage, INTERRUPTED)) as home:
        repo = make_project(home, settings, agent)
        teller.stage(f"a scratch project with a git repository: {repo}")
        began = time.monotonic()
        roster = daemon.wait_ready(home, daemon.start(home))
        took = show.duration(time.monotonic() - began)
        teller.stage(f"orch is up: orchd and {len(roster.services)} services ready in {took}")
        with Client(home) as client:
            done = _work(client, home, teller, agent)
        _tell_result(teller, repo, done)
    teller.stage("everything is stopped and removed")
    return 0 if done.task.status == Status.DONE else 1


def make_project(home: Home, settings: dict[str, Any], agent: str) -> Path:
    """The scratch home's config and its one project: a repository with one commit."""
    import yaml  # noqa: PLC0415 - slow, and only needed here

    repo = home.root.parent / "greeter"
    repo.mkdir()
    for name, text in demo_story.FILES.items():
        (repo / name).write_text(text)
    (repo / ".orch.yml").write_text(yaml.safe_dump({"gh": {"repo": demo_story.SLUG}}))
    run(["git", "init", "-q", "-b", "main"], cwd=repo)
    git.commit_all(repo, "A greeter that greets nobody by name", "demo", "demo@localhost")
    home.make()
    config = {
        "projects": [os.fspath(repo)],
        "router": {"mode": "round_robin", "agents": [agent]},
        **({"agents": {agent: settings}} if settings else {}),
    }
    home.config.write_text(yaml.safe_dump(config))
    home.config.chmod(0o600)
    return repo


def _work(client: Client, home: Home, teller: Teller, agent: str) -> TaskDetail:
    """Add the task and show its life until it has ended."""
    text = demo_story.body(agent)
    added = client.ask(AddTask(demo_story.TITLE, demo_story.SLUG, body=text, agent=agent))
    teller.stage(f"task {added.id} added: {demo_story.TITLE}", task=added.id)
    try:
        return _follow(client, home, teller, added.id, agent)
    except BaseException:
        with contextlib.suppress(OrchError):
            client.ask(KillTask(added.id, project=demo_story.SLUG, by="demo"), timeout=5.0)
        raise


def _follow(client: Client, home: Home, teller: Teller, task: str, agent: str) -> TaskDetail:
    deadline = time.monotonic() + LIMIT_SECONDS.get(agent, AGENT_LIMIT_SECONDS)
    read: dict[str, int] = {}
    with client.subscribe(OutputSeen, EventLogged) as heard:
        while time.monotonic() < deadline:
            detail = client.ask(GetTask(task, project=demo_story.SLUG))
            sessions = client.ask(ListSessions(task=task, ended_since=0.0)).sessions
            for one in sessions:
                if one.session not in read:
                    _tell_session(teller, home, one)
                read[one.session] = _read_on(client, teller, one.session, read.get(one.session, 0))
            if detail.task.status in ENDED and all(one.ended for one in sessions):
                return detail
            heard.poll(0.25)
    raise OrchError("the task did not end in time", "look at it with your own `orch up`")


def _read_on(client: Client, teller: Teller, session: str, offset: int) -> int:
    """Show a session's output from `offset`; returns where it ends now."""
    while True:
        got = client.ask(ReadOutput(session, offset))
        if not got.data:
            return offset
        teller.output(session, offset, got.data)
        offset += len(got.data)


def _tell_session(teller: Teller, home: Home, session: Session) -> None:
    teller.stage(f"session {session.session} started, {session.agent} works in its own worktree")
    teller.block(process_map(home, session))


def _tell_result(teller: Teller, repo: Path, done: TaskDetail) -> None:
    task = done.task
    attempts = len(done.attempts)
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    why = task.blocked_reason or task.last_error
    text = f"task {task.key} is {show.state(task.status)} after {tries}{f': {why}' if why else ''}"
    teller.stage(text, status=task.status, branch=task.branch)
    if not task.branch or not git.commit_of(repo, f"refs/heads/{task.branch}"):
        return
    log = run(["git", "log", "--oneline", "-1", task.branch], cwd=repo).out.decode().strip()
    patch = git.diff(repo, "main", task.branch, colour=show.colourful(sys.stdout))
    teller.stage(f"its commit on {task.branch}: {log}", commit=log.partition(" ")[0], diff=patch)
    teller.block(patch.strip("\n"))


def _agent_settings(app: App, agent: str) -> dict[str, Any]:
    """The settings of an agent of the user's own config; none are needed for the built-in one."""
    if agent == "shell":
        return {}
    from msgspec import to_builtins  # noqa: PLC0415

    from orch.config.load import load  # noqa: PLC0415

    agents = load(app.home).config.agents
    if agent not in agents:
        raise NotFound(f"there is no agent {agent!r}", f"there are {', '.join(sorted(agents))}")
    settings: dict[str, Any] = to_builtins(agents[agent])
    return settings
