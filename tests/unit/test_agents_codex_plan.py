"""codex as an agent: how it is started, and which of its questions rules answer."""

from __future__ import annotations

from typing import Any

import pytest

from orch import agents
from orch.agents.codex_rules import Rules, inner


def plan(spec: dict[str, Any] | None = None, **more: Any) -> agents.Plan:
    given = agents.AgentSpec(**{"protocol": "codex", "command": ("codex",)} | (spec or {}))
    order = {"task": "int-1", "attempt": 2, "folder": "/s/2", "worktree": "/w", "run": "r"}
    return agents.plan("codex", given, agents.Work(**order | more))


# ---- how it is started -----------------------------------------------------------------------


def test_its_server_is_started_and_talks_to_nobody_but_the_model():
    found = plan()
    assert found.argv[:4] == ("codex", "app-server", "--disable", "plugins")
    for name in ("check_for_update_on_startup", "analytics.enabled", "feedback.enabled"):
        assert f"{name}=false" in found.argv
    assert (found.protocol, found.dialect, found.prompt) == ("structured", "codex", "prompt-msg.md")
    assert found.settings["system_file"] == "/s/2/prompt-sys.md"
    assert "ORCH_OUTPUT_FILE" not in found.env, "its answer is its last message"
    assert found.env["ORCH_TASK"] == "int-1"


FULL = "danger-full-access"


@pytest.mark.parametrize(
    ("permissions", "approvals", "sandbox"),
    [
        ({}, "never", "workspace-write"),
        ({"disallowed_tools": ("Bash(rm *)",)}, "granular", "workspace-write"),
        ({"disallowed_tools": ("Bash(rm *)",), "sandbox": "none"}, "untrusted", FULL),
        ({"disallowed_tools": ("Edit",)}, "granular", "read-only"),
        ({"disallowed_tools": ("WebSearch",)}, "never", "workspace-write"),
        ({"mode": "supervised"}, "untrusted", "workspace-write"),
        ({"sandbox": "full-access"}, "never", FULL),
        ({"sandbox": "none"}, "never", FULL),
    ],
)
def test_permissions_are_translated(permissions, approvals, sandbox):
    found = plan(permissions=agents.Permissions(**permissions))
    assert (found.settings["approvals"], found.settings["sandbox"]) == (approvals, sandbox)
    without_web = "WebSearch" in permissions.get("disallowed_tools", ())
    assert ("web_search=disabled" in found.argv) is without_web


def test_a_vendors_variables_go_to_its_own_program_alone():
    person = {"OPENAI_API_KEY": "o", "CODEX_HOME": "/c", "CODEX_SANDBOX": "s", "GH_TOKEN": "g",
              "ANTHROPIC_API_KEY": "a", "CODEX_THREAD_ID": "t", "MY_KEY": "m"}  # fmt: skip
    found = plan({"env": {"MY_KEY": "mine"}})
    inherited = agents.environment(person, found.env, found.passes)
    assert set(inherited) & set(person) == {"OPENAI_API_KEY", "CODEX_HOME", "MY_KEY"}


# ---- rules -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "decided"),
    [
        ("rm -r x", False),
        ("rm", False),
        ("true && sudo rm x", False),
        ("(rm x)", False),
        ("X=1 rm x", False),
        ("if true; then rm x; fi", False),
        ("rmdir x", None),
        ("make", None),
        ("git log", True),
        ("git", True),
        ("git log | git cat", True),
        ("git log; make", None),
        ("git log > x", None),
        ("git log $(make)", None),
        ("git log `make`", None),
        ("", None),
    ],
)
def test_rules_decide_about_every_part_of_a_line(line, decided):
    assert Rules("Bash(git:*)\nEdit", "Bash(rm *)").command(line) is decided


def test_rules_without_a_pattern_are_about_all():
    assert Rules("Bash", "").command("git log > x") is True
    assert Rules("Bash", "Bash").command("ls") is False
    assert Rules("Bash", "").edit() is None
    assert (Rules("Edit", "").edit(), Rules("Edit", "Write").edit()) == (True, False)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("/bin/bash -lc 'echo \"a b\"'", 'echo "a b"'),
        ("bash -c ls", "ls"),
        ("git log", "git log"),
        ("/bin/bash -lc 'torn", "/bin/bash -lc 'torn"),
    ],
)
def test_the_line_that_a_shell_is_given_is_what_counts(command, line):
    assert inner(command) == line
