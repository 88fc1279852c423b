"""claude as an agent: how it is started, with what rights and which variables."""

from __future__ import annotations

from typing import Any

import pytest

from orch import agents
from orch.agents.question import Question, asking
from orch.agents.talk import Talk, talking


def work(**more: Any) -> agents.Work:
    return agents.Work(
        **{"task": "int-1", "attempt": 2, "folder": "/s/2", "worktree": "/w", "run": "r"} | more
    )


def plan(name: str = "claude", spec: dict[str, Any] | None = None, **more: Any) -> agents.Plan:
    given = agents.AgentSpec(**{"protocol": "claude", "command": (name,)} | (spec or {}))
    return agents.plan(name, given, work(**more))


def option(argv: tuple[str, ...], name: str) -> str:
    return argv[argv.index(name) + 1] if name in argv else ""


def test_it_is_started_to_speak_messages_both_ways_and_to_ask_us():
    found = plan()
    assert found.argv[:2] == ("claude", "-p")
    for name in ("--input-format", "--output-format"):
        assert option(found.argv, name) == "stream-json"
    assert option(found.argv, "--permission-prompt-tool") == "stdio"
    assert option(found.argv, "--append-system-prompt-file") == "/s/2/prompt-sys.md"
    assert "--replay-user-messages" in found.argv
    assert "--model" not in found.argv
    assert "--resume" not in found.argv
    assert (found.protocol, found.dialect, found.prompt) == (
        "structured",
        "claude",
        "prompt-msg.md",
    )


@pytest.mark.parametrize(
    ("mode", "means", "asks"),
    [("autonomous", "bypassPermissions", False), ("supervised", "default", True)],
)
def test_permissions_are_translated(mode, means, asks):
    allowed = agents.Permissions(
        mode=mode, allowed_tools=("WebFetch", "Bash(git *)"), disallowed_tools=("Bash(rm *)",)
    )
    found = plan(permissions=allowed)
    assert option(found.argv, "--permission-mode") == means
    assert option(found.argv, "--allowedTools") == "WebFetch,Bash(git *)"
    refused = option(found.argv, "--disallowedTools").split(",")
    assert {"Bash(rm *)", "EnterWorktree"} <= set(refused)
    assert ("AskUserQuestion" not in refused) is asks
    assert found.settings["permissions"] == mode


def test_model_and_session_are_passed_on():
    found = plan(model="opus", resume="5e55")
    assert (option(found.argv, "--model"), option(found.argv, "--resume")) == ("opus", "5e55")


def test_it_tells_nobody_and_updates_nothing_unless_configured_otherwise():
    env = plan(spec={"env": {"DISABLE_TELEMETRY": "0"}}).env
    assert env["DISABLE_AUTOUPDATER"] == env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] == "1"
    assert env["DISABLE_TELEMETRY"] == "0"
    assert "ORCH_OUTPUT_FILE" not in env, "its answer is its last message"
    assert env["ORCH_TASK"] == "int-1"


PERSON = {
    "ANTHROPIC_API_KEY": "a",
    "CLAUDE_CONFIG_DIR": "/c",
    "CLAUDE_CODE_OAUTH_TOKEN": "o",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "AWS_SECRET_ACCESS_KEY": "w",
    "OPENAI_API_KEY": "x",
    "GH_TOKEN": "g",
    "KIMI_API_KEY": "k",
    "MOONSHOT_API_KEY": "m",
    "MINIMAX_API_KEY": "n",
    "MY_AGENT_KEY": "y",
}


@pytest.mark.parametrize(
    ("command", "env", "gets"),
    [
        ("claude", {}, {"ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN"}),
        ("/opt/bin/claude", {"CLAUDE_CODE_USE_BEDROCK": "1"},
         {"ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_OAUTH_TOKEN",
          "AWS_SECRET_ACCESS_KEY"}),
        ("kimi", {}, {"KIMI_API_KEY", "MOONSHOT_API_KEY"}),
        ("minimax", {}, {"MINIMAX_API_KEY"}),
        ("my-agent", {}, {"MY_AGENT_KEY"}),
    ],
)  # fmt: skip
def test_a_vendors_variables_go_to_its_own_program_alone(command, env, gets):
    found = plan(command, {"env": env})
    inherited = agents.environment(PERSON, found.env, found.passes)
    assert set(inherited) & set(PERSON) == gets


@pytest.mark.parametrize(
    ("name", "gets"),
    [("kimi", {"KIMI_API_KEY", "MOONSHOT_API_KEY"}), ("minimax", {"MINIMAX_API_KEY"})],
)
def test_claude_under_another_vendors_name_gets_the_variables_of_that_vendor(name, gets):
    spec = agents.AgentSpec(protocol="claude", command=("/opt/bin/claude",))
    talk = Talk(folder="/s", cwd="/w", system="", run="r")
    for found in (
        agents.plan(name, spec, work()),
        talking(name, spec, talk),
        asking(name, spec, Question(text="?", folder="/s", run="r")),
    ):
        inherited = agents.environment(PERSON, found.env, found.passes)
        assert set(inherited) & set(PERSON) == gets
