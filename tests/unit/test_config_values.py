"""Layers of configuration, variables, and secrets: values in, values out."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import inspect as kinds

from orch.config.check import check
from orch.config.expand import Unset, expand
from orch.config.files import check_text
from orch.config.fit import fault
from orch.config.layers import build, difference, merged, pick
from orch.config.schema import AgentConfig, Config, Secret
from orch.errors import NotFound


def layer(text: str, *, project: bool = False):
    name = ".orch.yml" if project else "config.yml"
    found = check_text(text.encode(), Path(name), {}.get, project=project)
    assert found.problems == []
    return found


def test_an_empty_file_means_the_defaults():
    config, problems = build(check(None, "config.yml", {}.get, project=False))

    assert problems == []
    assert config.workflow.max_attempts == 10
    assert config.workflow.timeout_seconds == 1800
    assert (config.engine.max_parallel, config.engine.tick_interval) == (4, 10)
    assert config.router.mode == "llm"
    assert config.agents == {
        "claude": AgentConfig(protocol="claude", command=("claude",)),
        "codex": AgentConfig(protocol="codex", command=("codex",)),
        "kimi": AgentConfig(protocol="claude", command=("kimi",)),
        "minimax": AgentConfig(protocol="claude", command=("minimax",)),
        "opencode": AgentConfig(protocol="opencode", command=("opencode",)),
        "shell": AgentConfig(protocol="shell"),
    }
    assert config.workflow.permissions.mode == "autonomous"


def test_a_project_overrides_key_by_key_and_leaves_the_rest():
    base = layer(
        "workflow: {max_attempts: 3, timeout_seconds: 60}\n"
        "router: {agents: [shell, one]}\n"
        "agents: {one: {command: [x], env: {A: a, B: b}, limits: {max_parallel: 2}}}\n"
        "jobs: [{id: everywhere, schedule: '@daily', task: {title: t}}]\n"
    )
    over = layer(
        "gh: {repo: o/r}\n"
        "workflow: {timeout_seconds: 5}\n"
        "router: {agents: [one]}\n"
        "agents: {one: {env: {B: c}, limits: {timeout_seconds: 9}}}\n"
        "jobs: [{id: here, schedule: '@daily', task: {title: t}}]\n",
        project=True,
    )

    config, problems = build(base, over)

    assert problems == []
    assert (config.workflow.max_attempts, config.workflow.timeout_seconds) == (3, 5)
    assert config.router.agents == ("one",)
    assert config.agents["one"].command == ("x",)
    assert config.agents["one"].env == {"A": "a", "B": "c"}
    assert config.agents["one"].limits.max_parallel == 2
    assert config.agents["one"].limits.timeout_seconds == 9
    assert [job.id for job in config.jobs] == ["here"]


def test_jobs_are_not_inherited():
    base = layer("jobs: [{id: everywhere, schedule: '@daily', task: {title: t}}]\n")

    assert build(base)[0].jobs[0].id == "everywhere"
    assert build(base, layer("gh: {repo: o/r}\n", project=True))[0].jobs == ()


def test_layers_themselves_stay_as_they_are():
    low, high = {"a": {"b": 1}}, {"a": {"c": 2}}

    assert merged(low, high) == {"a": {"b": 1, "c": 2}}
    assert (low, high) == ({"a": {"b": 1}}, {"a": {"c": 2}})


@pytest.mark.parametrize("protocol", ["command", "terminal"])
def test_an_agent_without_a_command_is_told_with_its_line(protocol):
    base = layer(f"git: {{}}\nagents:\n  mine:\n    protocol: {protocol}\n")
    assert [str(p) for p in build(base)[1]] == ["config.yml:3: agents.mine.command: is missing"]


def test_an_agent_that_only_the_project_has_is_told_in_the_project():
    over = layer("gh: {repo: o/r}\nagents:\n  mine: {}\n", project=True)
    assert [str(p) for p in build(layer(""), over)[1]] == [
        ".orch.yml:3: agents.mine.command: is missing"
    ]


def test_the_difference_names_exactly_the_keys_that_changed():
    old = build(layer("agents: {a: {command: [x]}}\nworkflow: {max_attempts: 3}\n"))[0]
    new = build(layer("agents: {a: {command: [y]}}\nengine: {max_parallel: 5}\n"))[0]

    assert difference(old, old) == ()
    assert difference(old, new) == (
        "agents.a.command",
        "engine.max_parallel",
        "workflow.max_attempts",
    )


def test_a_secret_prints_as_stars_everywhere():
    secret = Secret("hunter2")
    config = build(layer("agents: {a: {command: [x], env: {KEY: hunter2}}}\n"))[0]
    shown = (
        f"{secret} {secret!r} {[secret]} {config} {config.agents!r} "
        f"{pick(config, 'agents')} {pick(config, 'agents.a.env.KEY')} {('%s', secret)}"
    )

    assert "hunter2" not in shown
    assert "***" in shown
    assert secret.reveal() == "hunter2"
    assert config.agents["a"].env == {"KEY": "hunter2"}
    assert (secret == Secret("hunter2"), bool(Secret(""))) == (True, False)


def test_a_secret_of_the_wrong_form_is_told_without_it():
    kind = kinds.Metadata(
        kinds.StrType(pattern="^[0-9]+$"), extra={"secret": True, "form": "digits"}
    )
    assert fault("hunter2", kind) == "expected digits, got ***"


def test_a_changed_secret_is_a_difference_that_does_not_show_it():
    old, new = (
        build(layer(f"agents: {{a: {{command: [x], env: {{KEY: {value}}}}}}}\n"))[0]
        for value in ("one", "two")
    )
    assert difference(old, new) == ("agents.a.env.KEY",)


@pytest.mark.parametrize("key", ["workflow.nope", "agents.none", "jobs[3]", "nope", "git.name.x"])
def test_a_key_that_is_not_there_is_not_found(key):
    with pytest.raises(NotFound, match=key.replace("[", r"\[")):
        pick(Config(), key)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain $HOME $(x) {y}", "plain $HOME $(x) {y}"),
        ("${A}", "1"),
        ("a${A}b${B}c", "a1b2c"),
        ("${NONE:-x y}", "x y"),
        ("${NONE:-}", ""),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("${ODD}", "${A}"),
    ],
)
def test_variables_are_replaced_once(text, value):
    variables = {"A": "1", "B": "2", "EMPTY": "", "ODD": "${A}"}
    assert expand(text, variables.get) == value


@pytest.mark.parametrize("text", ["${NONE}", "${A", "${1}", "${A:-${B}}", "${a-b}", "${}"])
def test_what_cannot_be_replaced_is_an_error(text):
    with pytest.raises(Unset):
        expand(text, {"A": "1", "B": "2"}.get)
