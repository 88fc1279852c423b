"""How agents are started: argv, files and environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from orch import agents
from orch.agents.shell import steps
from orch.errors import ConfigError, Refused


def work(**more) -> agents.Work:
    """A task's attempt."""
    given = {"task": "octo/demo#4", "attempt": 2, "folder": "/s/2", "worktree": "/w t", "run": "r"}
    return agents.Work(**{**given, "model": "m1", **more})


def argv(*command: str, **more) -> tuple[str, ...]:
    """What a command agent's argv becomes."""
    return agents.plan("mine", agents.AgentSpec(command=command), work(**more)).argv


@pytest.mark.parametrize(
    "command, becomes",
    [
        (("agent", "{prompt_file}"), ("agent", "/s/2/prompt-msg.md")),
        (("agent", "--sys={system_file}"), ("agent", "--sys=/s/2/prompt-sys.md")),
        (("agent", "{task}:{worktree}"), ("agent", "octo/demo#4:/w t")),
        (("agent", "--model", "{model}", "x"), ("agent", "--model", "m1", "x")),
        (("awk", "{{print}} $1"), ("awk", "{print} $1")),
        (("agent", "$HOME; `x` {} {A} {1}"), ("agent", "$HOME; `x` {} {A} {1}")),
    ],
)
def test_placeholders_are_replaced_inside_each_argument(command, becomes):
    assert argv(*command) == becomes


def test_without_a_model_its_argument_goes_with_its_option():
    assert argv("agent", "--model", "{model}", "x", model="") == ("agent", "x")
    assert argv("agent", "{model}", "x", model="") == ("agent", "x")
    assert argv("agent", "--model={model}", model="") == ("agent", "--model=")


def test_what_a_task_says_is_never_replaced_again():
    assert argv("agent", "{task}", task="{model}") == ("agent", "{model}")


@pytest.mark.parametrize("command", [(), ("agent", "{prompt}"), ("{home}",)])
def test_a_wrong_command_is_told_with_its_agent(command):
    with pytest.raises(ConfigError, match=r"^agents\.mine: "):
        argv(*command)


def test_an_unknown_protocol_is_told():
    with pytest.raises(ConfigError, match="unknown protocol 'telnet'"):
        agents.plan("mine", agents.AgentSpec(protocol="telnet"), work())


def test_an_agent_is_told_about_its_work_and_cannot_be_told_otherwise():
    spec = agents.AgentSpec(command=("agent",), env={"KEY": "v", "ORCH_TASK": "other"})
    assert agents.plan("mine", spec, work()).env == {
        "KEY": "v",
        "ORCH_TASK": "octo/demo#4",
        "ORCH_ATTEMPT": "2",
        "ORCH_ATTEMPT_DIR": "/s/2",
        "ORCH_PROMPT_FILE": "/s/2/prompt-msg.md",
        "ORCH_SYSTEM_FILE": "/s/2/prompt-sys.md",
        "ORCH_OUTPUT_FILE": "/s/2/output.json",
        "ORCH_RUN": "r",
    }


def test_the_protocol_of_the_session_follows_from_the_agents():
    command = ("agent",)
    body = "```sh\ntrue\n```"
    seen = {
        name: agents.plan(
            "x", agents.AgentSpec(protocol=name, command=command), work(body=body, model="p/m1")
        ).protocol
        for name in agents.BY_PROTOCOL
    }
    assert seen == {
        "claude": "structured",
        "codex": "structured",
        "command": "command",
        "opencode": "structured",
        "shell": "command",
        "terminal": "terminal",
    }


OUTER = {
    "HOME": "/h",
    "PATH": "/mine:/usr/bin",
    "LC_TIME": "de",
    "https_proxy": "p",
    "ORCH_HOME": "/h/.orch",
    "ORCH_TASK": "outer",
    "TMUX": "x",
    "TMUX_PANE": "%1",
    "GH_TOKEN": "secret",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CODEX_SANDBOX": "1",
    "OPENCODE": "1",
    "PYTHONPATH": "/evil",
    "VIRTUAL_ENV": "/v",
    "GIT_DIR": "/g",
    "SHELL": "/bin/\udcff",
}


def test_nothing_of_orch_or_of_an_outer_agent_gets_into_an_agents_environment():
    env = agents.environment(OUTER, {"ORCH_TASK": "inner", "TERM": "vt100"})
    assert set(env) == {"HOME", "PATH", "LC_TIME", "https_proxy", "ORCH_TASK", "TERM", "LANG"}
    assert env["ORCH_TASK"] == "inner"


def test_a_services_minimal_path_is_completed():
    path = agents.environment(OUTER, {})["PATH"].split(":")
    assert path[:3] == ["/mine", "/usr/bin", "/h/.local/bin"]
    assert {"/usr/local/bin", "/opt/homebrew/bin", "/bin"} < set(path)
    assert len(path) == len(set(path))
    assert "/usr/bin" in agents.environment({}, {})["PATH"].split(":")


BODY = """Do it:

```sh
echo one
```

~~~ Bash {.x}
echo two
```
echo still two
~~~

```python
print("not me")
```
   ````sh
```
not code
   ````
```sh
```
``` sh inline ```
```bash\r
echo three\r
"""


def test_the_runnable_blocks_of_a_text_are_found():
    assert [(step.shell, step.text) for step in steps(BODY)] == [
        ("sh", "echo one\n"),
        ("bash", "echo two\n```\necho still two\n"),
        ("sh", "```\nnot code\n"),
        ("bash", "echo three\n"),
    ]


@pytest.mark.parametrize("body", ["", "please fix the bug", "```python\nx\n```", "```sh\n\n```"])
def test_a_task_without_a_runnable_block_says_so_and_how_to_install_an_agent(body):
    with pytest.raises(Refused, match="no sh or bash block") as caught:
        agents.plan("shell", agents.AgentSpec(protocol="shell"), work(body=body))
    assert "npm install -g" in caught.value.hint


def test_steps_run_in_order_readably_and_stop_at_the_first_failure(tmp_path):
    body = "```sh\necho one > a\ncat a\n```\n```bash\n[[ 1 ]] && false\necho no\n```\n```sh\nx\n```"
    folder = tmp_path / "it's a folder"
    plan = agents.plan("s", agents.AgentSpec(protocol="shell"), work(body=body, folder=str(folder)))
    for name, text in plan.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    ran = subprocess.run(plan.argv, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert (tmp_path / "a").read_text() == "one\n"
    assert ran.stdout == (
        "\n== step 1 of 3 (sh)\n   | echo one > a\n   | cat a\none\n"
        "\n== step 2 of 3 (bash)\n   | [[ 1 ]] && false\n   | echo no\n"
        "\n== step 2 of 3 failed with exit code 1\n"
    )


def test_one_step_done_is_said(tmp_path: Path):
    body = "```sh\ntrue\n```"
    spec = agents.AgentSpec(protocol="shell")
    plan = agents.plan("s", spec, work(body=body, folder=str(tmp_path)))
    (tmp_path / "steps").mkdir()
    for name, text in plan.files.items():
        (tmp_path / name).write_text(text)
    ran = subprocess.run(plan.argv, capture_output=True, text=True, check=True)
    assert ran.stdout.endswith("== 1 step done\n")
    recorded = agents.Recorded(
        result=agents.Ended(ended_by="exit", exit_code=0), tail=agents.strip_ansi(ran.stdout)
    )
    verdict = agents.verdict("shell", recorded)
    assert verdict.ok
    assert verdict.answer
    assert verdict.answer.summary == "1 step done"


@pytest.mark.parametrize("cli", ["claude", "codex", "opencode"])
@pytest.mark.parametrize("mode", ["autonomous", "supervised"])
def test_no_trust_update_or_login_dialog_can_wait(cli, mode):
    spec = agents.AgentSpec(protocol=cli)
    rules = agents.Permissions(mode=mode)
    plan = agents.plan(cli, spec, work(model="", permissions=rules))
    plans = [plan, *([plan.instead] if plan.instead else [])]
    assert {one.protocol for one in plans} == {"structured"}, "on pipes there is no dialog"
    given = {one for each in plans for one in (*each.argv, *each.env, *each.env.values())}
    needed = {
        "claude": {"-p", "--permission-prompt-tool", "stdio", "DISABLE_AUTOUPDATER"},
        "codex": {"check_for_update_on_startup=false", "app-server"},
        "opencode": {"OPENCODE_DISABLE_AUTOUPDATE", "serve"},
    }[cli]
    assert needed <= given
    if cli == "codex" and mode == "autonomous":
        assert "--skip-git-repo-check" in given, "else its one-shot mode wants the folder trusted"


RECORDINGS = Path(__file__).parents[1] / "golden" / "recordings"


@pytest.mark.parametrize("cli", ["gemini", "qwen"])
def test_a_command_is_read_as_the_cli_whose_output_it_prints(cli):
    spec = agents.AgentSpec(command=("sh", "-c", f"exec {cli}"), reads=cli)
    plan = agents.plan(cli, spec, work())
    assert plan.protocol == "command"
    person = {"GEMINI_API_KEY": "g", "OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a"}
    kept = set(agents.environment(person, plan.env, plan.passes)) & set(person)
    assert kept == {"GEMINI_API_KEY" if cli == "gemini" else "OPENAI_API_KEY"}
    assert set(plan.files) == ({"qwen-defaults.json"} if cli == "qwen" else set())
    good, bad = (
        (RECORDINGS / cli / name).read_text(errors="replace")
        for name in ("ok-stream.out", "e401-stream.out")
    )
    ended = agents.Ended(ended_by="exit", exit_code=0)
    done = agents.verdict(cli, agents.Recorded(result=ended, tail=good))
    assert done.usage.output_tokens > 0
    assert done.native_session == "", "a command cannot go on with a conversation"
    written = '{"status": "done", "summary": "in the file"}'
    answered = agents.verdict(cli, agents.Recorded(result=ended, tail=good, output=written))
    assert answered.answer is not None
    assert answered.answer.summary == "in the file"
    ended = agents.Ended(ended_by="timeout")
    tried = '{"type":"init"}\nAttempt 1 failed with status 503. Retrying with backoff... x\n'
    late = agents.verdict(cli, agents.Recorded(result=ended, tail=tried))
    assert late.error == ("overloaded" if cli == "gemini" else "timeout"), "qwen says nothing"
    ended = agents.Ended(ended_by="exit", exit_code=0)
    failed = agents.verdict(cli, agents.Recorded(result=ended, tail=bad, output=written))
    assert (failed.ok, failed.error) == (False, "auth")
