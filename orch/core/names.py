"""How things are called: slugs, branches, sessions, folders, and the ids people type."""

from __future__ import annotations

import re
import unicodedata

from orch.errors import Ambiguous, Malformed

CHAT = "orch-main"
"""The session of the one conversation of a home (`orch chat`)."""

SLUG_CHARACTERS = 40
"""The longest slug; cut between characters, never inside one."""

_INTERNAL = re.compile(r"int-(\d{1,18})")
_EXTERNAL = re.compile(r"([^\s/#]+/[^\s/#]+)#(\d{1,18})")
_NUMBER = re.compile(r"#?(\d{1,18})")
_PROJECT = re.compile(r"[^\s/#\x00-\x1f]{1,100}/[^\s/#\x00-\x1f]{1,100}")


def slug(title: str) -> str:
    """Words of a title joined by dashes, for branches and folders; may be empty (emoji only)."""
    plain = unicodedata.normalize("NFC", title).lower()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return "-".join(words)[:SLUG_CHARACTERS].strip("-")


def task_name(key: str, title: str) -> str:
    """`int-5-fix-the-door`: number and slug, as used in branches and worktree folders."""
    number = key if is_internal(key) else key.rpartition("#")[2]
    words = slug(title)
    return f"{number}-{words}" if words else number


def branch(key: str, title: str) -> str:
    """The task's branch: `orch/{id}-{slug}`."""
    return f"orch/{task_name(key, title)}"


def session(key: str, n: int) -> str:
    """The tmux session of attempt `n`: `orch-int-5`, `orch-owner-repo-42`, from the second attempt
    on with `_n`. Only letters, digits and dashes, so that tmux keeps it as it is."""
    if is_internal(key):
        name = f"orch-{key}"
    else:
        project, _, number = key.rpartition("#")
        name = f"orch-{_safe(project.replace('/', '-'), project, allow='-')}-{number}"
    return name if n == 1 else f"{name}_{n}"


def project_folder(project: str) -> str:
    """A project as a relative folder `owner/repo`, safe for any file system and for PATH."""
    owner, _, repo = project.partition("/")
    return f"{_safe(owner, owner)}/{_safe(repo, repo)}"


def task_folder(key: str) -> str:
    """A task's state folder below `state/`: `internal/tasks/int-5`, `owner/repo/tasks/42`."""
    if is_internal(key):
        return f"internal/tasks/{key}"
    project, _, number = key.rpartition("#")
    return f"{project_folder(project)}/tasks/{number}"


def is_internal(key: str) -> bool:
    """Whether the task lives in SQLite only."""
    return _INTERNAL.fullmatch(key) is not None


def is_project(slug_text: str) -> bool:
    """Whether the text can be a project's slug `owner/repo`."""
    return _PROJECT.fullmatch(slug_text) is not None


def candidates(text: str, project: str) -> list[str]:
    """The task keys that `text` may mean, in the order they are looked for. Raises `Malformed`."""
    text = text.strip()
    if _INTERNAL.fullmatch(text):
        return [text]
    if _EXTERNAL.fullmatch(text):
        return [text]
    number = _NUMBER.fullmatch(text)
    if number is None:
        raise Malformed(
            f"{text[:80]!r} is no task id", "a task is called int-5, 5, #5 or owner/repo#42"
        )
    keys = [f"int-{int(number[1])}"]
    if project:
        keys.insert(0, f"{project}#{int(number[1])}")
    return keys


def pick(text: str, project: str, found: dict[str, str]) -> str:
    """The one key meant by `text` among those `found` (key to the project it belongs to): inside
    a project its own tasks come first. Raises `Ambiguous` with the candidates; '' for none."""
    keys = list(found)
    own = [key for key in keys if found[key] == project] if project else []
    if len(own) == 1:
        return own[0]
    if len(keys) > 1:
        raise Ambiguous(f"{text!r} may be {' or '.join(keys)}", "give the full form")
    return keys[0] if keys else ""


def _safe(text: str, whole: str, allow: str = "-._") -> str:
    kept = "".join(c if (c.isascii() and c.isalnum()) or c in allow else "-" for c in text)
    kept = kept.strip(".")
    if kept == text and 0 < len(kept) <= 64 and (allow != "-" or whole.count("-") == 0):
        return kept
    import hashlib  # noqa: PLC0415 - loads 4 MiB of OpenSSL, and is seldom needed

    return f"{kept[:48]}-{hashlib.sha256(whole.encode()).hexdigest()[:6]}"
