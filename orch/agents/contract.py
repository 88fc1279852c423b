"""What the agents of all protocols share: what they are given, and what they hand back."""

from __future__ import annotations

from datetime import UTC, tzinfo
from typing import Protocol

from msgspec import field

from orch.model import Value, Verdict


class AgentSpec(Value, frozen=True, kw_only=True):
    """An agent as configured (`agents.{name}`): `command` is an argv with placeholders; `mode` is
    auto (the server of a CLI, else its one-shot mode), server or oneshot; `reads` the CLI whose
    output it prints. `name` is filled in by those who plan for it."""

    protocol: str = "command"
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    mode: str = "auto"
    reads: str = ""
    name: str = ""


class Permissions(Value, frozen=True, kw_only=True):
    """What an agent may do (`workflow.permissions`): `mode` is autonomous (all but what is
    disallowed) or supervised (its questions go to people); the lists hold rules of tools, as
    `Bash(rm *)` or `WebFetch`."""

    mode: str = "autonomous"
    sandbox: str = "workspace-write"
    allowed_tools: tuple[str, ...] = ()
    disallowed_tools: tuple[str, ...] = ()


class Work(Value, frozen=True, kw_only=True):
    """One attempt's work. `folder` is the attempt's folder, `worktree` where the agent works,
    `run` the marker of its processes; the prompts lie in the folder under `PROMPT`, `SYSTEM`.
    `resume` is the native session to go on with (`Verdict.native_session`), '' for a new one;
    an `ephemeral` one need not be kept by the CLI. `metered`: a budget is watched, so the agent is
    to tell at once what it uses."""

    task: str
    attempt: int
    folder: str
    worktree: str
    run: str
    title: str = ""
    body: str = ""
    model: str = ""
    resume: str = ""
    metered: bool = False
    permissions: Permissions = Permissions()
    ephemeral: bool = False


PROMPT, SYSTEM, OUTPUT = "prompt-msg.md", "prompt-sys.md", "output.json"


class Plan(Value, frozen=True, kw_only=True):
    """How to run an agent: its argv, what is added to its environment, files to be written into
    the attempt's folder first (relative name to text), and the session's protocol.

    `passes` are the vendor's own variables that it may inherit (a name, or a prefix and `*`). With
    the protocol `structured`, `dialect` and `settings` say how to talk with it
    (`orch.agents.stream`), and `prompt` names the file in the folder that it is given. `again` is
    the argv of a one-shot program's next turn, with `{session}` in it. `instead` is how to run it
    where that server of it is missing or does not come up (the same environment).
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    protocol: str = "command"
    passes: tuple[str, ...] = ()
    dialect: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    prompt: str = ""
    again: tuple[str, ...] = ()
    instead: Plan | None = None


class Ended(Value, frozen=True, kw_only=True):
    """How a session ended: exit, timeout, budget, budget_day, cancelled, hangup or launch_failed;
    and when (seconds since the epoch, 0.0 when unknown)."""

    ended_by: str
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    ended_at: float = 0.0


class Recorded(Value, frozen=True, kw_only=True):
    """A run to be judged: its end, the end of its output as plain text (`strip_ansi`), and what
    the agent wrote to `ORCH_OUTPUT_FILE`. Of a structured run also its raw messages, a line each
    (`events.jsonl`), and the end of its stderr. `zone` is that of the machine: what a CLI says of
    clock times is meant there."""

    result: Ended
    tail: str = ""
    output: str = ""
    events: tuple[bytes, ...] = ()
    stderr: str = ""
    zone: tzinfo = UTC


class Agent(Protocol):
    """A protocol's side of orch, pure: how to start an agent, and what its run came to."""

    def plan(self, spec: AgentSpec, work: Work) -> Plan:
        """How to run it; raises `Refused` when this work cannot be given to it."""

    def verdict(self, recorded: Recorded) -> Verdict:
        """What a recorded run came to."""


def variables(work: Work) -> dict[str, str]:
    """The environment that tells an agent about its work."""
    return {
        "ORCH_TASK": work.task,
        "ORCH_ATTEMPT": str(work.attempt),
        "ORCH_ATTEMPT_DIR": work.folder,
        "ORCH_PROMPT_FILE": f"{work.folder}/{PROMPT}",
        "ORCH_SYSTEM_FILE": f"{work.folder}/{SYSTEM}",
        "ORCH_OUTPUT_FILE": f"{work.folder}/{OUTPUT}",
        "ORCH_RUN": work.run,
    }
