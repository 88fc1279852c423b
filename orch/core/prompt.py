"""What agents are told: values for the templates in `prompts/`, and other people's text, marked."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from orch.model import Profile, Skill, Task

MEMORY_CHARACTERS = 2000
"""How much of one remembered attempt is told."""

BODY_BYTES = 128 * 1024
"""How much of a task's text is told."""

PART_BYTES = 16 * 1024
"""How much is told of a review, of a context file, and of each of the project's own texts."""

COMMENT_BYTES = 4 * 1024
MOST_COMMENTS = 30
MOST_FILES = 200

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, escape sequences with them
    "\u200b\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff"  # direction and invisible joints
    "\U000e0000-\U000e007f]"  # tag characters: a text that nobody sees
)


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """A task on whose work another builds: what is said of it, the branch or commit that holds its
    work ('' when it left none), and whether the other's branch has that (`here`)."""

    key: str
    said: str
    work: str = ""
    here: bool = False


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds a task, of whatever source. `files`: what the branch already changed;
    `earlier`: the tasks before this one; `children`: its subtasks; `comments`: author and text;
    `answers`: what was asked and what a person answered; `handover`: what the agent before did;
    `context`: the task's own context file; `memory`: rows of the last attempts."""

    attempt: int
    parent: Task | None = None
    memory: tuple[dict[str, Any], ...] = ()
    files: tuple[str, ...] = ()
    earlier: tuple[Earlier, ...] = ()
    children: tuple[Earlier, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()
    answers: tuple[tuple[str, str], ...] = ()
    feedback: str = ""
    handover: str = ""
    context: str = ""
    parent_context: str = ""


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds the work, of the project and the config: `instructions` are name and text of
    the project's own (CLAUDE.md, AGENTS.md, README.md), `tree` its files."""

    branch: str = ""
    instructions: tuple[tuple[str, str], ...] = ()
    tree: str = ""
    skills: tuple[Skill, ...] = ()
    required_skills: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


def agent_values(task: Task, known: Known, around: Around, agent: str) -> dict[str, Any]:
    """The values of `prompts/agent.md`: everything that an agent is told before it works."""
    profile: Profile = task.profile
    return {
        "task": task_values(task),
        "attempt": known.attempt,
        "agent": agent,
        "role": one_line(profile.role),
        "constraints": [one_line(one) for one in profile.constraints],
        **around_values(around),
        "context": cut(known.context, PART_BYTES),
        "parent": parent_values(known),
        "earlier": [earlier_values(one) for one in known.earlier],
        "children": [earlier_values(one) for one in known.children],
        "comments": [
            {"author": author, "text": cut(text, COMMENT_BYTES)}
            for author, text in known.comments[-MOST_COMMENTS:]
        ],
        "answers": [
            {"question": cut(asked, COMMENT_BYTES), "answer": cut(said, COMMENT_BYTES)}
            for asked, said in known.answers
        ],
        "feedback": cut(known.feedback, PART_BYTES),
        "handover": cut(known.handover, PART_BYTES),
        "files": some(known.files),
        "memory": [remembered(row) for row in known.memory],
    }


def task_values(task: Task) -> dict[str, Any]:
    """A task as the templates see it."""
    return {
        "key": task.key,
        "title": task.title,
        "body": cut(task.body.strip(), BODY_BYTES),
        "labels": list(task.labels),
        "project": task.project,
        "complexity": task.complexity,
    }


def around_values(around: Around) -> dict[str, Any]:
    """What surrounds the work, as the templates see it."""
    return {
        "branch": around.branch,
        "instructions": [
            {"name": name, "text": cut(text.strip(), PART_BYTES)}
            for name, text in around.instructions
            if text.strip()
        ],
        "tree": around.tree,
        "skills": [
            {
                "name": one.name,
                "description": one.description,
                "text": cut(one.text.strip(), PART_BYTES),
                "folder": one.folder,
            }
            for one in around.skills
        ],
        "required_skills": list(around.required_skills),
        "tools": list(around.tools),
    }


def parent_values(known: Known) -> dict[str, Any] | None:
    """The whole that a task is a part of, shortened."""
    parent = known.parent
    if parent is None:
        return None
    return {
        "key": parent.key,
        "title": parent.title,
        "body": cut(parent.body.strip(), PART_BYTES),
        "context": cut(known.parent_context, PART_BYTES),
    }


def earlier_values(one: Earlier) -> dict[str, Any]:
    """Another task's work, shortened. `where`: in this branch (`here`), in one of its own
    (`apart`), or there is none ('')."""
    where = ("here" if one.here else "apart") if one.work else ""
    said = cut(one.said, COMMENT_BYTES)
    return {"key": one.key, "said": said, "work": one.work, "where": where}


def remembered(row: dict[str, Any]) -> dict[str, Any]:
    """A remembered attempt (a row of `memory`), shortened."""
    return {
        "n": row["n"],
        "agent": row["agent"],
        "seconds": row["seconds"],
        "outcome": row["outcome"],
        "error": one_line(row["error"], MEMORY_CHARACTERS),
        "approach": one_line(row["approach"], MEMORY_CHARACTERS),
        "learnings": [one_line(str(item)) for item in row["learnings"][:50]],
    }


def fenced(text: object, whose: str, mark: str) -> str:
    """Other people's text between two lines that hold `mark`. The mark cannot be guessed, and is
    taken out of the text itself, so nothing in it ends it; what cannot be seen is taken out too."""
    inner = visible(str(text)).replace(mark, "…").strip("\n")
    told = one_line(visible(whose).replace(mark, "…"), 120)
    return f"<<< {mark} {told}\n{inner}\n>>> {mark}"


def visible(text: str) -> str:
    """The text without what a reader would not see: control, direction and tag characters; half
    characters are replaced."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return HIDDEN.sub("", plain)


def cut(text: str, most: int) -> str:
    """The first `most` bytes of a text, in whole characters, saying so if more is left out."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return text
    kept = raw[:most].decode("utf-8", "ignore")
    return f"{kept}\n… ({len(raw) - len(kept.encode())} more bytes are left out)"


def some(names: tuple[str, ...], most: int = MOST_FILES) -> list[str]:
    """The first names, one line each, and how many more there are."""
    more = len(names) - most
    shown = [one_line(visible(name)) for name in names[:most]]
    return shown + ([f"… and {more} more"] if more > 0 else [])


def one_line(text: str, limit: int = 300) -> str:
    """Text as a single line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def commit_message(task: Task, summary: str) -> str:
    """The message of the commit that keeps what an agent left: subject, summary, task."""
    subject = one_line(task.title, 72) or task.key
    body = summary.strip()[:MEMORY_CHARACTERS]
    return "\n\n".join(part for part in (subject, body, f"Task: {task.key}") if part) + "\n"
