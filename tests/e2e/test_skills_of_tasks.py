"""Skills of a configured repository reach the router and the agents."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.routers import Routers, decision


def write_skill(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "SKILL.md").write_text(
        f"---\nname: {name}\ndescription: about {name}\n---\n{text}\n"
    )


def test_skills_are_offered_chosen_required_told_and_kept(world):
    shelf = world.root / "shelf"
    for name in ("sql", "review", "gh", "other"):
        write_skill(shelf, name, f"The way of {name}.")
    world.git("init", "-q", "-b", "main", cwd=shelf)
    world.git("add", "-A", cwd=shelf)
    world.git("commit", "-qm", "skills", cwd=shelf)
    routers = Routers(
        world,
        f"skills: [{{repo: {json.dumps(str(shelf))}}}]\nworkflow: {{required_skills: [review]}}\n",
    )
    routers.answer(decision("other", selected_skills=["sql", "magic"]))
    world.up()
    task = world.add("Ask the database", "say hi")
    seen = world.wait_for(task=task, status="done")
    assert "* `sql`: about sql" in routers.asked[0]
    assert list(seen["profile"]["skills"]) == ["sql"]
    assert list(seen["route_warnings"]) == ["the router named unknown skills: magic"]
    told = (Path(seen["attempts"][0]["folder"]) / "prompt-sys.md").read_text()
    assert all(f"The way of {name}." in told for name in ("review", "gh", "sql"))
    assert "The way of other." not in told
    assert "these always apply: review" in told

    write_skill(shelf, "fresh", "New.")
    world.git("add", "-A", cwd=shelf)
    world.git("commit", "-qm", "more", cwd=shelf)
    assert "fresh" in {one["name"] for one in world.orch("skills", "sync", "--json").json["skills"]}
    assert "about fresh" in world.orch("skills", "list").out

    shelf.rename(world.root / "away")
    lost = world.orch("skills", "sync", ok=False)
    assert "cannot be brought up to date" in lost.out
    assert "about fresh" in lost.out, "the last copy is kept"
    assert any("skills of" in text for text in world.orch("status", "--json").json["problems"])

    world.configure("workflow: {required_skills: [review, nowhere]}\nskills: []\n")
    world.until(lambda: not world.orch("skills", "list", "--json").json["repos"], "no skills")
    lacks = world.add("Lacks", "say hi", more=("--agent", "script"))
    stuck = world.wait_for(task=lacks, status="blocked")
    assert stuck["blocked_reason"].endswith("the skill review, the skill nowhere")
    assert (stuck["attempts"], stuck["attempt_count"]) == ([], 0)
