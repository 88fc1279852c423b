"""What the dashboard's keys do: requests to the services, and programs that take the terminal."""

from __future__ import annotations

import os
import sys

from orch.cli.dashboard.view import Wanted
from orch.cli.person import person
from orch.client import Client
from orch.errors import Refused
from orch.messages import (
    ActOnTask,
    AnswerQuestion,
    GetTask,
    KillTask,
    RetryTask,
    RunTask,
    SendInput,
    UnblockTask,
)
from orch.model import Attempt, Phase
from orch.paths import Home

ACT_SECONDS = 30.0
"""How long an act may take: typing a long text, or asking an attempt's programs to stop."""

REQUESTS: dict[str, tuple[type[ActOnTask], str]] = {
    "retry": (RetryTask, "{} starts over"),
    "run": (RunTask, "{} runs as soon as a slot is free"),
    "unblock": (UnblockTask, "{} may run again"),
    "kill": (KillTask, "{} is stopped"),
}


def do(client: Client, wanted: Wanted) -> str:
    """Do it; returns what to tell. Raises the `OrchError` of the service."""
    if wanted.act == "send":
        session = running(client, wanted.task).session
        delivered = client.ask(SendInput(session, wanted.text, by=person()), ACT_SECONDS)
        if delivered.state == "refused":
            raise Refused(f"{session} refused it: {delivered.reason}")
        why = f" ({delivered.reason})" if delivered.reason else ""
        return f"{delivered.state}{why}: {wanted.text}"
    if wanted.act in ("approve", "deny"):
        allowed = wanted.act == "approve"
        answer = AnswerQuestion(wanted.task, allowed, wanted.question, wanted.text, by=person())
        answered = client.ask(answer, ACT_SECONDS).approval
        return f"{answered.task}: {answered.state}"
    request, told = REQUESTS[wanted.act]
    client.ask(request(wanted.task, by=person()), ACT_SECONDS)
    return told.format(wanted.task)


def running(client: Client, task: str) -> Attempt:
    """The attempt whose session runs; raises `Refused` when none does."""
    detail = client.ask(GetTask(task), 2.0)
    found = detail.attempts[-1] if detail.attempts else None
    if found is None or found.phase is not Phase.RUNNING or found.launched_at is None:
        raise Refused(f"no session of {task} runs: it is {detail.task.status}")
    return found


def watch_command(home: Home, task: str) -> list[str]:
    """What streams a task's session until it ends or Ctrl-C."""
    orch = [sys.executable, "-P", "-m", "orch", "--home", os.fspath(home.root)]
    return [*orch, "task", "stream", task]
