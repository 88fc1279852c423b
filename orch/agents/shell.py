"""The built-in agent without a model: runs the `sh` and `bash` blocks of a task's body."""

from __future__ import annotations

import re
import shlex
from typing import NamedTuple

from orch.agents.command import judge
from orch.agents.contract import AgentSpec, Plan, Recorded, Work, variables
from orch.agents.plain import last_line
from orch.errors import Refused
from orch.model import Answer, Verdict

OPENING = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^`\n]*)$")

INSTALL = (
    "write the commands as a block between ```sh and ```, or install an agent that works from "
    "prose: npm install -g @anthropic-ai/claude-code, npm install -g @openai/codex or "
    "npm install -g opencode-ai"
)


class Step(NamedTuple):
    """One runnable block: its shell (sh or bash) and its text."""

    shell: str
    text: str


class Shell:
    """The protocol `shell`: the steps one after the other, stopping at the first failure."""

    def plan(self, spec: AgentSpec, work: Work) -> Plan:
        """See `Agent.plan`; raises `Refused` when the body has nothing to run."""
        found = steps(work.body)
        if not found:
            raise Refused("the shell agent found no sh or bash block in the task's body", INSTALL)
        files = {f"steps/{name(n)}": step.text for n, step in enumerate(found, 1)}
        files["steps/run.sh"] = driver(found, f"{work.folder}/steps")
        return Plan(
            argv=("/bin/sh", f"{work.folder}/steps/run.sh"),
            env={**spec.env, **variables(work)},
            files=files,
        )

    def verdict(self, recorded: Recorded) -> Verdict:
        """See `Agent.verdict`: what the steps print is no answer, but a step may write one."""
        verdict = judge(recorded, printed=False)
        if verdict.ok and verdict.answer == Answer(status="done"):
            summary = last_line(recorded.tail).removeprefix("== ")
            return Verdict(ok=True, answer=Answer(status="done", summary=summary))
        return verdict


def steps(body: str) -> list[Step]:
    """The fenced `sh` and `bash` blocks of a Markdown text (CommonMark, fenced code blocks)."""
    found: list[Step] = []
    fence, shell = "", ""
    lines: list[str] = []
    for line in [*body.replace("\r\n", "\n").split("\n"), None]:
        if not fence:
            opening = OPENING.match(line) if line is not None else None
            if opening:
                words = opening["info"].split()
                word = words[0].lower() if words else ""
                fence, shell, lines = opening["fence"], word, []
        elif line is None or _closes(line, fence):
            text = "\n".join(lines).strip("\n")
            if shell in ("sh", "bash") and text.strip():
                found.append(Step(shell, f"{text}\n"))
            fence = ""
        else:
            lines.append(line)
    return found


def name(n: int) -> str:
    """The file of the n-th step."""
    return f"{n:02d}.sh"


def driver(found: list[Step], folder: str) -> str:
    """The script that runs the steps, showing each one's commands before it runs them."""
    lines = [
        "#!/bin/sh",
        "# Runs the steps of a task; stops at the first that fails.",
        "step() {",
        '    printf \'\\n== step %s of %s (%s)\\n\' "$1" "$2" "$3"',
        "    sed 's/^/   | /' \"$4\"",
        '    "$3" -e "$4"',
        "    code=$?",
        '    [ "$code" -eq 0 ] && return',
        '    printf \'\\n== step %s of %s failed with exit code %s\\n\' "$1" "$2" "$code"',
        '    exit "$code"',
        "}",
    ]
    total = len(found)
    for n, step in enumerate(found, 1):
        lines.append(f"step {n} {total} {step.shell} {shlex.quote(f'{folder}/{name(n)}')}")
    done = "1 step done" if total == 1 else f"{total} steps done"
    lines.append(f"printf '\\n== {done}\\n'")
    return "\n".join(lines) + "\n"


def _closes(line: str, fence: str) -> bool:
    """Whether a line closes a block: the same character, at least as many of it."""
    bare = line.strip()
    indent = len(line) - len(line.lstrip(" "))
    return indent <= 3 and len(bare) >= len(fence) and bare == fence[0] * len(bare)
