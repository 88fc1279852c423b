"""The two prompts of an attempt, from the task, what is known of it, and its worktree. Aside."""

from __future__ import annotations

from pathlib import Path

import msgspec

from orch.config.schema import Config
from orch.core import names
from orch.core.outline import outline
from orch.core.prompt import Around, Known, agent_values
from orch.model import Attempt, Skill, Task
from orch.paths import Home
from orch.tools import git, project
from orch.tools.prompts import Prompt, render
from services.engine import earlier

CONTEXT = "context.md"
"""A file in a task's state folder: what people, hooks or scripts note for whoever works on it."""


def for_agent(
    home: Home, task: Task, attempt: Attempt, repo: Path, config: Config,
    known: Known, skills: tuple[Skill, ...] = (),
) -> Prompt:  # fmt: skip
    """System prompt and message of an attempt. Raises `ConfigError` when a template is broken."""
    worktree = Path(attempt.worktree)
    known = msgspec.structs.replace(
        known,
        files=known.files or _changed(worktree, attempt.base),
        context=known.context or context(home, task.key),
        parent_context=context(home, known.parent.key) if known.parent else "",
        earlier=earlier.looked_at(repo, attempt.branch, known.earlier),
        children=earlier.looked_at(repo, attempt.branch, known.children),
    )
    around = around_work(worktree, config, attempt.branch, skills, task.profile.tools)
    values = agent_values(task, known, around, attempt.agent)
    return render("agent", values, home.prompt_places(repo))


def around_work(
    folder: Path, config: Config, branch: str = "",
    skills: tuple[Skill, ...] = (), tools: tuple[str, ...] = (),
) -> Around:  # fmt: skip
    """What surrounds work in a folder: the project's own instructions, its files, and skills."""
    return Around(
        branch=branch,
        instructions=project.instructions(folder),
        tree=outline(project.files(folder)),
        skills=skills,
        required_skills=config.workflow.required_skills,
        tools=tuple(dict.fromkeys((*config.workflow.required_tools, *tools))),
    )


def context(home: Home, key: str) -> str:
    """The context file of a task; '' without one."""
    return project.text_within(home.task_folder(names.task_folder(key)), CONTEXT)


def _changed(worktree: Path, base: str) -> tuple[str, ...]:
    """What the branch changed so far; nothing for a fresh one."""
    return git.files_changed(worktree, base) if base and worktree.is_dir() else ()
