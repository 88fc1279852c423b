"""What each kind of attempt is told: work, a question asked again, a review. Aside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from orch.agents import transcript
from orch.core.prompt import around_values, cut, some, task_values
from orch.core.retry import SMALLER
from orch.errors import OrchError
from orch.hosts import Host
from orch.model import Attempt, ErrorClass
from orch.session.launch import EVENTS, LOG, read_launch
from orch.tools import git
from orch.tools.prompts import Prompt, render
from services.engine import prompts

if TYPE_CHECKING:
    from services.engine.work import Order

DIFF_BYTES = 48 * 1024
"""How much of a change is told to its reviewer, who has it checked out anyway."""

RECORD_BYTES = 2 * 1024 * 1024
"""How much of the end of a run's record is read for its summary."""


def told(order: Order) -> Prompt:
    """System prompt and message of an attempt. Raises `ConfigError` when a template is broken."""
    if order.attempt.kind == "review":
        whole = _review(order)
    else:
        known = order.known
        if order.before and order.asked is None:
            parts = [handover(order.host, one) for one in order.before]
            told_before = "\n".join(part for part in parts if part)
            known = msgspec.structs.replace(known, handover=told_before)
        whole = prompts.for_agent(
            order.home, order.task, order.attempt, order.repo, order.config, known, order.skills
        )
    return _again(order, whole) if order.asked is not None else whole


def handover(host: Host, before: Attempt) -> str:
    """What the run of an earlier attempt did, in short; '' when nothing can be said."""
    folder = Path(before.folder)
    try:
        launch = read_launch(folder)
        dialect = launch.dialect if launch is not None else ""
        name = EVENTS if dialect else LOG
        size = host.size(folder, name)
        start = max(0, size - RECORD_BYTES)
        record = host.read(folder, start, RECORD_BYTES, name)
    except OrchError:
        return ""
    if not dialect:
        return transcript.of_output(record.decode("utf-8", "replace"))
    lines = record.split(b"\n")
    return transcript.of_events(dialect, lines[1:] if start else lines)


def _again(order: Order, whole: Prompt) -> Prompt:
    """The question asked again. An agent that keeps no conversation is given with it what it was
    told and what it said."""
    asked = order.asked
    assert asked is not None
    why = "unreadable"
    if asked.why in SMALLER:
        why = "refusal" if asked.why is ErrorClass.REFUSAL else "limit"
    values = {"why": why, "problem": asked.problem, "kind": order.attempt.kind}
    again = render("reask", values, order.home.prompt_places(order.repo))
    if asked.session:
        return Prompt(whole.system, again.message)
    return Prompt(whole.system, f"{again.message}\nWhat you were told before:\n\n{whole.message}")


def _review(order: Order) -> Prompt:
    worktree, base = Path(order.attempt.worktree), order.earlier_base
    try:
        files = git.files_changed(worktree, base)
        diff = git.diff(worktree, base, "HEAD")
    except OrchError:
        files, diff = (), ""
    values = {
        "task": task_values(order.task),
        "agent": order.attempt.agent,
        "author": order.task.agent,
        "branch": order.task.branch,
        "base": base,
        "summary": order.task.summary,
        "files": some(files),
        "diff": cut(diff, DIFF_BYTES),
        "checks": "",
        "instructions": around_values(prompts.around_work(worktree, order.config))["instructions"],
        "cycle": order.cycle,
    }
    return render("review", values, order.home.prompt_places(order.repo))
