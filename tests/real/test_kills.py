"""Everything that can be killed under a real CLI, in each of its states: the verdict is right,
nothing is left running, and the next attempt knows what happened."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest

from orch import agents
from orch.model import ErrorClass
from tests.support.clis import NAMES, Stage
from tests.support.model_server import Fail, Run, Say, Scenario, Shell, Step, Write, turn
from tests.support.real_agents import (
    DONE,
    SLOW,
    USAGE,
    Scene,
    alive,
    child,
    judged,
    question,
    sleeping,
    start,
)
from tests.support.scratch_sessions import Run as Attempt
from tests.support.scratch_sessions import Sessions, sessions, until
from tests.support.world import World

STATES: dict[str, Step] = {
    "streaming": turn(Say("word " * 2000), pause_seconds=0.2, usage=USAGE),
    "running a tool": turn(Shell("sleep 1000"), usage=USAGE),
    "waiting for approval": turn(Write("hello.txt", "hi\n"), usage=USAGE),
    "retrying": Fail("e500"),
}
SUPERVISED = agents.Permissions(mode="supervised", allowed_tools=("Bash",))
PATIENT = {"claude": 10, "codex": 100, "opencode": None}
"""Retries of one request: enough for the CLI to be found at it."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
AGAIN = "# This is attempt"
"""Stands in the prompt of every attempt but the first."""


@pytest.fixture
def made() -> Iterator[Sessions]:
    """A scratch home for sessions."""
    with sessions() as opened:
        yield opened


def is_in(state: str, run: Run, attempt: Attempt) -> bool:
    """Whether the agent of a session is in that state now."""
    if state == "running a tool":
        return len(sleeping(attempt)) == 1
    if state == "waiting for approval":
        return bool(question(attempt))
    return len(run.requests) >= (2 if state == "retrying" else 1)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", NAMES)
def test_the_cli_killed_by_a_signal_has_crashed(name, number, state, made, stage: Stage):
    run = stage.server.play([STATES[state]])
    attempt = start(
        made, stage, name, run, permissions=SUPERVISED, retries=PATIENT[name], mode="auto"
    )
    until(lambda: is_in(state, run, attempt), state, SLOW)
    agent = attempt.ask(type="status")["agent_pid"]

    os.kill(child(agent) if name == "opencode" else agent, number)

    verdict = judged(attempt, name)
    assert (verdict.ok, verdict.error) == (False, ErrorClass.AGENT_CRASHED), verdict
    assert attempt.left == []


# ---- what stands around it -------------------------------------------------------------------

Kill = Callable[[Scene, str], None]


def session_process(scene: Scene, task: str) -> None:
    """Kill the process that owns the agent."""
    os.kill(scene.pane(task), signal.SIGKILL)


def session(scene: Scene, task: str) -> None:
    """End the tmux session."""
    scene.host.tmux.kill_session(scene.session(task))


def tmux_server(scene: Scene, task: str) -> None:
    """Kill the tmux server with all it holds."""
    pane = psutil.Process(scene.pane(task))
    server = pane.parent()
    assert server is not None
    assert "tmux" in server.name()
    server.kill()


def cli(scene: Scene, task: str) -> None:
    """Kill the agent itself."""
    os.kill(child(scene.pane(task)), signal.SIGKILL)


KILLS: tuple[tuple[Kill, set[str]], ...] = (
    (cli, {"agent_crashed"}),
    (session_process, {"lost"}),
    (session, {"lost", "cancelled"}),
    (tmux_server, {"lost"}),
)
"""What is killed, and what the attempt may then be called."""
SLOW_ONES = {"streaming": (1, 3), "running a tool": (0, 2), "waiting for approval": (1, 2)}
"""opencode takes seconds to start: in each state only these (else the first and the last)."""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", NAMES)
def test_an_attempt_whose_ground_is_killed_is_tried_again_and_told(
    name, state, world: World, stage: Stage
):
    scenario: Scenario = {AGAIN: [turn(Say(DONE), usage=USAGE)], "": [STATES[state]]}
    run = stage.server.play(scenario)
    rules = {"mode": "supervised", "allowed_tools": ["Bash"]}
    scene = Scene(world, stage, name, run, permissions=rules, retries=PATIENT[name])

    some = SLOW_ONES.get(state, (0, 3)) if name == "opencode" else range(len(KILLS))

    for kill, classes in (KILLS[n] for n in some):
        before = len(run.requests)
        task = scene.add()
        wait_until_in(state, scene, task, run, before)
        of_it = scene.left(task)

        kill(scene, task)

        done = world.wait_for(task=task, status="done", seconds=SLOW)
        first, second = done["attempts"]
        assert (first["error_class"] in classes, second["outcome"]) == (True, "done"), first
        assert first["error"]
        told = next(asked.text for asked in run.requests[before:] if AGAIN in asked.text)
        assert first["error"].splitlines()[0][:60] in told
        assert scene.left(task, 1) == scene.left(task, 2) == []
        assert not [pid for pid in of_it if alive(pid)]
        if kill is cli:
            assert done["attempt_count"] == 2
        else:
            assert done["attempt_count"] == 1, "it was not the agent's fault"


def wait_until_in(state: str, scene: Scene, task: str, run: Run, before: int) -> None:
    """Wait until the agent of a task is in that state."""
    if state == "running a tool":
        scene.world.until(lambda: len(scene.sleeps(task)) == 1, state, seconds=SLOW)
    elif state == "waiting for approval":
        scene.question(task)
    else:
        wanted = before + (2 if state == "retrying" else 1)
        scene.world.until(lambda: len(run.requests) >= wanted, state, seconds=SLOW)
    with contextlib.suppress(AssertionError):
        scene.pane(task)
