"""What a structured agent asks people, answered at its session, in a real pane."""

from __future__ import annotations

import json

import pytest

from tests.support.scratch_sessions import until
from tests.support.structured_sessions import DONE, judged, play, question, shown, state, world

__all__ = ["world"]


@pytest.mark.parametrize(
    ("allowed", "told"),
    [
        (True, {"behavior": "allow", "updatedInput": {"command": "rm -r build"}}),
        (False, {"behavior": "deny", "message": "use make clean"}),
    ],
)
def test_a_question_is_put_to_people_and_their_answer_to_the_agent(world, allowed, told):
    run = play(
        world, ["hear"], ["ask", "Bash", {"command": "rm -r build"}], ["result", DONE], ["eof"]
    )
    asked = question(run)
    assert (asked["title"], asked["text"]) == ("Bash", "rm -r build")
    assert run.ask(type="status")["state"] == "asking"
    assert "? may it use Bash: rm -r build" in shown(run)
    assert run.world.host.answer(run.launch.session, "other", True)[0] == "refused"

    reason = "" if allowed else "use make clean"
    told_ = [
        run.world.host.answer(run.launch.session, asked["question"], allowed, reason, "k", "ada")
        for _ in range(2)
    ]

    assert told_ == [("submitted", "")] * 2
    assert judged(run).ok
    assert json.dumps(told, sort_keys=True) in shown(run)
    assert ("allowed (ada)" if allowed else "not allowed (ada: use make clean)") in shown(run)
    assert (state(run).question, state(run).questions) == (None, ())
    settled = {"question": asked["question"], "allowed": allowed, "by": "ada", "key": "k"}
    assert state(run).settled == ({**settled, "reason": reason},)


def test_a_question_that_the_agent_drops_is_settled_without_an_answer(world):
    back = json.dumps({"type": "control_cancel_request", "request_id": "q2"}) + "\n"
    asks = {"subtype": "can_use_tool", "tool_name": "Bash", "input": {"command": "x"}}
    raw = [json.dumps({"type": "control_request", "request_id": f"q{n}", "request": asks}) + "\n"
           for n in (1, 2, 3)]  # fmt: skip
    run = play(
        world, ["hear"], *(["raw", one] for one in raw), ["hear"], ["raw", back],
        ["say", "no more of the second"], ["hear"], ["result", DONE], ["eof"],
    )  # fmt: skip
    until(lambda: len(state(run).questions) == 3, "three questions")
    assert run.send("go on")[0] == "submitted"
    run.shows(b"no more of the second")
    until(lambda: len(state(run).questions) == 2, "that it drops one")
    assert [one["question"] for one in state(run).questions] == ["q1", "q3"]
    assert [(one["question"], one["allowed"]) for one in state(run).settled] == [("q2", None)]
    assert run.ask(type="deny", question="q1", by="bo")["state"] == "submitted"
    run.send("the end")

    run.ends()

    settled = [(one["question"], one["allowed"], one["by"]) for one in state(run).settled]
    assert settled == [("q2", None, ""), ("q1", False, "bo"), ("q3", None, "")]


def test_the_pane_says_who_has_taken_the_session_and_where_else_to_answer(world):
    run = play(world, ["hear"], ["ask", "Bash", {"command": "x"}], ["result", DONE], ["eof"])
    question(run)
    tmux, target = run.world.host.tmux, f"={run.launch.session}:"
    assert f"orch task approve {run.launch.task}, or" in shown(run)

    assert run.world.host.take(run.launch.session, "ada")

    def pane() -> str:
        return "\n".join(tmux.command("capture-pane", "-p", "-t", target))

    until(lambda: "ada has taken this session" in pane(), "that it is told")
    assert run.ask(type="status")["taken_by"] == "ada"
    assert run.world.host.take(run.launch.session, "")
    assert run.ask(type="status")["taken_by"] == ""
    run.ask(type="approve")
    run.ends()
    assert not run.world.host.take(run.launch.session, "ada"), "nobody listens any more"
