"""A question put to an agent once: no session, no worktree, no tools that change anything.

    asking = question.asking("claude", spec, Question(text=…, folder=…))   # how to run it, pure
    reply = orch.tools.question.ask(asking, timeout)                       # run it, aside
    reply.text or reply.message                                           # what it came to

`heard` reads what the CLI wrote: the same readers as for a whole run, the same classes of failure.
"""

from __future__ import annotations

import json

from msgspec import field, structs

from orch.agents import claude, codex, opencode
from orch.agents.command import fill
from orch.agents.contract import OUTPUT, PROMPT, SYSTEM, AgentSpec, Work, variables
from orch.agents.plain import last_line, strip_ansi
from orch.agents.runs import READERS
from orch.errors import ConfigError, Refused
from orch.model import ErrorClass, Usage, Value

UNREAD = frozenset({ErrorClass.INVALID_RESPONSE, ErrorClass.PERMISSION_DENIED})
"""Classes by which a run without the answer of an attempt may still hold a reply."""

LOOKING = "Read,Glob,Grep"
"""claude's tools with which one can look and change nothing."""

BLOCKED = ("edit", "bash", "webfetch", "websearch", "task", "external_directory", "question")
"""What opencode may not do for a question; `read`, `list`, `glob` and `grep` only when looking."""

SEEING = ("read", "list", "glob", "grep", "lsp", "skill", "todowrite")

OUTPUT_BYTES = 4 << 20
"""The most that a CLI may write for one question."""


class Question(Value, frozen=True, kw_only=True):
    """What is asked. `folder` is a scratch folder for its files; `where` the folder it is asked in
    (the scratch folder unless given); `looks`: it may read files there, and nothing else. `run` is
    the marker of its processes; `system` a system prompt, told before the text."""

    text: str
    folder: str
    run: str = ""
    model: str = ""
    system: str = ""
    where: str = ""
    looks: bool = False


class Asking(Value, frozen=True, kw_only=True):
    """How a question is asked: run `argv` in `cwd` with `stdin`, after writing `files` (relative
    name to text) into `folder`. `env` and `passes` are those of `contract.Plan`."""

    protocol: str
    argv: tuple[str, ...]
    env: dict[str, str]
    folder: str
    cwd: str
    stdin: bytes = b""
    passes: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)


class Reply(Value, frozen=True, kw_only=True):
    """What came back: a text, or why there is none (`error`, `message`, and for a limit when it
    ends)."""

    text: str = ""
    error: ErrorClass | None = None
    message: str = ""
    retry_at: float | None = None
    whole_account: bool = False
    usage: Usage = Usage()


def asking(agent: str, spec: AgentSpec, asked: Question) -> Asking:
    """How to ask this agent. Raises `ConfigError` when it is configured wrongly, `Refused` when
    agents of its protocol cannot be asked."""
    spec = structs.replace(spec, name=agent)
    work = Work(
        task="", attempt=0, folder=asked.folder, worktree=asked.where or asked.folder,
        run=asked.run, model=asked.model,
    )  # fmt: skip
    try:
        if spec.protocol == "claude":
            return _claude(spec, work, asked)
        if spec.protocol == "codex":
            return _codex(spec, work, asked)
        if spec.protocol == "opencode":
            return _opencode(spec, work, asked)
        if spec.protocol == "command":
            return _command(spec, work, asked)
    except ConfigError as error:
        raise ConfigError(f"agents.{agent}: {error.message}", error.hint) from None
    raise Refused(
        f"{agent} cannot be asked: it has the protocol {spec.protocol}",
        "name an agent of the protocol claude, codex, opencode or command",
    )


def heard(
    asked: Asking, out: bytes, err: bytes, code: int | None, *,
    now: float, ended_by: str = "exit", message: str = "", output: str = "",
) -> Reply:  # fmt: skip
    """What a run of it came to; `output` is what it wrote to its output file. Never raises."""
    if asked.protocol == "command":
        return _printed(out, err, code, ended_by, message, output)
    verdict = READERS[asked.protocol](out, err, code, now=now, ended_by=ended_by, message=message)
    if verdict.text.strip() and (verdict.ok or verdict.error in UNREAD):
        return Reply(text=verdict.text, usage=verdict.usage)
    return Reply(
        error=verdict.error or ErrorClass.INVALID_RESPONSE,
        message=verdict.message or "it said nothing",
        retry_at=verdict.retry_at,
        whole_account=verdict.whole_account,
        usage=verdict.usage,
    )


def _claude(spec: AgentSpec, work: Work, asked: Question) -> Asking:
    command = fill(spec.command or (claude.PROGRAM,), work)
    argv = [*command, "-p", "--output-format", "stream-json", "--verbose"]
    argv += ["--no-session-persistence"]
    argv += ["--tools", LOOKING if asked.looks else "", "--strict-mcp-config"]
    argv += ["--disable-slash-commands"]
    if work.model:
        argv += ["--model", work.model]
    files = {}
    if asked.system:
        files[SYSTEM] = asked.system
        argv += ["--append-system-prompt-file", f"{work.folder}/{SYSTEM}"]
    env = {**claude.QUIET, **spec.env, **_marked(asked)}
    passes = claude.passes(spec.name, command[0], env)
    return _on_stdin("claude", tuple(argv), env, passes, asked, files)


def _codex(spec: AgentSpec, work: Work, asked: Question) -> Asking:
    argv = [*fill(spec.command or (codex.PROGRAM,), work), "exec", "--json", *codex.QUIET]
    argv += ["--sandbox", "read-only", "--skip-git-repo-check", "--ephemeral"]
    argv += ["-c", "approval_policy=never", "-c", "web_search=disabled"]
    if not asked.looks:
        argv += ["--disable", "shell_tool"]
    if work.model:
        argv += ["--model", work.model]
    env = {**spec.env, **_marked(asked)}
    return _on_stdin("codex", (*argv, "-"), env, codex.OWN, asked, {})


def _opencode(spec: AgentSpec, work: Work, asked: Question) -> Asking:
    argv = [*fill(spec.command or (opencode.PROGRAM,), work), "run", "--format", "json"]
    argv += ["--title", "orch", "--print-logs", "--log-level", "ERROR"]
    if work.model:
        argv += ["--model", work.model]
    denied = BLOCKED if asked.looks else (*BLOCKED, *SEEING)
    env = {**opencode.QUIET, **spec.env, **_marked(asked)}
    env[opencode.PERMISSION] = json.dumps(dict.fromkeys(denied, "deny"))
    return _on_stdin("opencode", tuple(argv), env, opencode.PASSES, asked, {})


def _command(spec: AgentSpec, work: Work, asked: Question) -> Asking:
    """Any program: it finds the question in its prompt file and on stdin, and answers in its
    output file or on stdout. `ORCH_QUESTION` tells it that this is no work."""
    if not spec.command:
        raise ConfigError("the agent has no command", "set agents.NAME.command to its argv")
    return Asking(
        protocol="command",
        argv=fill(spec.command, work),
        env={**spec.env, **variables(work), "ORCH_QUESTION": "1"},
        folder=asked.folder,
        cwd=work.worktree,
        stdin=asked.text.encode(),
        files={PROMPT: asked.text, SYSTEM: asked.system, OUTPUT: ""},
    )


def _on_stdin(
    protocol: str, argv: tuple[str, ...], env: dict[str, str], passes: tuple[str, ...],
    asked: Question, files: dict[str, str],
) -> Asking:  # fmt: skip
    told = asked.text
    if asked.system and SYSTEM not in files:
        told = f"{asked.system}\n{asked.text}"
    return Asking(
        protocol=protocol, argv=argv, env=env, folder=asked.folder,
        cwd=asked.where or asked.folder, stdin=told.encode(), passes=passes, files=files,
    )  # fmt: skip


def _marked(asked: Question) -> dict[str, str]:
    return {"ORCH_RUN": asked.run} if asked.run else {}


def _printed(
    out: bytes, err: bytes, code: int | None, ended_by: str, message: str, output: str
) -> Reply:
    said = strip_ansi(out.decode(errors="replace"))
    if ended_by == "timeout":
        return Reply(error=ErrorClass.TIMEOUT, message=message or "the time limit is over")
    if ended_by == "launch_failed":
        return Reply(error=ErrorClass.MISSING_TOOL, message=message)
    if code:
        last = last_line(strip_ansi(err.decode(errors="replace"))) or last_line(said)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Reply(error=ErrorClass.AGENT_FAILED, message=f"{how}: {last}" if last else how)
    text = output.strip() or said.strip()
    if not text:
        return Reply(error=ErrorClass.INVALID_RESPONSE, message="it said nothing")
    return Reply(text=text)
