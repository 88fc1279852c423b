"""What claude asks and has not been told: one request may hold several questions, which people are
asked each on its own; claude is answered once all are settled."""

from __future__ import annotations

from typing import Any

SEVERAL = "AskUserQuestion"
"""The tool whose call is a form of questions with options."""

REFUSED = "A person said no."


class Request:
    """One request of claude: `parts` are its questions that wait, by the id under which people are
    asked. For any other tool than `SEVERAL` there is one, of no text."""

    def __init__(self, id: str, tool: str, given: dict[str, Any]) -> None:  # noqa: A002
        self.id = id
        self.given = given
        several = asked(given) if tool == SEVERAL else []
        ids = [id, *(f"{id}#{n}" for n in range(2, len(several) + 1))]
        self.parts = dict(zip(ids, several or [{}], strict=True))
        self._answers: dict[str, str] = {}
        self._refusals: list[str] = []

    def settle(self, part: str, allowed: bool, said: str) -> None:
        """A person has answered one of the questions."""
        question = self.parts.pop(part)
        if not allowed:
            self._refusals.append(said)
        elif question and said:
            self._answers[text(question)] = said

    @property
    def decision(self) -> dict[str, Any]:
        """What claude is told: to go on, with the answers; or not to, when any was refused."""
        if self._refusals:
            said = "\n".join(filter(None, self._refusals)) or REFUSED
            chosen = [f"{question} {answer}" for question, answer in self._answers.items()]
            return {"behavior": "deny", "message": "\n".join([said, *chosen])}
        answers = {"answers": self._answers} if self._answers else {}
        return {"behavior": "allow", "updatedInput": {**self.given, **answers}}


def asked(given: dict[str, Any]) -> list[dict[str, Any]]:
    """The questions of a form, as far as they are questions."""
    several = given.get("questions")
    return [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []


def text(question: dict[str, Any]) -> str:
    """What a question of a form asks."""
    return str(question.get("question") or "")


def choices(question: dict[str, Any]) -> tuple[str, ...]:
    """The options of a question of a form."""
    options = question.get("options")
    listed = options if isinstance(options, list) else []
    return tuple(str(one["label"]) for one in listed if isinstance(one, dict) and "label" in one)
