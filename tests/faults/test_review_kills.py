"""The engine is killed at every inner moment of a re-ask, a review, a merge and a delegation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.strikes import strikes
from tests.support.world import World


def runs(file: Path) -> int:
    """How often an agent ran."""
    return file.stat().st_size if file.exists() else 0


@pytest.mark.timeout(1200)
def test_an_agent_is_asked_once_more_exactly_once_wherever_the_engine_dies(mortal: World):
    mortal.up()
    ran = mortal.root / "ran"
    ended: dict[str, Any] = {}

    def ask(name: str) -> None:
        ran.unlink(missing_ok=True)
        garbage = 'first answer {"status": "dunno", "summary": "x"}'
        task = mortal.add(name, f"write {name}.txt x", f"count {ran}", garbage)
        ended.update(mortal.wait_for(task=task, status="done"))

    died = []
    for moment in strikes(mortal, ask):
        died.append(moment)
        assert [a["error_class"] for a in ended["attempts"]] == ["invalid_response", None], moment
        assert ended["attempt_count"] == 1, moment
        assert runs(ran) == 2, moment
    assert len(died) >= 20, died


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("checked_out", [True, False])
def test_work_is_reviewed_and_merged_exactly_once_wherever_the_engine_dies(
    mortal: World, checked_out: bool
):
    mortal.agent("critic")
    mortal.configure("workflow:\n  review_agent: critic\n")
    if not checked_out:
        mortal.git("checkout", "-q", "-b", "mine")
    mortal.up()
    ran = mortal.root / "ran"
    ended: dict[str, Any] = {}

    def whole(name: str) -> None:
        ran.unlink(missing_ok=True)
        body = [f"do: write {name}.txt {name}", f"do: count {ran}", f"judge: count {ran}"]
        body.append("judge: answer " + json.dumps({"decision": "approve"}))
        args = ("task", "add", "-l", "review", "-b", "-", "--json", "--", name)
        ended["before"] = mortal.git("rev-parse", "main").strip()
        task = mortal.orch(*args, text="\n".join(body)).json["id"]
        ended.update(mortal.wait_for(task=task, status="done"))
        mortal.until(lambda: mortal.git("branch", "--list", "orch/*") == "", "its branch is gone")

    died = []
    for moment in strikes(mortal, whole):
        died.append(moment)
        name, before = ended["title"], ended["before"]
        assert [a["outcome"] for a in ended["attempts"]] == ["done", "approve"], moment
        assert runs(ran) == 2, moment
        assert ended["merged"] == mortal.git("rev-parse", "main").strip(), moment
        assert mortal.git("log", "--format=%s", f"{before}..main") == f"{name}\n", moment
        assert mortal.git("diff", "--name-only", before, "main") == f"{name}.txt\n", moment
        assert mortal.git("status", "--porcelain") == "", moment
        assert (mortal.repo / f"{name}.txt").exists() is checked_out, moment
        assert len(mortal.git("worktree", "list").splitlines()) == 1, moment
    steps = {word for word in ("_looked", "_made", "_done") for d in died if word in d}
    assert steps == {"_looked", "_made", "_done"}, died
    assert len(died) >= 28, died


@pytest.mark.timeout(1800)
def test_three_subtasks_one_of_which_fails_once_wherever_the_engine_dies(mortal: World):
    mortal.up()
    ended: dict[str, Any] = {}
    ran = mortal.root / "ran"

    def whole(name: str) -> None:
        ran.unlink(missing_ok=True)
        parts = [
            {"title": f"{name} one", "body": f"do: count {ran}\ndo: say did the one"},
            {"title": f"{name} two", "body": f"do: count {ran}\ndo: first exit 3\ndo: say the two"},
            {"title": f"{name} three", "body": f"do: count {ran}\ndo: say did the three"},
        ]
        asks = {"status": "done", "summary": "split up", "delegations": parts}
        task = mortal.add(name, f"count {ran}", "first answer " + json.dumps(asks),
                          f"write {name}.txt x")  # fmt: skip
        ended.update(mortal.wait_for(task=task, status="done"))

    died = []
    for moment in strikes(mortal, whole):
        died.append(moment)
        assert [a["outcome"] for a in ended["attempts"]] == ["blocked", "done"], moment
        assert len(ended["children"]) == 3, moment
        told = Path(ended["attempts"][1]["folder"], "prompt-msg.md").read_text()
        for said in ("one: did the one", "two: the two", "three: did the three"):
            assert said in told, (moment, told)
        assert runs(ran) == 6, moment
        tries = [len(mortal.task(key)["attempts"]) for key in ended["children"]]
        assert tries == [1, 2, 1], moment
    assert len(died) >= 50, died
