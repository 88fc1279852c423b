"""How reviews are told in a terminal."""

from __future__ import annotations

from orch.cli import show
from orch.model import Review

SHOWN = 20
"""How many issues of a review are shown."""


def tell(review: Review) -> None:
    """Print one review: who decided what, on which commit, and why."""
    head = f"review by {review.reviewer} of {review.head[:12]}: {review.decision}"
    show.line(show.paint(show.clean(head), "bold"))
    if review.notes:
        show.line(show.clean(review.notes, lines=True))
    if review.test_results:
        show.line(f"tests: {show.clean(review.test_results, lines=True)}")
    for issue in review.issues[:SHOWN]:
        line = f":{issue['line']}" if issue.get("line") else ""
        place = f"{issue['file']}{line}: " if issue.get("file") else ""
        show.line(show.clean(f"- [{issue['severity']}] {place}{issue['description']}"))
    if len(review.issues) > SHOWN:
        show.line(f"- and {len(review.issues) - SHOWN} more")
