"""The door to skills: clones of the repositories that hold them, and what lies in those."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from orch.config.schema import SkillConfig
from orch.errors import OrchError, Refused
from orch.model import Skill
from orch.tools import git
from orch.tools.project import text_within

FILE = "SKILL.md"
MOST_SKILLS = 300
MOST_FOLDERS = 3000
DEPTH = 4
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
COMMIT = re.compile(r"[0-9a-f]{7,40}")
FRONT = re.compile(r"---[ \t]*\n(.*?)^---[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one configured repository: its skills, the commit, and what is wrong with it
    ('' when nothing is; the last copy is kept meanwhile)."""

    skills: tuple[Skill, ...] = ()
    commit: str = ""
    problem: str = ""


def hold(entry: SkillConfig, root: Path, *, pull: bool) -> Held:
    """The skills of one entry of the config, from its clone below `root`: cloned when it is not
    there, brought up to date with `pull`, else read as it is. Slow; never raises."""
    folder = clone_folder(root, entry)
    problem = ""
    try:
        _bring(entry, folder, pull)
    except (OrchError, OSError) as error:
        problem = f"cannot be brought up to date: {getattr(error, 'message', None) or error}"
    try:
        commit = git.head(folder) if (folder / ".git").is_dir() else ""
        found = tuple(_read_all(entry, folder, commit)) if commit else ()
    except (OrchError, OSError) as error:
        said = getattr(error, "message", None) or str(error)
        return Held(problem=problem or said)
    if not found and not problem:
        where = f" below {entry.path}" if entry.path else ""
        problem = f"holds no {FILE}{where}"
    return Held(skills=found, commit=commit, problem=problem)


def clone_folder(root: Path, entry: SkillConfig) -> Path:
    """Where the clone of an entry lies: one per repository and ref."""
    name = re.split(r"[/:]", entry.repo.rstrip("/").removesuffix(".git"))[-1]
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[-60:].strip("-.") or "skills"
    told = hashlib.sha256(f"{entry.repo}\n{entry.ref}".encode()).hexdigest()[:8]
    return root / f"{short}-{told}"


def address(repo: str) -> str:
    """The address that git clones: `owner/repo` is GitHub's."""
    return f"https://github.com/{repo}.git" if re.fullmatch(r"[\w.-]+/[\w.-]+", repo) else repo


def _bring(entry: SkillConfig, folder: Path, pull: bool) -> None:
    """Clone or update; a clone pinned to the commit that it already holds needs no network."""
    whole = (folder / ".git").is_dir()
    if whole and COMMIT.fullmatch(entry.ref) and git.head(folder).startswith(entry.ref):
        git.check_out(folder, git.head(folder))
        return
    if whole and not pull and git.head(folder):
        return
    if whole:
        git.update(folder, entry.ref)
        return
    fresh = folder.with_name(f".new-{folder.name}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        git.clone(address(entry.repo), fresh)
        git.update(fresh, entry.ref)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _read_all(entry: SkillConfig, clone: Path, commit: str) -> Iterator[Skill]:
    top = clone / entry.path
    if not top.resolve().is_relative_to(clone.resolve()):
        raise Refused(f"{entry.path} leads out of the repository")
    if not top.is_dir():
        raise Refused(f"there is no folder {entry.path} in it")
    seen: set[str] = set()
    for folder in _folders(top, clone.resolve()):
        skill = _read(clone, folder, entry, commit)
        if skill is not None and skill.name not in seen:
            seen.add(skill.name)
            yield skill
        if len(seen) >= MOST_SKILLS:
            return


def _folders(top: Path, inside: Path) -> Iterator[Path]:
    """The folder and those below it that may hold a skill, in order; none that leads out."""
    ahead = [(top, 0)]
    looked = 0
    while ahead and looked < MOST_FOLDERS:
        folder, depth = ahead.pop(0)
        looked += 1
        if (folder / FILE).exists():
            yield folder
        if depth < DEPTH:
            ahead += [
                (one, depth + 1)
                for one in sorted(folder.iterdir())
                if not one.name.startswith(".")
                and one.is_dir()
                and one.resolve().is_relative_to(inside)
            ]


def _read(clone: Path, folder: Path, entry: SkillConfig, commit: str) -> Skill | None:
    text = text_within(clone, str((folder / FILE).relative_to(clone)))
    if not text.strip():
        return None
    text = text.replace("\r\n", "\n")
    front = FRONT.match(text)
    told = _front(front[1]) if front else {}
    name = told.get("name", "")
    if not NAME.fullmatch(name):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-.")[:64] or "skill"
    return Skill(
        name=name,
        description=" ".join(told.get("description", "").split())[:1000],
        text=(text[front.end() :] if front else text).strip(),
        folder=str(folder),
        repo=entry.repo,
        commit=commit,
    )


def _front(text: str) -> dict[str, str]:
    """Name and description of the front matter; what is no YAML says nothing."""
    import yaml  # noqa: PLC0415 - slow to import, and only needed here

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(key): value for key, value in found.items() if isinstance(value, str)}
