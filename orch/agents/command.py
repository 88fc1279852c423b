"""Any program as an agent: an argv with placeholders, and an answer in a file or printed last."""

from __future__ import annotations

import json
import re

from orch.agents import answer as answers
from orch.agents.contract import OUTPUT, PROMPT, SYSTEM, AgentSpec, Plan, Recorded, Work, variables
from orch.agents.plain import last_line
from orch.errors import ConfigError
from orch.model import Answer, ErrorClass, Verdict

PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}|\{([a-z_]+)\}")

PASSES = {
    "gemini": ("GEMINI_*", "GOOGLE_*"),
    "qwen": ("QWEN_*", "DASHSCOPE_*", "OPENAI_*"),
}
"""The vendor's own variables that a command inherits which prints what this CLI prints."""

QWEN_DEFAULTS, QWEN_DEFAULTS_FILE = "QWEN_CODE_SYSTEM_DEFAULTS_PATH", "qwen-defaults.json"
QWEN_QUIET = {
    "$version": 4,  # else it would take the file for an old one, and write it anew
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "memory": {"enableManagedAutoMemory": False},  # else it asks the model once more at the end
}
"""qwen's settings where a person has none of their own: no telemetry, no self-update, no notes on
a worktree that will be gone. gemini takes such a file from root alone: see README."""

KEPT = 4000
"""Characters of an unreadable answer that are kept in the message."""


class Command:
    """The protocol `command`."""

    session_protocol = "command"
    printed = True
    """Whether an answer may also be printed."""

    def plan(self, spec: AgentSpec, work: Work) -> Plan:
        """See `Agent.plan`."""
        if not spec.command:
            raise ConfigError("the agent has no command", "set agents.NAME.command to its argv")
        quiet, files = {}, {}
        if spec.reads == "qwen" and QWEN_DEFAULTS not in spec.env:
            quiet[QWEN_DEFAULTS] = f"{work.folder}/{QWEN_DEFAULTS_FILE}"
            files[QWEN_DEFAULTS_FILE] = json.dumps(QWEN_QUIET)
        return Plan(
            argv=fill(spec.command, work),
            env={**quiet, **spec.env, **variables(work)},
            files=files,
            protocol=self.session_protocol,
            passes=PASSES.get(spec.reads, ()),
        )

    def verdict(self, recorded: Recorded) -> Verdict:
        """See `Agent.verdict`."""
        return judge(recorded, printed=self.printed)


def fill(command: tuple[str, ...], work: Work) -> tuple[str, ...]:
    """The argv: `{placeholders}` replaced inside each argument, `{{word}}` for a literal brace.

    An argument that is `{model}` alone goes, with an option before it, when there is no model.
    Raises `ConfigError` on an unknown placeholder.
    """
    values = {
        "prompt_file": f"{work.folder}/{PROMPT}",
        "system_file": f"{work.folder}/{SYSTEM}",
        "output_file": f"{work.folder}/{OUTPUT}",
        "model": work.model,
        "worktree": work.worktree,
        "task": work.task,
    }

    def value(found: re.Match[str]) -> str:
        if found[2] is None:
            return f"{{{found[1]}}}"
        if found[2] not in values:
            known = ", ".join(f"{{{name}}}" for name in values)
            raise ConfigError(
                f"the agent's command has an unknown placeholder {found[0]}",
                f"known are {known}; write {{{found[0]}}} for the text itself",
            )
        return values[found[2]]

    argv: list[str] = []
    for word in command:
        if word == "{model}" and not work.model:
            if len(argv) > 1 and argv[-1].startswith("-"):
                argv.pop()
            continue
        argv.append(PLACEHOLDER.sub(value, word))
    return tuple(argv)


def judge(recorded: Recorded, printed: bool) -> Verdict:
    """What a run came to. Its answer counts; without one exit 0 is done, all else failed.

    An answer that says done is believed only of a program that itself ended well; an output file
    that cannot be read is never done.
    """
    ended = recorded.result
    answer, problem = _answer(recorded, printed)
    failed = _failed(recorded)
    if failed and (ended.ended_by != "exit" or answer is None or answer.status == "done"):
        error, message = failed
        return Verdict(ok=False, error=error, message=message, answer=answer)
    if problem:
        kept = recorded.output.strip() or recorded.tail.strip()[-KEPT:]
        message = f"{problem}\n{kept[:KEPT]}"
        return Verdict(ok=False, error=ErrorClass.INVALID_RESPONSE, message=message)
    if answer is None:
        answer = Answer(status="done", summary=last_line(recorded.tail) if printed else "")
    return Verdict(ok=True, answer=answer)


def _answer(recorded: Recorded, printed: bool) -> tuple[Answer | None, str]:
    """The answer if there is one, and what is wrong with it if it cannot be read."""
    try:
        if recorded.output.strip():
            return answers.read(recorded.output), ""
        return (answers.find(recorded.tail) if printed else None), ""
    except answers.Unreadable as error:
        return None, str(error)


def _failed(recorded: Recorded) -> tuple[ErrorClass, str] | None:
    """Why the run failed by the way it ended; None when it ended well."""
    ended = recorded.result
    message = ended.message
    last = last_line(recorded.tail)
    said = f": {last}" if last else ""
    if ended.ended_by == "launch_failed":
        missing = "no such program" in message or "No such file" in message
        in_folder = message.startswith("cannot work in")
        error = ErrorClass.MISSING_TOOL if missing and not in_folder else ErrorClass.LAUNCH_FAILED
        return error, message or "the agent could not be started"
    if ended.ended_by == "timeout":
        return ErrorClass.TIMEOUT, message or "the time limit is over"
    if ended.ended_by == "cancelled":
        return ErrorClass.CANCELLED, message or "cancelled"
    if ended.ended_by != "exit":
        return ErrorClass.LOST, message or "the session was lost"
    if ended.signal is not None:
        return ErrorClass.AGENT_CRASHED, f"ended by signal {ended.signal}{said}"
    if ended.exit_code != 0:
        return ErrorClass.AGENT_FAILED, f"exit code {ended.exit_code}{said}"
    return None
