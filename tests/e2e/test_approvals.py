"""An agent asks, people answer: by the real command, with a supervised agent that is scripted."""

from __future__ import annotations

import json
import os
import signal

from orch.agents.plain import strip_ansi
from orch.hosts.local import Local
from orch.messages import AnswerQuestion, ReportQuestions, SendInput
from orch.model import Question
from tests.support.asking import RESULT, asked, begin, configured, shown

BUILD = ["Bash", {"command": "rm -r build"}]
WRITE = ["Write", {"file_path": "a.txt", "content": "a"}]


def names(world, task: str) -> list[str]:
    """The events of a task about questions."""
    events = world.orch("task", "history", task, "--json").json
    return [e["name"].removeprefix("approval_") for e in events if "approval" in e["name"]]


def test_an_agent_asks_and_goes_on_when_it_is_allowed(world):
    configured(world, ["hear"], ["ask", *BUILD], *RESULT)
    world.up()
    task = begin(world)
    asked(world, task)

    got = world.orch("task", "get", task).out
    assert f"an answer: may it use Bash: rm -r build? (`orch task approve {task}`" in got
    for command in (("status",), ("task", "live"), ("task", "list")):
        assert "may it use Bash: rm -r build?" in world.orch(*command).out
    (session,) = world.orch("status", "--json").json["sessions"]
    assert session["asks"] == "may it use Bash: rm -r build?"
    assert f"orch task approve {task}" in world.orch("task", "screen", task).out

    said = world.orch("task", "approve", task)

    assert "claude (attempt 1) has asked for" in said.out
    assert "may it use Bash: rm -r build?" in said.out
    assert said.out.endswith("allowed: the agent has the answer\n")
    done = world.wait_for(task=task, status="done")
    (row,) = done["approvals"]
    assert (row["state"], row["delivered"], row["problem"]) == ("allowed", True, "")
    assert row["by"] in shown(world, task)
    assert len(done["attempts"]) == 1
    again = world.orch("task", "approve", task, ok=False)
    assert (again.code, "asks nothing now" in again.err, "was allowed by" in again.err) == (
        1, True, True,
    )  # fmt: skip
    assert names(world, task) == ["asked", "answered", "delivered"]
    events = world.orch("task", "history", task).out
    assert "[1] claude asks: may it use Bash: rm -r build?" in events


def test_several_questions_are_told_apart_refused_with_a_reason_and_typed_answers_count(world):
    configured(world, ["hear"], ["asks", BUILD, WRITE, ["WebFetch", {"url": "x"}]], *RESULT)
    world.up()
    task = begin(world)
    first, second, third = (str(one["number"]) for one in asked(world, task, 3))

    many = world.orch("task", "approve", task, ok=False)
    assert (many.code, many.err.count("may it use")) == (4, 3)
    none = world.orch("task", "approve", task, "99", "--json", ok=False)
    assert none.json["error"]["class"] == "NotFound"
    denied = world.orch("task", "deny", task, "--question", second, "not there", "--json").json
    assert (denied["approval"]["state"], denied["approval"]["delivered"]) == ("denied", True)
    twice = world.orch("task", "approve", task, second, ok=False)
    assert f"question {second} of {task} was denied by" in twice.err
    session = world.task(task)["attempts"][0]["session"]
    Local(world.home).tmux.command("send-keys", "-t", f"={session}:", "y", "Enter")
    asked(world, task, 1)
    world.orch("task", "approve", task, third)

    done = world.wait_for(task=task, status="done")

    rows = {row["number"]: row for row in done["approvals"]}
    assert [rows[int(n)]["state"] for n in (first, second, third)] == [
        "allowed",
        "denied",
        "allowed",
    ]
    assert rows[int(first)]["by"] == "somebody in the session"
    assert '"message": "not there"' in shown(world, task)


def test_questions_of_an_attempt_that_ends_expire_and_nothing_is_asked_twice(world):
    configured(world, ["hear"], ["ask", *BUILD], *RESULT)
    world.up()
    task = begin(world)
    (row,) = asked(world, task)
    again = ReportQuestions(row["session"], 1, (Question(question=row["question"]),))
    world.ask(again)
    world.ask(ReportQuestions("nobody", 1, (Question(question="x"),)))
    world.ask(ReportQuestions(row["session"], 2, (Question(question="x"),)))
    assert len(asked(world, task)) == 1
    world.orch("task", "take", task)

    os.kill(Local(world.home).alive()[row["session"]], signal.SIGKILL)

    world.until(lambda: len(world.task(task)["attempts"]) == 2, "a second attempt")
    (second,) = asked(world, task)
    assert (second["attempt"], second["question"]) == (2, row["question"])
    lost = world.task(task)["approvals"][0]
    assert lost["state"] == "expired"
    assert lost["problem"] == "attempt 1 ended before anybody answered"
    late = world.orch("task", "approve", task, str(row["number"]), ok=False)
    assert "never answered" in late.err
    world.ask(again)
    events = world.orch("task", "history", task, "--json").json
    (released,) = [e for e in events if e["name"] == "session_released"]
    assert released["reason"] == "attempt 1 has ended"
    assert world.task(task)["taken"] is None

    world.orch("task", "kill", task)

    world.wait_for(task=task, status="blocked")
    assert names(world, task) == ["asked", "expired", "asked", "expired"]
    assert world.orch("task", "take", task, ok=False).err.startswith("error: no session")
    assert "asks nothing now" in world.orch("task", "deny", task, ok=False).err


def test_one_who_takes_a_session_is_alone_in_it_until_it_is_released(world):
    configured(world, ["hear"], ["ask", *BUILD], *(["hear"] for _ in range(6)), *RESULT)
    world.up()
    task = begin(world)
    asked(world, task)
    assert "is yours" in world.orch("task", "take", task).out
    assert world.orch("task", "take", task, "--json").json["taken"]["by"]
    mine = world.env["USER"] if "USER" in world.env else world.task(task)["taken"]["by"]
    world.env["USER"] = "somebody-else"
    refused = world.orch("task", "take", task, ok=False)
    assert f"{mine} has taken {task} already" in refused.err

    held = world.orch("task", "send", task, "from outside").out

    assert held.startswith(f"queued ({mine} has taken this session: typed after")
    for command in (("status",), ("task", "live")):
        assert f"{task} is taken: {mine} works in it" in world.orch(*command).out
    assert "taken by" in world.orch("task", "get", task).out
    world.kill("engine")
    world.kill("capture")
    world.ask(AnswerQuestion(task, True, project="octo/demo", by="bo"))
    world.until(
        lambda: '"behavior": "allow"' in shown(world, task), "the answer comes all the same"
    )
    world.env["USER"] = mine
    world.orch("task", "send", task, "my own")
    world.until(lambda: "» my own" in shown(world, task), "her own text")
    assert "from outside" not in shown(world, task)
    session = world.task(task)["attempts"][0]["session"]
    for n in range(4):
        told = world.ask(SendInput(session, f"more {n}", by="bo"))
        assert told.state == "queued"
    world.orch("task", "release", task)

    done = world.wait_for(task=task, status="done")

    lines = [line for line in strip_ansi(shown(world, task)).splitlines() if line[:1] == "»"]
    assert lines == ["» my own", "» from outside", *(f"» more {n}" for n in range(4))]
    assert done["taken"] is None
    events = [e["name"] for e in world.orch("task", "history", task, "--json").json]
    wanted = ["session_taken", "input_held", "session_released", "input_delivered"]
    assert [events.count(name) for name in wanted] == [1, 5, 1, 5]
    assert events.index("session_released") < events.index("input_delivered")


def test_a_question_with_options_wants_a_choice(world):
    options = [{"label": "Apples"}, {"label": "Bread"}]
    question = {"questions": [{"question": "What to buy?", "options": options}]}
    configured(world, ["hear"], ["ask", "AskUserQuestion", question], *RESULT)
    world.up()
    task = begin(world)
    asked(world, task)
    bare = world.orch("task", "approve", task, ok=False)
    assert (bare.code, "--choose 'Apples'" in bare.err) == (2, True)

    world.orch("task", "approve", task, "--choose", "bread")

    world.wait_for(task=task, status="done")
    assert json.dumps({"What to buy?": "Bread"}) in shown(world, task)


def test_a_form_of_several_questions_is_answered_one_by_one(world):
    food = {"question": "What to buy?", "options": [{"label": "Apples"}, {"label": "Bread"}]}
    when = {"question": "When?", "options": [{"label": "Now"}, {"label": "Later"}]}
    configured(world, ["hear"], ["ask", "AskUserQuestion", {"questions": [food, when]}], *RESULT)
    world.up()
    task = begin(world)
    world.until(lambda: "2 answers" in world.task(task)["waiting_for"], "both are asked")
    told = world.orch("task", "get", task).out
    assert "What to buy?" in told
    assert "When?" in told
    first, second = sorted(one["number"] for one in world.task(task)["approvals"])

    world.orch("task", "approve", task, str(second), "--choose", "later")
    world.until(lambda: "--choose 'Apples'" in world.task(task)["waiting_for"], "one is left")
    world.orch("task", "approve", task, str(first), "--choose", "apples")

    world.wait_for(task=task, status="done")
    assert json.dumps({"What to buy?": "Apples", "When?": "Later"}) in shown(world, task)


def test_the_next_attempt_is_told_the_answers_of_the_one_before(world):
    configured(world, ["hear"], ["ask", *BUILD], ["exit", 3])
    world.up()
    task = begin(world)
    asked(world, task)
    world.orch("task", "deny", task, "keep the build")
    world.until(lambda: len(world.task(task)["attempts"]) == 2, "another attempt")
    asked(world, task)
    told = (world.log_of(task, 2).parent / "prompt-msg.md").read_text()
    assert "may it use Bash: rm -r build?" in told
    assert "denied: keep the build" in told
    world.orch("task", "close", task)
    world.wait_for(task=task, status="done")
