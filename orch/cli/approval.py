"""`orch task approve, deny`: answer what a task's agent asks."""

from __future__ import annotations

import time
from typing import Any

import click

from orch.cli import documents, show
from orch.cli.app import App
from orch.cli.person import person
from orch.cli.task import task_id
from orch.core.approval import words
from orch.messages import AnswerQuestion, GetTask
from orch.model import Approval, ApprovalState

TOLD_SECONDS = 5.0
"""How long to wait for the word that the agent has the answer."""

LOOK_SECONDS = 0.1
"""Between two looks at that."""


@click.command()
@task_id
@click.argument("question", default="")
@click.option("--choose", default="", metavar="TEXT", help="The option to take, where it asks so.")
@click.pass_obj
def approve(app: App, id_: str, question: str, choose: str) -> int:
    """Allow what a task's agent asks for; QUESTION is its number where several wait.

    \b
    Example:
      orch task approve int-5
    """
    return _answer(app, id_, question, True, choose)


@click.command()
@task_id
@click.argument("reason", default="")
@click.option("--question", default="", metavar="NUMBER", help="Which, where several wait.")
@click.pass_obj
def deny(app: App, id_: str, reason: str, question: str) -> int:
    """Refuse what a task's agent asks for; it is told REASON, and goes on.

    \b
    Example:
      orch task deny int-5 "use make clean instead"
    """
    return _answer(app, id_, question, False, reason)


def _answer(app: App, id_: str, question: str, allowed: bool, reason: str) -> int:
    """Show what is asked, answer exactly that, and tell whether the agent has the answer."""
    detail = app.ask(GetTask(id_, app.project))
    asked = [one for one in detail.approvals if one.state is ApprovalState.ASKED]
    if not question and len(asked) == 1:
        question = str(asked[0].id)  # what is shown is what gets answered
    meant = [one for one in asked if question in (str(one.id), one.question)]
    if meant and not app.json:
        show.line(_shown(meant[0]))
        show.flush()
    told = AnswerQuestion(
        detail.task.key, allowed, question, reason, project=app.project, by=person()
    )
    answered = app.ask(told).approval
    found = _told(app, answered)
    late = (found.state, found.by) != (answered.state, answered.by)
    show.result(app.json, _document(found), _overtaken(found) if late else _fate(found))
    return 1 if found.problem or late else 0


def _shown(one: Approval) -> str:
    when = show.duration(max(time.time() - one.asked_at, 0.0))
    said = words(one.tool, one.text, one.options)
    return show.clean(f"{one.task}: {one.agent} (attempt {one.n}) has asked for {when}: {said}")


def _told(app: App, answered: Approval) -> Approval:
    """The question once it is known whether the answer has reached the agent, or as it is now."""
    deadline = time.monotonic() + TOLD_SECONDS
    found = answered
    while not (found.delivered or found.problem) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        rows = app.ask(GetTask(answered.task, app.project)).approvals
        found = next((one for one in rows if one.id == answered.id), found)
    return found


def _fate(found: Approval) -> str:
    if found.problem:
        why = show.clean(found.problem)
        return f"{found.state}: recorded, but it did not reach the agent: {why}"
    if found.delivered:
        return f"{found.state}: the agent has the answer"
    return f"{found.state}: recorded; the agent gets it as soon as its session can be reached"


def _overtaken(found: Approval) -> str:
    return show.clean(f"{found.by} was quicker: {found.state}")


def _document(found: Approval) -> dict[str, Any]:
    return {"id": found.task, "approval": documents.approval(found)}
