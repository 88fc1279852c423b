"""The commands on tasks, run in this process against canned services on real sockets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orch.cli.main import run
from orch.paths import Home
from tests.process.canned_engine import Canned, attempt, session

Orch = Callable[..., Any]


@pytest.fixture
def canned(short_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    monkeypatch.setenv("ORCH_HOME", str(short_home))
    monkeypatch.setenv("USER", "ada")
    monkeypatch.chdir(short_home)
    made = Canned(Home(short_home))
    yield made
    made.close()


@pytest.fixture
def orch(capsys: pytest.CaptureFixture[str]) -> Orch:
    def call(*words: str, code: int = 0) -> Any:
        came = run(words)
        out, err = capsys.readouterr()
        assert came == code, f"{words} gave {came}: {out}{err}"
        if "--json" in words and out:
            return json.loads(out)
        return out + err

    return call


def test_an_added_task_is_answered_with_its_id_and_status(canned: Canned, orch: Orch) -> None:
    added = orch(
        *("task", "add", "Say hello", "-b", "in hello.txt", "-l", "docs", "-l", "a b", "--json"),
        *("--agent", "shell", "--complexity", "simple", "--after", "int-9", "--project", "o/r"),
    )

    assert added == {"id": "int-1", "status": "new"}
    task = canned.engine.tasks["int-1"]
    assert (task.title, task.body, task.labels) == ("Say hello", "in hello.txt", ("docs", "a b"))
    assert (task.wanted_agent, task.complexity, task.after) == ("shell", "simple", ("int-9",))
    assert (task.project, task.author) == ("o/r", "ada")


def test_the_same_key_makes_one_task(canned: Canned, orch: Orch) -> None:
    words = ("task", "add", "Once", "--key", "k1", "--project", "o/r", "--json")
    assert orch(*words) == orch(*words)
    assert len(canned.engine.tasks) == 1


@pytest.mark.parametrize(
    "title",
    [
        "🦊🦊🦊",
        "x" * 10_000,
        "two\nlines\r\nand a tab\t",
        'it\'s "quoted" `and` $(touch /tmp/never) ; rm -rf * | cat',
        "-x leads with a dash",
        "--json",
        "trailing backslash \\",
        "\x1b[31mred\x07",
    ],
)
def test_every_title_survives_as_it_was_typed(canned: Canned, orch: Orch, title: str) -> None:
    orch("--project", "o/r", "--json", "task", "add", "--", title)
    assert canned.engine.tasks["int-1"].title == title
    assert orch("task", "get", "1", "--json")["title"] == title
    assert "\x1b" not in orch("task", "list") + orch("task", "get", "int-1")


def test_the_json_of_a_task_has_the_keys_of_the_contract(canned: Canned, orch: Orch) -> None:
    canned.engine.put(key="int-1", status="routed", created_at=1714564800.1234, body="how")
    canned.engine.attempts["int-1"] = (attempt(ended_at=1714564801.5, exit_code=0),)

    found = orch("task", "get", "int-1", "--json")

    assert {
        *("id", "project", "title", "status", "agent", "model", "complexity", "branch"),
        *("worktree", "pull_request", "summary", "last_error", "blocked_reason", "waiting_for"),
        *("created_at", "updated_at", "attempts"),
    } <= set(found)
    assert found["created_at"] == "2024-05-01T12:00:00.123Z"
    assert found["waiting_for"] == "no slot is free"
    (one,) = found["attempts"]
    assert {
        *("n", "phase", "outcome", "agent", "model", "session", "folder", "started_at"),
        *("ended_at", "exit_code", "error_class", "usage"),
    } <= set(one)
    assert one["started_at"] == "2024-05-01T12:00:00.000Z"
    assert set(one["usage"]) == {
        *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "usd"),
    }


def test_a_list_is_filtered_by_what_is_asked(canned: Canned, orch: Orch) -> None:
    canned.engine.put(key="int-1", status="done")
    canned.engine.put(key="int-2", status="blocked", author="ada")
    canned.engine.put(key="int-3", project="other/one", source="cron")

    def ids(*words: str) -> list[str]:
        return [task["id"] for task in orch("task", "list", "--json", *words)]

    assert ids() == ["int-2", "int-3"]
    assert ids("--all") == ["int-1", "int-2", "int-3"]
    assert ids("--status", "done", "--status", "blocked") == ["int-1", "int-2"]
    assert ids("--mine") == ["int-2"]
    assert ids("--source", "cron") == ["int-3"]
    assert ids("--project", "octo/demo") == ["int-2"]
    assert ids("--limit", "1") == ["int-3"]
    assert "1 of 2 shown" in orch("task", "list", "--limit", "1")


def test_lists_and_trees_have_as_many_tasks_as_were_asked_for_and_say_what_was_cut(
    canned: Canned, orch: Orch
) -> None:
    for n in range(1, 1701):
        canned.engine.put(key=f"int-{n}", parent=f"int-{n - 700}" if n > 700 else "")
    every = [f"int-{n}" for n in range(1, 1701)]

    assert [one["id"] for one in orch("task", "list", "--json", "--limit", "5000")] == every
    assert [one["id"] for one in orch("task", "list", "--json", "--limit", "1200")] == every[500:]
    assert "1200 of 1700 shown; --limit shows more" in orch("task", "list", "--limit", "1200")
    assert "shown" not in orch("task", "list", "--limit", "1700")

    def depth(found: list[dict[str, Any]]) -> list[int]:
        return [1 + sum(depth(one["children"])) for one in found]

    assert sum(depth(orch("task", "tree", "--json", "--limit", "5000"))) == 1700
    assert sum(depth(orch("task", "tree", "--json"))) == 1000
    assert "1000 of 1700 shown" in orch("task", "tree")
    assert depth(orch("task", "tree", "int-1", "--json")) == [3]
    assert "2 shown, there" in orch("task", "tree", "int-1", "--limit", "2")


def test_a_circle_of_parents_is_shown_once_and_a_deep_tree_whole(
    canned: Canned, orch: Orch
) -> None:
    canned.engine.put(key="int-1", parent="int-2")
    canned.engine.put(key="int-2", parent="int-1")
    assert orch("task", "tree", "int-1").count("int-") == 2
    for n in range(3, 2003):
        canned.engine.put(key=f"int-{n}", parent=f"int-{n - 1}" if n > 3 else "")
    text = orch("task", "tree", "--limit", "2500")
    assert f"{'   ' * 1998}└─ int-2002 " in text


@pytest.mark.parametrize(
    "words, kind",
    [
        (("run", "1"), "RunTask"),
        (("run",), "RunTask"),
        (("retry", "int-1"), "RetryTask"),
        (("route", "1", "--agent", "shell"), "RouteTask"),
        (("reroute", "1", "shell"), "RerouteTask"),
        (("unblock", "all"), "UnblockTask"),
        (("unblock", "1"), "UnblockTask"),
        (("block", "1", "for a reason"), "BlockTask"),
        (("close", "#1"), "CloseTask"),
    ],
)
def test_acts_ask_the_engine_and_say_by_whom(
    canned: Canned, orch: Orch, words: tuple[str, ...], kind: str
) -> None:
    canned.engine.put(key="int-1")
    answer = orch("task", *words, "--json")
    assert set(answer) >= {"id", "status"}
    (act,) = canned.engine.acts
    assert (type(act).__name__, act.by) == (kind, "ada")
    assert getattr(act, "reason", "") == ("for a reason" if kind == "BlockTask" else "")
    assert getattr(act, "agent", "") == ("shell" if "oute" in kind else "")


def test_a_choice_is_told_with_its_reason_and_what_is_odd(canned: Canned, orch: Orch) -> None:
    canned.engine.put(key="int-1")
    told = orch("task", "reroute", "1", "shell")
    assert told == "int-1: shell (tiny, simple): a �[31mwhim\nnote: odd\n"
    document = orch("task", "route", "1", "--agent", "shell", "--json")
    assert (document["agent"], document["complexity"], document["warnings"]) == (
        "shell", "simple", ["odd"],
    )  # fmt: skip


def test_a_refused_act_is_an_error_with_a_hint(canned: Canned, orch: Orch) -> None:
    canned.engine.put(key="int-1")
    assert "error: int-1 has no running attempt\nhint: " in orch("task", "kill", "1", code=1)
    failed = orch("task", "kill", "1", "--json", code=1)
    assert failed["error"]["class"] == "Refused"
    assert set(failed["error"]) == {"class", "message", "hint"}


def test_a_missing_task_exits_4_and_nonsense_2(canned: Canned, orch: Orch) -> None:
    assert orch("task", "get", "77", "--json", code=4)["error"]["class"] == "NotFound"
    assert "is no task id" in orch("task", "get", "what", code=2)


def test_an_issue_cannot_be_made_by_this_version(canned: Canned, orch: Orch) -> None:
    said = orch("task", "add", "x", "--external", "--project", "o/r", code=1)
    assert "internal" in said
    assert not canned.engine.tasks


def test_the_project_is_that_of_the_folder(canned: Canned, orch: Orch, tmp_path: Path) -> None:
    assert "there is no project here" in orch("task", "add", "x", code=4)
    config = canned.home.root / ".orch.yml"
    config.write_text("gh:\n  repo: from/folder\n")
    orch("task", "add", "x")
    assert canned.engine.tasks["int-1"].project == "from/folder"
    orch("--project", "by/hand", "task", "add", "y")
    assert canned.engine.tasks["int-2"].project == "by/hand"
    config.write_text("gh: [\n")
    assert str(config) in orch("task", "add", "z", code=1)


def test_a_tree_shows_children_below_their_parents(canned: Canned, orch: Orch) -> None:
    for key, parent in (("int-1", ""), ("int-2", "int-1"), ("int-3", "int-2"), ("int-4", "")):
        canned.engine.put(key=key, parent=parent, title=f"title {key}")
    assert [line.split()[-1] for line in orch("task", "tree").splitlines()] == [
        *("int-1", "int-2", "int-3", "int-4"),
    ]
    assert "   └─ int-3" in orch("task", "tree", "int-1")
    (top,) = orch("task", "tree", "1", "--json")
    assert top["children"][0]["children"][0]["id"] == "int-3"


def test_status_counts_every_status_and_the_cost(canned: Canned, orch: Orch) -> None:
    canned.engine.put(key="int-1", status="blocked")
    found = orch("task", "status", "--json")
    assert found["tasks"]["blocked"] == 1
    assert set(found["tasks"]) == {
        *("new", "routed", "in_progress", "in_review", "done", "blocked", "needs_review"),
    }
    assert found["usage"]["usd"] == 0.5
    assert "$0.50" in orch("task", "status")


def test_history_tells_times_and_reasons_of_every_page(canned: Canned, orch: Orch) -> None:
    canned.engine.put(key="int-1")
    for n in range(1200):
        canned.engine.log_event("TaskChanged", "int-1", status="routed", reason=f"because {n}")
    canned.engine.log_event("TaskChanged", "int-2")
    found = orch("task", "history", "1", "--json")
    assert len(found) == 1200
    assert found[0] == {
        "kind": "event",
        "seq": 1,
        "name": "TaskChanged",
        "task": "int-1",
        "time": "2024-05-01T12:00:00.123Z",
        "status": "routed",
        "reason": "because 0",
    }
    assert "routed reason=because 1199" in orch("task", "history", "1")


def test_without_orchd_a_command_says_how_to_start_it(
    orch: Orch, short_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_HOME", str(short_home / "none"))
    assert "hint: start it with `orch up -d`" in orch("task", "list", code=3)
    assert orch("--json", "task", "list", code=3)["error"]["class"] == "NotRunning"


def test_values_of_the_canned_engine_are_those_of_the_model() -> None:
    assert msgspec.structs.asdict(attempt(n=3))["n"] == 3
    assert session(ended=True).ended
