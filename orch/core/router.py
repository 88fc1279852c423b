"""Routing by an agent: what the router is told, how its answer is read, what is odd about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from orch.config.schema import TIERS, AgentConfig, Router
from orch.core.prompt import one_line, task_values, visible
from orch.errors import Malformed
from orch.model import ErrorClass, Profile, Skill, Task

ASKABLE = frozenset({"claude", "codex", "opencode", "command"})
"""The protocols of agents that can be asked a question."""

STRENGTHS = {
    "claude": "large or unclear changes, back ends, APIs, databases, careful reasoning",
    "codex": "clear and bounded changes, tests, scripts, documentation",
    "opencode": "everyday changes, front ends, chores; many models",
    "kimi": "long contexts, reading much code, everyday changes",
    "minimax": "everyday changes at little cost",
    "shell": "runs the sh and bash blocks of a task's text, and nothing else",
}
"""What is told of the built-in agents; `agents.{name}.strengths` says it of others."""

MOST_ITEMS = 20
ROLE_CHARS = 300

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,39}")

BACKEND = frozenset({"backend", "back-end", "api", "database", "db"})
DOCS = frozenset({"docs", "doc", "documentation"})

BROKEN_ROUTER = frozenset({ErrorClass.AUTH, ErrorClass.BILLING})
"""Failures of a router that keep its agent from any work."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the router decided; `complexity` '' when it did not say. `warnings`: what was left out
    of its answer."""

    agent: str
    complexity: str = ""
    reason: str = ""
    profile: Profile = Profile()
    warnings: tuple[str, ...] = ()


def values(
    task: Task, agents: dict[str, AgentConfig], names: Iterable[str],
    skills: tuple[Skill, ...], tools: tuple[str, ...],
) -> dict[str, Any]:  # fmt: skip
    """The values of `prompts/route.md`."""
    return {
        "task": task_values(task),
        "agents": [{"name": name, "strengths": strengths(name, agents[name])} for name in names],
        "skills": [{"name": one.name, "description": one.description} for one in skills],
        "tools": list(tools),
    }


def strengths(name: str, agent: AgentConfig) -> str:
    """What the router is told of an agent."""
    known = agent.strengths or STRENGTHS.get(name, "")
    if not known:
        program = agent.command[0].rpartition("/")[2] if agent.command else agent.protocol
        known = f"an agent that runs {program}"
    return one_line(known)


def model_of(router: Router) -> str:
    """The model that the router is asked with; '' for its own default. The model that is built in
    is claude's, so it says nothing of another router."""
    return "" if router.agent != "claude" and router.model == Router().model else router.model


def read(
    text: str, objects: Sequence[Any], agents: tuple[str, ...], skills: tuple[str, ...],
    tools: tuple[str, ...],
) -> Decision:  # fmt: skip
    """The decision in a router's answer, of the JSON `objects` in its text: the last with an
    `executor`. Only that key is required; what cannot be used of the others is left out, with a
    warning. Raises `Malformed` when there is none, or it names no agent that can be used."""
    found = next((one for one in reversed(objects) if _decides(one)), None)
    if found is None:
        said = one_line(text, 200)
        raise Malformed(f"the router gave no decision: {said or 'it said nothing'}")
    executor = found["executor"].strip().lower()
    agent = next((name for name in agents if name.lower() == executor), "")
    if not agent:
        known = ", ".join(agents) or "none"
        raise Malformed(f"the router chose {one_line(executor, 60)!r}, which is none of {known}")
    warnings: list[str] = []
    complexity = str(found.get("complexity") or "").strip().lower()
    if complexity not in ("", *TIERS):
        warnings.append(f"the router's complexity {one_line(complexity, 40)!r} is unknown")
        complexity = ""
    return Decision(
        agent=agent,
        complexity=complexity,
        reason=_line(found.get("reason")),
        profile=_profile(found, skills, tools, warnings),
        warnings=tuple(warnings),
    )


def warnings(
    labels: tuple[str, ...], agent: str, skills: tuple[str, ...], any_skills: bool
) -> tuple[str, ...]:
    """What is odd about a choice: recorded for people, not obeyed. `any_skills`: there were some
    to choose from."""
    words = {label.lower().rpartition(":")[2].strip() for label in labels}
    found = []
    if (odd := sorted(words & BACKEND)) and agent != "claude":
        found.append(f"labelled {', '.join(odd)}, and not on claude")
    if (odd := sorted(words & DOCS)) and agent != "codex":
        found.append(f"labelled {', '.join(odd)}, and not on codex")
    if any_skills and not skills:
        found.append("no skills were selected")
    return tuple(found)


def _decides(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("executor"), str)


def _profile(
    found: dict[str, Any], skills: tuple[str, ...], tools: tuple[str, ...], warnings: list[str]
) -> Profile:
    given = found.get("profile")
    profile = given if isinstance(given, dict) else {}
    wanted = [*_texts(found.get("selected_skills")), *_texts(profile.get("skills"))]
    known = tuple(dict.fromkeys(name for name in wanted if name in skills))
    if lost := sorted({_line(name, 60) for name in wanted if name not in skills}):
        warnings.append(f"the router named unknown skills: {', '.join(lost)}")
    usable = tuple(dict.fromkeys(n for n in _texts(profile.get("tools")) if n in tools))
    return Profile(
        role=_line(profile.get("role")),
        skills=known,
        tools=tuple(name for name in usable if NAME.fullmatch(name)),
        constraints=tuple(filter(None, map(_line, _texts(profile.get("constraints"))))),
    )


def _texts(value: Any) -> list[str]:
    """The texts of a list, or of a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list):
        return []
    return [item.strip() for item in value if isinstance(item, str) and item.strip()][:MOST_ITEMS]


def _line(value: Any, most: int = ROLE_CHARS) -> str:
    """A text as one line, with nothing in it that cannot be seen; '' for what is no text."""
    return one_line(visible(value), most) if isinstance(value, str) else ""
