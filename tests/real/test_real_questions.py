"""Each real CLI is asked one question, as the router and the planner ask it."""

from __future__ import annotations

import pytest

from orch.agents.contract import AgentSpec
from orch.agents.question import Question, asking
from orch.model import ErrorClass
from orch.tools.question import ask
from tests.support.clis import MODEL, NAMES, Stage, account
from tests.support.model_server import Fail, Read, Say, Usage, Write, turn


def put(stage: Stage, name: str, ground, run, seconds: float = 120, **more):
    """The reply of a CLI to a question."""
    env = account(name, ground / "home", run, retries=0 if name == "claude" else None)
    spec = AgentSpec(protocol=name, command=stage.argv(name), env=env)
    asked = Question(
        text="Who shall do it? ‘ü’ $HOME `x`", folder=str(ground / "q"), run=f"q:{run.url}",
        model=MODEL[name], system="Answer in JSON.", **more,
    )  # fmt: skip
    return ask(asking(name, spec, asked), seconds)


@pytest.mark.parametrize("name", NAMES)
def test_a_question_is_answered_without_a_tool_to_change_anything(name, stage: Stage, ground):
    run = stage.server.play([turn(Say('{"executor": "ü"}'), usage=Usage(fresh=7, output=3))])

    reply = put(stage, name, ground, run)

    assert (reply.text, reply.error) == ('{"executor": "ü"}', None), (reply, run.summary())
    assert reply.usage.output_tokens == 3
    (asked,) = run.requests
    assert "Who shall do it? ‘ü’ $HOME `x`" in asked.text
    assert "Answer in JSON." in asked.text
    able = {"Bash", "Write", "Edit", "bash", "write", "edit", "shell", "exec_command", "Task"}
    assert not able & set(asked.tools), asked.tools
    assert not (ground / "q").exists()


@pytest.mark.parametrize("name", NAMES)
def test_who_looks_may_read_and_not_write(name, stage: Stage, ground):
    (ground / "work/plan.txt").write_text("the plan\n")
    run = stage.server.play(
        [turn(Read("plan.txt")), turn(Write("new.txt", "x")), turn(Say("seen"))]
    )

    reply = put(stage, name, ground, run, looks=True, where=str(ground / "work"))

    assert "the plan" in "".join(run.requests[1].results), run.summary()
    assert not (ground / "work/new.txt").exists()
    assert reply.text == "seen", reply


@pytest.mark.parametrize("name", NAMES)
def test_why_nobody_answered_has_its_class(name, stage: Stage, ground):
    run = stage.server.play([Fail("e401")])

    reply = put(stage, name, ground, run)

    assert reply.text == ""
    assert reply.error is ErrorClass.AUTH, reply
