"""How each agent CLI is begun for a conversation: told who it is, let call orch, and no more."""

from __future__ import annotations

import json
import tomllib

import pytest

from orch.agents.contract import AgentSpec
from orch.agents.talk import Talk, Talking, talking
from orch.errors import ConfigError, Refused

SYSTEM = '# You are "orch"\n\\ back ’ü’\n'


def begun(protocol: str, *command: str, model: str = "", **env: str) -> Talking:
    spec = AgentSpec(protocol=protocol, command=command, env=env)
    talk = Talk(folder="/f", cwd="/p", system=SYSTEM, run="mark", model=model)
    return talking("mine", spec, talk)


@pytest.mark.parametrize("protocol", ["claude", "codex", "opencode", "terminal"])
def test_every_agent_is_told_by_a_file_and_its_processes_are_marked(protocol: str) -> None:
    told = begun(protocol, "prog", "--x")
    assert told.argv[:2] == ("prog", "--x")
    assert told.files["prompt-sys.md"] == SYSTEM
    assert told.env["ORCH_RUN"] == "mark"
    assert not {"ORCH_TASK", "ORCH_ATTEMPT", "IS_SANDBOX"} & told.env.keys()


def test_claude_may_call_orch_unasked_and_nothing_else() -> None:
    told = begun("claude", "claude", model="opus")
    assert told.argv[1:] == (
        *("--append-system-prompt-file", "/f/prompt-sys.md", "--allowedTools=Bash(orch *)"),
        *("--model", "opus"),
    )
    assert "-p" not in told.argv


def test_codex_gets_the_very_text_and_a_sandbox_that_reaches_orch() -> None:
    argv = begun("codex", "codex").argv
    settings = dict(word.split("=", 1) for word in argv if "=" in word)
    assert tomllib.loads(f"x={settings['developer_instructions']}")["x"] == SYSTEM
    assert settings["sandbox_workspace_write.network_access"] == "true"
    assert argv[argv.index("--sandbox") + 1] == "workspace-write"
    assert "exec" not in argv


def test_opencode_keeps_what_the_person_has_configured() -> None:
    given = json.dumps({"theme": "x", "instructions": ["mine.md"]})
    told = begun("opencode", "opencode", OPENCODE_CONFIG_CONTENT=given)
    assert json.loads(told.env["OPENCODE_CONFIG_CONTENT"]) == {
        "theme": "x",
        "instructions": ["mine.md", "/f/prompt-sys.md"],
    }
    permission = json.loads(told.env["OPENCODE_PERMISSION"])
    assert (permission["bash"]["*"], permission["bash"]["orch *"]) == ("ask", "allow")
    for broken in ("{", "[]", '{"instructions": 7}'):
        told = begun("opencode", "opencode", OPENCODE_CONFIG_CONTENT=broken)
        told_of = json.loads(told.env["OPENCODE_CONFIG_CONTENT"])["instructions"]
        assert told_of == ["/f/prompt-sys.md"]


def test_any_program_with_a_screen_finds_its_files() -> None:
    told = begun("terminal", "prog", "{system_file}", "{worktree}", "--model", "{model}")
    assert told.argv == ("prog", "/f/prompt-sys.md", "/p")
    assert told.env["ORCH_SYSTEM_FILE"] == "/f/prompt-sys.md"
    with pytest.raises(ConfigError, match=r"agents\.mine: .*no command"):
        begun("terminal")


@pytest.mark.parametrize("protocol", ["command", "shell"])
def test_who_has_no_screen_is_no_partner(protocol: str) -> None:
    with pytest.raises(Refused, match="no screen of its own"):
        begun(protocol, "prog")
