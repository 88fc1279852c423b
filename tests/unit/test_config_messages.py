"""Every way in which a configuration file can be wrong, and what the reader is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from orch.config.check import Checked, convert
from orch.config.files import check_text

VARIABLES = {"TOKEN": "t0p", "MANY": "5", "NAMES": "git, tmux", "EMPTY": "", "SPACED": "a b"}


def checked(text: str, *, project: bool = False) -> Checked:
    name = ".orch.yml" if project else "config.yml"
    return check_text(text.encode(), Path(name), VARIABLES.get, project=project)


def problems(text: str, *, project: bool = False) -> list[str]:
    return [str(problem) for problem in checked(text, project=project).problems]


WRONG = [
    ("router:\n  agents:\n  - shell\n  - 4\n", "4: router.agents[1]: expected str, got int"),
    ("wrokflow: {}\n", "1: wrokflow: unknown key (did you mean workflow?)"),
    (
        "workflow:\n  max_atempts: 1\n",
        "2: workflow.max_atempts: unknown key (did you mean workflow.max_attempts?)",
    ),
    ("workflow:\n  zebra: 1\n", "2: workflow.zebra: unknown key"),
    (
        "workflow:\n  max_attempts: 0\n",
        "2: workflow.max_attempts: expected int from 1 to 1000, got 0",
    ),
    ("workflow:\n  max_attempts: ten\n", "2: workflow.max_attempts: expected int, got str"),
    ("workflow:\n  max_attempts: true\n", "2: workflow.max_attempts: expected int, got bool"),
    ("workflow:\n  max_attempts: 1.5\n", "2: workflow.max_attempts: expected int, got float"),
    ("workflow:\n  max_attempts:\n", "2: workflow.max_attempts: expected int, got nothing"),
    ("workflow:\n  max_attempts: [1]\n", "2: workflow.max_attempts: expected int, got a list"),
    ("workflow: 5\n", "1: workflow: expected keys and values, got int"),
    ("projects:\n", "1: projects: expected a list, got nothing"),
    ("projects: {a: b}\n", "1: projects: expected a list, got keys and values"),
    (
        "engine:\n  tick_interval: .nan\n",
        "2: engine.tick_interval: expected a number from 0.1 to 86400, got nan",
    ),
    ("engine:\n  tick_interval: soon\n", "2: engine.tick_interval: expected a number, got str"),
    (
        "router:\n  mode: roundrobin\n",
        "2: router.mode: expected label_only or llm or round_robin or weighted, got roundrobin "
        "(did you mean round_robin?)",
    ),
    ("webhook: {port: 1}\n", "1: webhook: this version of orch does not have it yet"),
    (
        "workflow: {auto_close: true}\n",
        "1: workflow.auto_close: this version of orch does not have it yet",
    ),
    (
        "workflow: {timeout_by_complexity: {hard: 1}}\n",
        "1: workflow.timeout_by_complexity.hard: expected simple or medium or complex, got hard",
    ),
    (
        "model_map: {free: 5}\n",
        "1: model_map.free: expected a list, got int",
    ),
    (
        "model_map: {hard: {shell: x}}\n",
        "1: model_map.hard: unknown key (did you mean model_map.free?)",
    ),
    (
        "skills:\n  - {repo: a/b, path: ../../etc}\n",
        "2: skills[0].path: expected a folder inside the repository, as skills/review, "
        "got ../../etc",
    ),
    (
        "skills:\n  - {repo: 'ext::sh -c id'}\n",
        "2: skills[0].repo: expected owner/repo, or the address of a git repository, "
        "got ext::sh -c id",
    ),
    (
        "skills:\n  - {repo: a/b, ref: --upload-pack=x}\n",
        "2: skills[0].ref: expected a branch, a tag or a commit, got --upload-pack=x",
    ),
    (
        "agents:\n  a b: {command: [x]}\n",
        "2: agents.a b: expected a name of letters, digits, - and _ (64 at most), got a b",
    ),
    (
        "agents:\n  a: {command: [x], env: {1A: x}}\n",
        "2: agents.a.env.1A: expected the name of an environment variable, got 1A",
    ),
    ("agents: {a: {command: 'x \"y'}}\n", "1: agents.a.command: cannot be split into words: "
     "No closing quotation"),
    ("git: {name: a}\ngit: {name: b}\n", "2: git: set twice (first on line 1)"),
    ("git:\n  name: a\n\n  name: b\n", "4: git.name: set twice (first on line 2)"),
    ("gh: {repo: a/b}\n", "1: gh.repo: belongs in a project's .orch.yml, not in config.yml"),
    (
        "git: {name: '${NOPE}'}\n",
        "1: git.name: the variable NOPE is not set, neither in the environment nor in env",
    ),
    (
        "git: {name: 'a${x%y}'}\n",
        "1: git.name: cannot read what follows `${`; for a plain `${` write `$${`",
    ),
    ("git: {name: \"a\\0b\"}\n", "1: git.name: holds a zero byte"),
    ("- a\n- b\n", "1: expected `key: value` lines"),
    ("just words\n", "1: expected `key: value` lines"),
    ("a: b: c\n", "1: not YAML: mapping values are not allowed in this context"),
    ("git:\n\tname: x\n", "2: not YAML: found character that cannot start any token"),
    ("git: {name: x\n", "2: not YAML: did not find expected ',' or '}'"),
    ("git: {}\n---\ngit: {}\n", "2: not YAML: but found another document"),
    ("? [a, b]\n: c\n", "1: expected a name, got a list"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG, ids=[told[:60] for _, told in WRONG])
def test_a_mistake_is_told_with_file_line_and_key(text, told):
    assert problems(text) == [f"config.yml:{told}"]


def test_all_mistakes_of_a_file_are_told_at_once_in_their_order():
    text = "git: {nam: x}\nrouter:\n  mode: nope\nengine:\n  max_parallel: 0\n"

    assert [line.split(": ")[0] for line in problems(text)] == [
        "config.yml:1",
        "config.yml:3",
        "config.yml:5",
    ]


@pytest.mark.parametrize("section", ["projects: [/x]", "engine: {max_parallel: 2}"])
def test_what_concerns_the_whole_home_is_refused_in_a_project(section):
    key = section.partition(":")[0]
    assert problems(section, project=True) == [
        f".orch.yml:1: {key}: belongs in config.yml, not in a project's file"
    ]


@pytest.mark.parametrize(
    "slug", ["a.b:c", "a/b/c", "/b", "a/", "a b/c", "a/b#1", "../x", "a/..", "-a/b"]
)
def test_a_slug_is_an_owner_and_a_repository(slug):
    assert problems(f"gh: {{repo: '{slug}'}}\n", project=True) == [
        f".orch.yml:1: gh.repo: expected owner/repo, got {slug}"
    ]


@pytest.mark.parametrize(
    "slug", ["octo/demo", "local/a.b:c", "local/größe", "o/r.js", "local/.dot"]
)
def test_a_slug_may_hold_what_folders_are_called(slug):
    found = checked(f"gh: {{repo: '{slug}'}}\n", project=True)
    assert (found.values["gh"]["repo"], found.problems) == (slug, [])


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("workflow: {required_tools: 'git, tmux,'}", "required_tools", ("git", "tmux")),
        ("workflow: {required_tools: [git, tmux]}", "required_tools", ("git", "tmux")),
        ("workflow: {required_tools: '${NAMES}'}", "required_tools", ("git", "tmux")),
        ("workflow: {required_tools: []}", "required_tools", ()),
        ("workflow: {max_attempts: '${MANY}'}", "max_attempts", 5),
        ("workflow: {max_attempts: '${NONE:-7}'}", "max_attempts", 7),
        ("workflow: {max_attempts: '${EMPTY:-7}'}", "max_attempts", 7),
    ],
)
def test_lists_and_variables_take_several_forms(text, key, value):
    found = checked(text)
    assert (found.problems, found.values["workflow"][key]) == ([], value)


@pytest.mark.parametrize(
    ("written", "argv"),
    [
        ("my-agent --file {prompt_file}", ("my-agent", "--file", "{prompt_file}")),
        ("sh -c 'echo a, b'", ("sh", "-c", "echo a, b")),
        ("run ${SPACED}", ("run", "a b")),
    ],
)
def test_a_command_may_be_written_as_in_a_shell(written, argv):
    found = checked(f'agents: {{mine: {{command: "{written}"}}}}')
    assert found.values["agents"]["mine"]["command"] == argv


def test_a_bad_job_is_told_and_disturbs_nothing_else():
    found = checked(
        "jobs:\n"
        "- {id: good, schedule: '@daily', task: {title: t}}\n"
        "- {id: bad, schedule: '@daily'}\n"
        "- {id: good, schedule: '@hourly', task: {title: t}}\n"
        "- {id: sh, schedule: '@hourly', type: bash, task: {title: t}}\n"
        "- 5\n"
        "-\n"
    )  # fmt: skip
    told = [
        "config.yml:3: jobs[1].task: is missing: a job of type task needs it",
        "config.yml:4: jobs[2].id: set twice (first on line 2)",
        "config.yml:5: jobs[3].command: is missing: a job of type bash needs it",
        "config.yml:6: jobs[4]: expected keys and values, got int",
        "config.yml:7: jobs[5].id: is missing",
    ]

    assert found.problems == []
    assert [str(job) for job in found.bad_jobs][:5] == told
    assert found.values["jobs"][0]["id"] == "good"
    assert [job.problem for job in found.values["jobs"][1:]] == told


def test_what_a_job_may_not_say_of_itself_is_an_unknown_key():
    found = checked("jobs:\n- {id: a, schedule: '@daily', task: {title: t}, problem: x}\n")
    told = "unknown key (did you mean jobs[0].project?)"
    assert [str(job) for job in found.bad_jobs] == [f"config.yml:2: jobs[0].problem: {told}"]


def test_a_secret_is_never_part_of_a_message():
    assert "t0p" not in str(problems('agents: {a: {command: [x], env: {K: ["${TOKEN}"]}}}'))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
        "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
        "f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
        "a: &a\n  b: *a\n",
        "a: " + "[" * 100 + "]" * 100,
    ],
    ids=["aliases of aliases", "a loop", "deep"],
)
def test_a_file_that_explodes_is_refused(text):
    assert [p for p in problems(text) if p.endswith("nested too deep, or far too large")]


def test_merged_keys_count_where_there_are_no_own_ones():
    found = checked(
        "agents:\n  one: &one {command: [a], models: [m]}\n  two: {<<: *one, command: [b]}\n"
    )
    assert found.problems == []
    assert found.values["agents"]["two"] == {"command": ("b",), "models": ("m",)}


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"git: {name: \xff}", b"a: \x00b"])
def test_bytes_that_are_no_text_are_told(data):
    found = check_text(data, Path("config.yml"), VARIABLES.get, project=False)
    assert len(found.problems) == 1
    assert str(found.problems[0]).startswith("config.yml:1: not YAML")


@pytest.mark.parametrize(
    ("key", "typed", "value"),
    [
        ("workflow.max_attempts", "4", 4),
        ("engine.tick_interval", "0.5", 0.5),
        ("router.agents", "a, b", ["a", "b"]),
        ("router.agents", "[a, b]", ["a", "b"]),
        ("git.name", "123", "123"),
        ("agents.mine.command", "run 'a b'", ["run", "a b"]),
        ("workflow.timeout_seconds", "${LIMIT:-5}", "${LIMIT:-5}"),
        ("jobs[0].enabled", "no", False),
        ("model_map.simple.shell", "tiny", "tiny"),
    ],
)
def test_what_is_typed_becomes_what_its_key_takes(key, typed, value):
    assert convert(typed, key) == value


@pytest.mark.parametrize(
    ("key", "typed", "told"),
    [
        ("workflow.max_attempts", "x", "expected int, got str"),
        ("workflow.max_atempts", "1", "unknown key (did you mean workflow.max_attempts?)"),
        ("workflow", "1", "is a section: set the keys in it"),
        ("router.agents", "[a", "is no list: write a, b or [a, b]"),
        ("jobs[0].problem", "x", "unknown key (did you mean jobs[0].project?)"),
        ("a..b", "x", "not a key: write it as section.name"),
    ],
)
def test_what_is_typed_wrong_is_told(key, typed, told):
    with pytest.raises(ValueError) as raised:
        convert(typed, key)
    assert str(raised.value) == told
