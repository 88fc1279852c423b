"""Skills: the repositories of the config, cloned and read aside, and who is given which."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from orch.config.schema import Config, SkillConfig
from orch.messages import ListSkills, SkillsListed, SyncSkills
from orch.model import Skill, SkillRepo, Task
from orch.service import Later, answers, every
from orch.tools import skills as door
from orch.tools.skills import Held
from services.engine.ledger import Ledger

PULL_SECONDS = 3600.0
"""How often repositories of skills are brought up to date by themselves."""

REPO_SECONDS = 600.0
"""How long one repository may take; each git command in it has a shorter limit of its own."""


class Batch(msgspec.Struct, frozen=True):
    """Entries to be read, or pulled, one after the other; `then` when that is done."""

    entries: list[SkillConfig]
    pull: bool = False
    then: Callable[[], object] | None = None


class Skills(Ledger):
    """Holds the catalogue of skills. Without any configured it does nothing at all."""

    def setup(self) -> None:
        """Begin with an empty shelf; what is cloned already is read at once."""
        self._shelf: dict[SkillConfig, Held] = {}
        self._batches: list[Batch] = []
        self._at_work = False
        super().setup()

    def on_config(self) -> None:
        """Read, or clone, what the config names now."""
        super().on_config()
        wanted = set(self._entries())
        self._shelf = {entry: held for entry, held in self._shelf.items() if entry in wanted}
        self._read_new()

    def on_swept(self) -> None:
        """No git command of a dead engine is at work any more: ours may begin."""
        super().on_swept()
        self._read_new()

    @every(seconds=PULL_SECONDS)
    def pull_skills(self) -> None:
        """Bring every repository up to date now and then."""
        self._fetch(Batch([one for one in self._entries() if one in self._shelf], pull=True))

    # ---- who is given which ------------------------------------------------------------------

    def catalogue(self, config: Config) -> dict[str, Skill]:
        """The skills that a project's tasks may be given, by name; of two the first counts."""
        found: dict[str, Skill] = {}
        for entry in config.skills:
            for skill in self._shelf.get(entry, Held()).skills:
                found.setdefault(skill.name, skill)
        return found

    def skills_of(self, task: Task, config: Config) -> tuple[Skill, ...]:
        """The skills of a task: those that are required, the default ones, and its profile's."""
        names = (
            *config.workflow.required_skills,
            *config.router.default_skills,
            *task.profile.skills,
        )
        known = self.catalogue(config)
        return tuple(known[name] for name in dict.fromkeys(names) if name in known)

    def missing_skills(self, config: Config) -> tuple[str, ...]:
        """The required skills that are not in the catalogue."""
        known = self.catalogue(config)
        return tuple(name for name in config.workflow.required_skills if name not in known)

    def skills_come(self, config: Config) -> bool:
        """Whether a repository of this config is being read for the first time."""
        return any(entry not in self._shelf for entry in config.skills)

    def skill_problems(self) -> list[str]:
        """What is wrong with the repositories, for `orch status`."""
        return [f"skills of {e.repo}: {h.problem}" for e, h in self._shelf.items() if h.problem]

    # ---- `orch skills` -----------------------------------------------------------------------

    @answers(ListSkills)
    def list_skills(self, request: ListSkills) -> SkillsListed:
        """The catalogue and the repositories that it comes from."""
        config = self.config_of(request.project)
        repos = []
        for entry in config.skills:
            held = self._shelf.get(entry)
            repos.append(
                SkillRepo(
                    repo=entry.repo, ref=entry.ref, path=entry.path,
                    commit=held.commit if held else "",
                    skills=len(held.skills) if held else 0,
                    problem=held.problem if held else "is being read",
                )
            )  # fmt: skip
        light = [msgspec.structs.replace(s, text="") for s in self.catalogue(config).values()]
        return SkillsListed(tuple(light), tuple(repos))

    @answers(SyncSkills)
    def sync_skills(self, request: SyncSkills) -> SkillsListed | Later:
        """Bring the repositories up to date; answered when it is done."""
        wanted = list(self.config_of(request.project).skills)
        if not wanted:
            return SkillsListed((), ())
        later = Later()
        again = ListSkills(request.project)
        self._fetch(Batch(wanted, pull=True, then=lambda: later(self.list_skills(again))))
        return later

    # ---- aside -------------------------------------------------------------------------------

    def _entries(self) -> list[SkillConfig]:
        configs = [self.loaded.config, *(p.config for p in self.loaded.projects.values())]
        return list(dict.fromkeys(entry for config in configs for entry in config.skills))

    def _read_new(self) -> None:
        if self.swept:
            new = [entry for entry in self._entries() if entry not in self._shelf]
            self._fetch(Batch(new))

    def _fetch(self, batch: Batch) -> None:
        """Do a batch aside, one at a time: two in one clone would be in each other's way."""
        if batch.entries:
            self._batches.append(batch)
        if self._at_work or not self._batches:
            return
        self._at_work = True
        first = self._batches.pop(0)
        root = self.home.root / "skills"
        self.aside(
            lambda: {one: door.hold(one, root, pull=first.pull) for one in first.entries},
            lambda held: self._fetched(first, held),
            lambda error: self._fetched(first, dict.fromkeys(first.entries, _lost(error))),
            timeout=REPO_SECONDS * len(first.entries),
        )

    def _fetched(self, batch: Batch, held: dict[SkillConfig, Held]) -> None:
        self._at_work = False
        for entry, now in held.items():
            before = self._shelf.get(entry, Held())
            kept = now if now.skills or not now.problem else _kept(before, now.problem)
            self._shelf[entry] = kept
            if kept.problem and kept.problem != before.problem:
                self.log.warning("skills of %s: %s", entry.repo, kept.problem)
        if batch.then is not None:
            batch.then()
        self._fetch(Batch([]))
        self.stir()


def _kept(before: Held, problem: str) -> Held:
    return msgspec.structs.replace(before, problem=problem)


def _lost(error: Exception) -> Held:
    return Held(problem=str(error))
