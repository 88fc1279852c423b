"""Real agent CLIs at work: whole tasks through a real orch (`Scene`), and single sessions."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import psutil
import yaml
from msgspec import structs

from orch import agents
from orch.agents.plain import strip_ansi
from orch.hosts.attempt import order, recorded
from orch.hosts.local import Local
from orch.model import Verdict
from orch.tools.process import marked
from tests.support.clis import MODEL, NAMES, Stage, account
from tests.support.model_server import Run, Usage
from tests.support.scratch_sessions import Run as Attempt
from tests.support.scratch_sessions import Sessions, until
from tests.support.world import World

README = Path(__file__).resolve().parents[2] / "README.md"
YAML = re.compile(r"^```yaml\n(.*?)^```", re.M | re.S)
DONE = json.dumps({"status": "done", "summary": "greeted", "learnings": ["tabs, not spaces"]})
USAGE = Usage(fresh=123, cache_read=4567, output=89)
SLOW = 150.0
"""Seconds that a CLI may take for anything on a busy machine; only a failing test takes them."""
RETRIES = {"claude": 1, "codex": 0, "opencode": None, "gemini": 1, "qwen": 0}
"""How often a CLI may repeat a failed request, where it has a setting for that."""


class Scene:
    """An orch whose only agent is a real CLI, and a script for its model. All of orch runs in the
    network that has only loopback, where that is possible."""

    def __init__(
        self,
        world: World,
        stage: Stage,
        name: str,
        run: Run,
        *,
        permissions: dict[str, Any] | None = None,
        retries: int | None = 1,
        timeout_seconds: int = 600,
        **agent: Any,
    ) -> None:
        self.world, self.name = world, name
        self.host = Local(world.home)
        env = account(name, world.root / "person", run, retries=retries)
        spec = {**configured(stage, name), **agent}
        spec["env"] = {key: value for key, value in env.items() if key != "PATH"} | spec["env"]
        workflow = {"permissions": permissions or {}, "timeout_seconds": timeout_seconds}
        world.configure(f"workflow: {json.dumps(workflow)}\n")
        text = world.home.config.read_text()
        text = text.replace("agents: [script]", f"agents: [{name}]")
        text = text.replace(
            "agents:\n  script:", f"agents:\n  {name}: {json.dumps(spec)}\n  script:"
        )
        world.home.config.write_text(text)
        world.inside = stage.network.inside() if stage.network else ()
        world.up()

    def settings(self) -> dict[str, str]:
        """The settings of the person, file by file; what a CLI keeps of its own is left out."""
        person = self.world.root / "person"
        files = [*person.glob("opencode.json"), *person.glob(".codex/*.toml")]
        files += person.glob(".claude/settings*.json")
        files += [*person.glob(".gemini/*ettings*"), *person.glob(".qwen/*ettings*")]
        return {str(file): file.read_text() for file in files}

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
        launch = self.folder(task, n) / "launch.json"
        self.world.until(launch.exists, "the launch")
        return str(json.loads(launch.read_text())["session"])

    def pane(self, task: str) -> int:
        """The session process of the first attempt."""
        self.world.until(lambda: self.session(task) in self.host.alive(), "the session")
        return self.host.alive()[self.session(task)]

    def left(self, task: str, n: int = 1) -> list[int]:
        """The processes of an attempt."""
        return marked(f"{self.world.home.root}:{task}:{n}")

    def sleeps(self, task: str) -> list[int]:
        """The `sleep` commands that the agent runs."""
        return [pid for pid in self.left(task) if process_name(pid) == "sleep"]

    def question(self, task: str) -> dict[str, Any]:
        """What the agent asks, once it does."""
        found: dict[str, Any] = {}

        def there() -> bool:
            state = self.host.state(self.folder(task))
            found.update((state and state.question) or {})
            return bool(found)

        self.world.until(there, "a question", seconds=SLOW)
        return found

    def allow(self, task: str, key: str) -> dict[str, Any]:
        """Allow what the agent asks, once it does; returns the question."""
        asked = self.question(task)
        told = self.host.answer(self.session(task), asked["question"], True, "", key)
        assert told == ("submitted", "")
        return asked

    def shown(self, task: str) -> str:
        """What the pane showed."""
        return strip_ansi((self.folder(task) / "terminal.log").read_text())


def process_name(pid: int) -> str:
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
    """The one child of a process: a session process's agent, a bridge's server."""
    return psutil.Process(pid).children()[0].pid


def start(
    made: Sessions,
    stage: Stage,
    name: str,
    run: Run,
    *,
    prompt: str = "Write hello.txt, please: «ok» $HOME\n",
    permissions: agents.Permissions = agents.Permissions(),  # noqa: B008 - a value
    resume: str = "",
    mode: str = "auto",
    command: tuple[str, ...] = (),
    retries: int | None = -1,
    settings: dict[str, str] | None = None,
    env: dict[str, str] | None = None,
    **more: Any,
) -> Attempt:
    """Start a real CLI in a session as the engine would, in the network that has only loopback."""
    retries = RETRIES[name] if retries == -1 else retries
    given = account(name, made.root / "person", run, retries=retries)
    folder = made.root / f"prompts-{len(made.runs)}"
    folder.mkdir()
    (folder / "prompt-sys.md").write_text("Be brief, says orch.")
    (folder / "prompt-msg.md").write_text(prompt)
    spec = configured(stage, name)
    given |= {**spec.pop("env"), **(env or {})}
    plan = agents.plan(
        name,
        agents.AgentSpec(
            **{**spec, "command": command or tuple(spec["command"])}, env=given, mode=mode
        ),
        agents.Work(
            task="int-1", attempt=1, folder=str(folder), worktree=str(made.root), run="r",
            model=MODEL[name], permissions=permissions, resume=resume,
        ),
    )  # fmt: skip
    for file, text in plan.files.items():
        (folder / file).write_text(text)
    plan = inside(plan, stage)
    return made.start(
        *plan.argv,
        protocol=plan.protocol,
        dialect=plan.dialect,
        settings={**plan.settings, **(settings or {})},
        prompt=str(folder / plan.prompt) if plan.prompt else "",
        env=agents.environment(given, plan.env, plan.passes),
        again=plan.again,
        instead=order(plan, folder, session="", task="", attempt=1, run="", cwd="", env={},
                      socket="").instead,
        **more,
    )  # fmt: skip


def configured(stage: Stage, name: str) -> dict[str, Any]:
    """An agent as a person configures it: by its program, or word by word as README says, with the
    CLI on its PATH."""
    if name in NAMES:
        return {"protocol": name, "command": [stage.programs[name]], "env": {}}
    (block,) = (one for one in YAML.findall(README.read_text()) if f"reads: {name}" in one)
    spec: dict[str, Any] = yaml.safe_load(block)["agents"][name]
    folder = Path(stage.programs[name]).parent
    return {**spec, "protocol": "command", "env": {"PATH": f"{folder}:{os.environ['PATH']}"}}


def inside(plan: agents.Plan, stage: Stage) -> agents.Plan:
    """The plan, in the network that has only loopback."""
    enter = stage.network.inside() if stage.network else ()
    return structs.replace(
        plan,
        argv=(*enter, *plan.argv),
        again=(*enter, *plan.again) if plan.again else (),
        instead=inside(plan.instead, stage) if plan.instead else None,
    )


def judged(attempt: Attempt, name: str) -> Verdict:
    """The verdict on a session that ends by itself, as the engine makes it."""
    result = until(lambda: attempt.world.host.finished(attempt.folder), "the end", SLOW)
    verdict = agents.verdict(name, recorded(attempt.world.host, attempt.folder, result))
    assert result.native_session in ("", verdict.native_session)
    return verdict


def shown(attempt: Attempt) -> str:
    """What the pane showed."""
    return strip_ansi(attempt.log.decode())


def sleeping(attempt: Attempt) -> list[int]:
    """The `sleep` commands that the agent runs."""
    return [pid for pid in attempt.left if process_name(pid) == "sleep"]


def question(attempt: Attempt) -> dict[str, Any]:
    """What the agent asks, if it does."""
    state = attempt.world.host.state(attempt.folder)
    return (state and state.question) or {}


def state_of(attempt: Attempt) -> str:
    """What the agent does now."""
    found = attempt.world.host.state(attempt.folder)
    return found.state if found else ""
