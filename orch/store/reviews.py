"""Rows of reviews, of where tasks stand with them, and of merges: one function, one statement."""

from __future__ import annotations

from typing import Any

import msgspec

from orch.model import Review
from orch.store.db import Store, packed, unpacked

_COLUMNS = "task, head, reviewer, attempt, decision, notes, test_results, issues, at"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a task stands: whether somebody asked for a review of it, how often it was sent back
    for changes and for conflicts, and what its next prompt says of that."""

    asked: bool = False
    cycles: int = 0
    conflicts: int = 0
    feedback: str = ""


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """A merge of `head`: the commit `made` is to be the branch `into_branch`, which stood at
    `onto`; `done` once it is."""

    head: str
    into_branch: str
    onto: str
    made: str
    done: bool = False


def insert(store: Store, review: Review) -> None:
    """Keep a review; the database refuses a second one of the same commit that holds
    (`apsw.ConstraintError`)."""
    store.execute(
        f"INSERT INTO reviews ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            review.task, review.head, review.reviewer, review.attempt, review.decision,
            review.notes, review.test_results, packed(review.issues), review.at,
        ),
    )  # fmt: skip


def of_task(store: Store, task: str, limit: int = 20) -> list[Review]:
    """A task's reviews, oldest first (the newest `limit`), those asked for anew left out."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM reviews WHERE task = ? AND superseded = 0"
        " ORDER BY id DESC LIMIT ?",
        (task, limit),
    )
    return [_review(row) for row in reversed(rows)]


def of_head(store: Store, task: str, head: str) -> Review | None:
    """The review of a commit that holds."""
    rows = store.rows(
        f"SELECT {_COLUMNS} FROM reviews WHERE task = ? AND head = ? AND superseded = 0",
        (task, head),
    )
    return _review(rows[0]) if rows else None


def supersede(store: Store, task: str) -> None:
    """Let every review of a task that did not approve be made anew."""
    store.execute(
        "UPDATE reviews SET superseded = 1 WHERE task = ? AND decision <> 'approve'", (task,)
    )


def standing(store: Store, task: str) -> Standing:
    """Where a task stands."""
    rows = store.rows(
        "SELECT asked, cycles, conflicts, feedback FROM standings WHERE task = ?", (task,)
    )
    if not rows:
        return Standing()
    return Standing(**{**rows[0], "asked": bool(rows[0]["asked"])})


def stand(store: Store, task: str, standing: Standing) -> None:
    """Set where a task stands."""
    store.execute(
        "INSERT OR REPLACE INTO standings (task, asked, cycles, conflicts, feedback)"
        " VALUES (?, ?, ?, ?, ?)",
        (task, int(standing.asked), standing.cycles, standing.conflicts, standing.feedback),
    )


def start_over(store: Store, task: str) -> None:
    """Count a task's rounds anew; what its next prompt says stays."""
    store.execute("UPDATE standings SET cycles = 0, conflicts = 0 WHERE task = ?", (task,))


def make_ready(store: Store, task: str, merge: Merge, now: float) -> None:
    """Record a merge that is about to be done."""
    store.execute(
        "INSERT OR REPLACE INTO merges (task, head, into_branch, onto, made, done, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (task, merge.head, merge.into_branch, merge.onto, merge.made, int(merge.done), now),
    )


def merge_of(store: Store, task: str) -> Merge | None:
    """A task's latest merge."""
    rows = store.rows(
        "SELECT head, into_branch, onto, made, done FROM merges WHERE task = ?"
        " ORDER BY at DESC LIMIT 1",
        (task,),
    )
    return Merge(**{**rows[0], "done": bool(rows[0]["done"])}) if rows else None


def _review(row: dict[str, Any]) -> Review:
    return Review(**{**row, "issues": tuple(unpacked(row["issues"]))})
