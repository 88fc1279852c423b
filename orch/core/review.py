"""Reviews and merges, decided: who reviews, what an answer means, and what is next for a branch.

Everything is keyed by the commit at the branch's end, so that nothing is done twice for it; whether
the branch stands behind a pull request or is only local makes no difference here.
"""

from __future__ import annotations

import shlex
from typing import Any, Literal

import msgspec

from orch.core.retry import BROKEN_AGENT, LIMITS, OURS
from orch.core.routing import Field
from orch.model import ErrorClass, Review, Status, Verdict

DECISIONS = ("approve", "request_changes", "reject")

FEEDBACK_BYTES = 16 * 1024
"""How much of a review is told to the agent that goes on."""

MOST_ISSUES = 100
NOTES_CHARACTERS = 20_000
MOST_CONFLICTS = 2
"""How often conflicts go to the agent before a person must look."""

MOST_FAILURES = 3
"""How often the review of one commit may fail before a person must look."""


FAILURES = frozenset(ErrorClass) - LIMITS - BROKEN_AGENT - OURS - {ErrorClass.CANCELLED}
"""Failures of a review that count; after the others a reviewer is merely looked for again."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says (`workflow.*`)."""

    auto_merge: bool = True
    max_cycles: int = 2
    follow_up: bool = True
    """Whether changes asked for dispatch the work again."""
    close_on_approval: bool = False


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A branch as it was last looked at: the commit at its end ('' when it is gone), and whether
    the default branch holds it."""

    head: str
    merged: bool = False


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is next for a task in review: a review of this head, its merge, waiting, or a move of
    the task (`done`; `person`: needs_review; `back`: routed, `feedback` being in its prompt)."""

    do: Literal["review", "merge", "wait", "done", "person", "back"]
    reason: str = ""
    feedback: str = ""


def wanted(labels: tuple[str, ...], *, asked: bool, enabled: bool, every: bool) -> bool:
    """Whether finished work is reviewed: somebody asked for it, or reviews are enabled and the
    task is labelled `review`, or every task is reviewed. The label `no-review` speaks against all
    but the asking."""
    if asked:
        return True
    return enabled and "no-review" not in labels and (every or "review" in labels)


def reviewer(
    *, authors: tuple[str, ...], configured: str, field: Field, unfit: frozenset[str],
    failed: frozenset[str] = frozenset(),
) -> tuple[str, str]:  # fmt: skip
    """Who reviews, and why nobody can ('' each). `authors` worked on the branch, the last one last;
    `unfit` cannot review at all; `failed` tried to review this commit, and are asked last."""
    fit = [name for name in field.available if name not in unfit]
    if configured:
        if configured in unfit:
            return "", f"{configured} runs commands and cannot review"
        if configured in fit or configured not in field.unavailable:
            return configured, ""
        return "", f"{configured} {field.unavailable[configured]}"
    others = [name for name in fit if name not in authors]
    again = [name for name in fit if name in authors and name != authors[-1]]
    ranked = [*others, *again, *(name for name in fit if name in authors[-1:])]
    ranked.sort(key=lambda name: name in failed)
    if ranked:
        return ranked[0], ""
    return "", field.why_none() or "no agent is installed that can read and judge"


def judged(verdict: Verdict) -> Verdict:
    """The verdict of a reviewing run: one that ended well without a decision is unreadable."""
    if not verdict.ok or (verdict.answer is not None and verdict.answer.review):
        return verdict
    said = verdict.answer.summary if verdict.answer else ""
    message = f"the reviewer gave no decision\n{said}".strip()
    return msgspec.structs.replace(
        verdict, ok=False, error=ErrorClass.INVALID_RESPONSE, message=message, answer=None
    )


def worked(verdict: Verdict) -> Verdict:
    """The verdict of a working run: a decision about somebody's work is no answer about one's."""
    answer = verdict.answer
    if not verdict.ok or answer is None or not answer.review or answer.review.get("status"):
        return verdict
    message = "the agent gave a reviewer's decision, and no answer about its own work"
    return msgspec.structs.replace(
        verdict, ok=False, error=ErrorClass.INVALID_RESPONSE, message=message, answer=None
    )


def read(given: dict[str, Any], *, task: str, head: str, reviewer: str, **more: Any) -> Review:
    """The review that a reviewer's answer holds; what is not as it should be is left out."""
    listed = given.get("issues")
    issues = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return Review(
        task=task, head=head, reviewer=reviewer, decision=decision(given),
        notes=_text(given.get("notes") or given.get("summary")),
        test_results=_text(given.get("test_results")),
        issues=tuple(_issue(one) for one in issues[:MOST_ISSUES]), **more,
    )  # fmt: skip


def decision(given: dict[str, Any]) -> str:
    """The decision in an answer; '' when there is none."""
    word = given.get("decision")
    plain = (
        word.strip().lower().replace(" ", "_").replace("-", "_") if isinstance(word, str) else ""
    )
    return plain if plain in DECISIONS else ""


def feedback(review: Review) -> str:
    """A review as the agent that goes on is told of it, within `FEEDBACK_BYTES`."""
    parts = [f"{review.reviewer} reviewed {review.head[:12]}: {review.decision}", review.notes]
    if review.test_results:
        parts.append(f"Tests: {review.test_results}")
    lines = []
    for issue in review.issues:
        line = f":{issue['line']}" if issue.get("line") else ""
        place = f"{issue['file']}{line}: " if issue.get("file") else ""
        lines.append(f"- [{issue['severity']}] {place}{issue['description']}")
    parts.append("\n".join(lines))
    text = "\n\n".join(part for part in parts if part)
    return text.encode()[:FEEDBACK_BYTES].decode("utf-8", "ignore")


def after(review: Review, cycles: int, rules: Rules) -> Step:
    """What follows at once from a new review; `cycles` is how often the task was sent back."""
    if review.decision == "approve":
        return Step(do="wait", reason=f"approved by {review.reviewer}")
    told = feedback(review)
    if review.decision == "reject":
        return Step(
            do="person", reason=f"rejected by {review.reviewer}: {_why(review)}", feedback=told
        )
    asks = f"{review.reviewer} asks for changes"
    if not rules.follow_up:
        return Step(do="person", reason=f"{asks}: {_why(review)}", feedback=told)
    if cycles >= rules.max_cycles:
        times = f"{asks} again, after {cycles} rounds of them" if cycles else asks
        return Step(do="person", reason=f"{times}: {_why(review)}", feedback=told)
    return Step(do="back", reason=f"{asks}: {_why(review)}", feedback=told)


def following(seen: Seen, review: Review | None, branch: str, rules: Rules) -> Step:
    """What is next for a task in review, by its branch and the review that its head has."""
    if seen.merged:
        return Step(do="done", reason="its branch is merged")
    if not seen.head:
        return Step(do="person", reason=f"its branch {branch} is gone")
    if review is None:
        return Step(do="review")
    if review.decision == "approve":
        if rules.auto_merge:
            return Step(do="merge")
        if rules.close_on_approval:
            return Step(do="done", reason=f"approved by {review.reviewer}")
        return Step(do="wait", reason=f"a person to merge {branch} ({review.reviewer} approved it)")
    if review.decision == "reject":
        return Step(do="person", reason=f"rejected by {review.reviewer}: {_why(review)}")
    unchanged = "the branch has not changed since the review asked for changes"
    return Step(do="person", reason=f"{unchanged}: {_why(review)}", feedback=feedback(review))


def conflict(files: tuple[str, ...], onto: str, branch: str, method: str, conflicts: int) -> Step:
    """What follows from a merge that conflicts: exact commands for the agent, twice; then a
    person. `onto` is the commit of `branch` that the work has to go with."""
    named = ", ".join(files[:20]) + (f" and {len(files) - 20} more" if len(files) > 20 else "")
    reason = f"it conflicts with {branch} in {named}"
    if conflicts >= MOST_CONFLICTS:
        return Step(do="person", reason=f"{reason}, still, after {conflicts} tries to resolve that")
    begin, end = "git merge", "git commit --no-edit"
    if method == "rebase":
        begin, end = "git rebase", "GIT_EDITOR=true git rebase --continue"
    paths = " ".join(shlex.quote(name) for name in files[:20])
    told = (
        f"The work was approved, but cannot be merged: {reason}.\n\n"
        "Run these commands in this folder:\n\n"
        f"    {begin} {onto}\n"
        f"    # edit {named}, until each holds what both sides meant\n"
        f"    git add -- {paths}\n"
        f"    {end}\n\n"
        "Then run the project's checks again. Change nothing else."
    )
    return Step(do="back", reason=reason, feedback=told)


STATUS = {"done": Status.DONE, "person": Status.NEEDS_REVIEW, "back": Status.ROUTED}
"""Where a step moves the task; the others leave it in review."""


def _why(review: Review) -> str:
    first = review.issues[0]["description"] if review.issues else ""
    return " ".join((review.notes or first or "no reason was given").split())[:400]


def _issue(given: dict[str, Any]) -> dict[str, Any]:
    line = given.get("line")
    number = line if isinstance(line, int) and not isinstance(line, bool) and line > 0 else None
    return {
        "file": _text(given.get("file"))[:1000],
        "line": number,
        "severity": _text(given.get("severity"))[:40] or "medium",
        "description": _text(given.get("description"))[:4000],
    }


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_text(one) for one in value)[:NOTES_CHARACTERS]
    return "" if value is None else str(value).strip()[:NOTES_CHARACTERS]
