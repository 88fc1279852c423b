"""The real claude through the real orch: whole tasks against the scripted model server."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from orch import agents
from orch.agents.plain import strip_ansi
from orch.hosts.local import Local
from orch.model import ErrorClass, Verdict
from orch.tools.process import marked
from tests.support.clis import Stage, account
from tests.support.model_server import Edit, Run, Say, Shell, Think, Usage, Write, turn
from tests.support.scratch_sessions import Run as Attempt
from tests.support.scratch_sessions import Sessions, sessions
from tests.support.world import World

DONE = json.dumps({"status": "done", "summary": "greeted", "learnings": ["tabs, not spaces"]})
USAGE = Usage(fresh=123, cache_read=4567, output=89)


class Scene:
    """An orch whose only agent is a real one, and a script for its model."""

    def __init__(
        self,
        world: World,
        stage: Stage,
        run: Run,
        permissions: dict[str, Any],
        name: str = "claude",
    ) -> None:
        self.world, self.run = world, run
        self.host = Local(world.home)
        env = account(name, world.root / "person", run, retries=1)
        wrapper = stage.wrapper(name, world.root)
        agent = {
            "protocol": name,
            "command": [str(wrapper)],
            "env": {name: value for name, value in env.items() if name != "PATH"},
        }
        workflow = {"permissions": permissions, "timeout_seconds": 120}
        world.configure(f"workflow: {json.dumps(workflow)}\n")
        text = world.home.config.read_text()
        text = text.replace("agents: [script]", f"agents: [{name}]")
        text = text.replace(
            "agents:\n  script:", f"agents:\n  {name}: {json.dumps(agent)}\n  script:"
        )
        world.home.config.write_text(text)
        world.up()

    def add(self, title: str = "Greet") -> str:
        """Add a task."""
        args = ("task", "add", "--json", "-b", "Write hello.txt, please.", "--", title)
        task: str = self.world.orch(*args).json["id"]
        return task

    def folder(self, task: str, n: int = 1) -> Path:
        """An attempt's folder, once there is one."""
        self.world.until(lambda: len(self.world.task(task)["attempts"]) >= n, f"attempt {n}")
        return self.world.log_of(task, n).parent

    def session(self, task: str, n: int = 1) -> str:
        """An attempt's session."""
        launch = json.loads((self.folder(task, n) / "launch.json").read_text())
        return str(launch["session"])

    def marked(self, task: str, n: int = 1) -> list[int]:
        """The processes of an attempt."""
        return marked(f"{self.world.home.root}:{task}:{n}")

    def sleeps(self, task: str) -> list[int]:
        """The `sleep` commands that the agent runs."""
        return [pid for pid in self.marked(task) if name(pid) == "sleep"]

    def question(self, task: str) -> dict[str, Any]:
        """What the agent asks, once it does."""
        found: dict[str, Any] = {}

        def there() -> bool:
            state = self.host.state(self.folder(task))
            found.update((state and state.question) or {})
            return bool(found)

        self.world.until(there, "a question", seconds=60)
        return found

    def shown(self, task: str) -> str:
        """What the pane showed."""
        return strip_ansi((self.folder(task) / "terminal.log").read_text())


def test_a_whole_task_steered_in_mid_run_with_one_approval(world, stage: Stage):
    gate = world.root / "gate"
    run = stage.server.play(
        [
            turn(Think("A file first."), Say("I begin."), Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Shell(f"until test -e {gate}; do sleep 0.05; done; echo went on"), usage=USAGE),
            turn(Edit("hello.txt", "hi", "hi there"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    allowed = {"mode": "supervised", "allowed_tools": ["Bash", "Edit"]}
    scene = Scene(world, stage, run, allowed)
    task = scene.add()

    asked = scene.question(task)
    assert (asked["title"], asked["text"]) == ("Write", "hello.txt")
    told = scene.host.answer(scene.session(task), asked["question"], True, "", "once")
    assert told == ("submitted", "")
    run.wait_for(2)
    world.until(lambda: "▸ Bash until test" in scene.shown(task), "the command")
    sent = world.orch("task", "send", task, "please use tabs; «ok»")
    assert "queued" in sent.out
    gate.touch()

    done = world.wait_for(task=task, status="done", seconds=90)

    assert "please use tabs; «ok»" in run.requests[2].text
    assert "please use tabs" not in run.requests[1].text
    assert world.git("show", f"{done['branch']}:hello.txt") == "hi there\n"
    attempt = done["attempts"][0]
    assert done["summary"] == "greeted"
    usage = attempt["usage"]
    figures = [usage[f"{name}_tokens"] for name in ("input", "cache_read", "output")]
    assert figures == [4 * 123, 4 * 4567, 4 * 89]
    assert "hi there" in world.git("log", "-p", "-1", done["branch"])
    text = scene.shown(task)
    for part in ("  A file first.", "● I begin.", "▸ Write hello.txt", "? may it use Write",
                 "allowed", "hello.txt +1 -0", "» please use tabs; «ok»", "(read by the agent)",
                 "went on", "-hi\n", "+hi there\n", "tokens in"):  # fmt: skip
        assert part in text
    assert scene.marked(task) == []
    assert not list(Path(done["worktree"]).glob(".claude*"))
    assert stage.astray() == 0
    assert stage.server.strangers == []


@pytest.mark.parametrize("victim", ["claude", "session process"])
def test_killed_in_the_middle_of_a_tool_nothing_is_left_and_it_is_tried_again(
    world, stage: Stage, victim
):
    run = stage.server.play(
        [
            turn(Shell("sleep 1000"), usage=USAGE),
            turn(Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    scene = Scene(world, stage, run, {"mode": "autonomous"})
    task = scene.add()
    world.until(lambda: len(scene.sleeps(task)) == 1, "the tool", seconds=60)
    asleep = scene.sleeps(task)[0]
    pane = scene.host.alive()[scene.session(task)]

    os.kill(pane if victim == "session process" else child(pane), signal.SIGKILL)

    done = world.wait_for(task=task, status="done", seconds=90)
    classes = [attempt["error_class"] for attempt in done["attempts"]]
    assert classes == ["agent_crashed" if victim == "claude" else "lost", None]
    assert not alive(asleep)
    assert scene.marked(task, 1) == scene.marked(task, 2) == []


def test_an_interrupt_stops_the_tool_and_the_next_text_goes_on(world, stage: Stage):
    run = stage.server.play(
        [
            turn(Shell("sleep 1000"), usage=USAGE),
            turn(Write("hello.txt", "hi\n"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    scene = Scene(world, stage, run, {"mode": "autonomous"})
    task = scene.add()
    world.until(lambda: len(scene.sleeps(task)) == 1, "the tool", seconds=60)

    assert scene.host.interrupt(scene.session(task))
    world.until(
        lambda: (s := scene.host.state(scene.folder(task))) is not None and s.state == "waiting",
        "that it waits",
    )
    assert scene.sleeps(task) == []
    told = scene.host.send(scene.session(task), "write the file instead", True, "k")

    assert told == ("submitted", "")
    done = world.wait_for(task=task, status="done", seconds=60)
    assert len(done["attempts"]) == 1
    assert "write the file instead" in run.requests[1].text


def test_what_is_disallowed_is_refused_by_claude_itself(world, stage: Stage):
    run = stage.server.play(
        [
            turn(Write("a.txt", "a\n"), usage=USAGE),
            turn(Shell("rm a.txt"), usage=USAGE),
            turn(Shell("ls a.txt"), usage=USAGE),
            turn(Say(DONE), usage=USAGE),
        ]
    )
    scene = Scene(world, stage, run, {"mode": "autonomous"})  # Bash(rm *) is disallowed as it comes

    done = world.wait_for(task=scene.add(), status="done", seconds=90)

    assert "has been denied" in run.requests[2].results[-1]
    assert world.git("show", f"{done['branch']}:a.txt") == "a\n"
    assert not {"AskUserQuestion", "EnterWorktree"} & set(run.requests[0].tools)


def name(pid: int) -> str:
    """The name of a process; '' once it is gone."""
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return ""


def alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def child(pid: int) -> int:
    """The one child of a session process: the agent."""
    return psutil.Process(pid).children()[0].pid


def test_a_conversation_is_resumed_and_its_tokens_counted_once(stage: Stage):
    run = stage.server.play([turn(Say(DONE), usage=USAGE)])
    with sessions() as made:
        first = start(made, stage, run, "remember 4711")
        verdict = judged(first)
        second = start(made, stage, run, "and now?", resume=verdict.native_session)
        again = judged(second)

    assert "remember 4711" in run.requests[1].text
    assert again.native_session == verdict.native_session
    assert again.usage.output_tokens == verdict.usage.output_tokens == 89
    assert again.usage.input_tokens == verdict.usage.input_tokens == 123


def test_a_session_that_there_is_not_cannot_be_resumed(stage: Stage):
    run = stage.server.play([turn(Say(DONE))])
    with sessions() as made:
        nobody = "11111111-2222-4333-8444-555555555555"
        verdict = judged(start(made, stage, run, "hello", resume=nobody))
    assert (verdict.ok, verdict.error) == (False, ErrorClass.LAUNCH_FAILED)
    assert nobody in verdict.message


def start(made: Sessions, stage: Stage, run: Run, prompt: str, resume: str = "") -> Attempt:
    """Start the real claude in a session, as the engine would."""
    home = made.root / "person"
    env = account("claude", home, run, retries=1)
    folder = made.root / f"prompts-{len(made.runs)}"
    folder.mkdir()
    (folder / "prompt-sys.md").write_text("Be brief.")
    (folder / "prompt-msg.md").write_text(prompt)
    plan = agents.plan(
        "claude",
        agents.AgentSpec(protocol="claude", command=(stage.programs["claude"],), env=env),
        agents.Work(
            task="int-1", attempt=1, folder=str(folder), worktree=str(made.root), run="r",
            resume=resume,
        ),
    )  # fmt: skip
    return made.start(
        *(stage.network.inside(*plan.argv) if stage.network else plan.argv),
        protocol=plan.protocol,
        dialect=plan.dialect,
        settings=plan.settings,
        prompt=str(folder / plan.prompt),
        env=agents.environment(env, plan.env, plan.passes),
    )


def judged(attempt: Attempt) -> Verdict:
    """The verdict on a session that ends by itself."""
    result = attempt.ends()
    ended = agents.Ended(ended_by=result.ended_by, exit_code=result.exit_code)
    events = tuple((attempt.folder / "events.jsonl").read_bytes().splitlines())
    stderr = (attempt.folder / "stderr.txt").read_text()
    recorded = agents.Recorded(result=ended, events=events, stderr=stderr)
    verdict = agents.verdict("claude", recorded)
    assert result.native_session in ("", verdict.native_session)
    return verdict
