"""The main job, by the real command: from `orch task add` to a commit, watched live."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from orch.messages import AddTask


def texts(lines: list[dict[str, Any]]) -> dict[str, str]:
    """The output lines of a JSON stream, joined per session; no gap, no repeat."""
    joined: dict[str, str] = {}
    for line in lines:
        if line["kind"] == "output":
            before = joined.setdefault(line["session"], "")
            assert line["offset"] == len(before.encode()), f"gap or repeat at {line}"
            joined[line["session"]] = before + line["text"]
    return joined


def read_line(process: subprocess.Popen[str]) -> str:
    """The next line that a command prints; fails when it prints no more."""
    line = process.stdout.readline()
    assert line, process.communicate(timeout=10)
    return line


def test_a_task_becomes_a_commit_and_is_watched_while_it_works(world):
    gate = world.root / "gate"
    world.up()
    task = world.add(
        "Say hello",
        "say beginning",
        "write hello.txt hello there",
        f"wait {gate}",
        "say finished",
    )
    stream = world.follow("task", "stream", task)

    seen = ""
    while "beginning" not in seen:
        seen += read_line(stream)
    assert "finished" not in seen
    gate.touch()
    rest, errors = stream.communicate(timeout=30)

    assert stream.returncode == 0, errors
    assert "finished" in rest
    done = world.wait_for(task=task, status="done")
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["done"]
    assert done["branch"] == "orch/int-1-say-hello"
    assert world.git("show", f"{done['branch']}:hello.txt") == "hello there\n"
    assert "+hello there" in world.orch("task", "diff", task).out
    assert world.git("status", "--porcelain") == "", "the person's own checkout is untouched"
    assert world.git("branch", "--show-current") == "main\n"


def test_twenty_tasks_at_once_run_four_at_a_time_and_tail_shows_every_byte(world):
    world.up()
    tail = world.follow("tail", "--json", "--since", "0")
    tasks = []
    for n in range(20):
        body = f"do: say start {n} äöü 🙂\ndo: lines 40\ndo: write f{n}.txt {n}"
        tasks.append(world.ask(AddTask(f"Task {n}", project="octo/demo", body=body)).id)

    world.wait_all_done(20)

    details = [world.task(task) for task in tasks]
    attempts = [attempt for detail in details for attempt in detail["attempts"]]
    assert len(attempts) == 20, "each exactly one attempt"
    assert len({attempt["session"] for attempt in attempts}) == 20
    assert len({detail["branch"] for detail in details}) == 20
    for n, detail in enumerate(details):
        files = world.git("diff", "--name-only", f"main...{detail['branch']}").split()
        assert files == [f"f{n}.txt"], "its own branch holds its own commit"
    assert most_at_once(attempts) <= 4
    logs = {
        attempt["session"]: (Path(attempt["folder"]) / "terminal.log").read_bytes().decode()
        for attempt in attempts
    }
    lines: list[dict[str, Any]] = []
    while texts(lines) != logs:
        lines.append(json.loads(read_line(tail)))
    names = {line["name"] for line in lines if line["kind"] == "event"}
    assert len(names) > 2, names


def most_at_once(attempts: list[dict[str, Any]]) -> int:
    """The largest number of attempts that were open at one moment."""
    moments = [(one["started_at"], 1) for one in attempts]
    moments += [(one["ended_at"], -1) for one in attempts]
    now = most = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


def test_the_engine_may_die_while_a_task_works(world):
    gate = world.root / "gate"
    world.up()
    task = world.add("Live on", "say one", f"wait {gate}", "write a.txt a", "say two")
    world.wait_for(task=task, status="in_progress")
    stream = world.follow("task", "stream", task, "--from-start", "--json")

    killed = world.kill("engine")
    world.until(lambda: world.pid("engine") not in {0, killed}, "another engine")
    gate.touch()
    done = world.wait_for(task=task, status="done")

    assert len(done["attempts"]) == 1
    out, _ = stream.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]
    assert texts(lines) == {done["attempts"][0]["session"]: world.log_of(task).read_text()}


def test_orchd_may_stop_and_start_while_a_task_works(world):
    gate = world.root / "gate"
    world.up()
    task = world.add("Outlive", "say one", f"wait {gate}", "write a.txt a")
    world.wait_for(task=task, status="in_progress")
    session = world.task(task)["attempts"][0]["session"]

    assert world.orch("down").code == 0
    assert world.orch("task", "get", task, ok=False).code == 3
    gate.touch()
    world.up()

    done = world.wait_for(task=task, status="done")
    assert [attempt["session"] for attempt in done["attempts"]] == [session]


def test_what_the_agent_answers_decides(world):
    answers = {
        "done": ["write a.txt a", 'answer {"status": "done", "summary": "all good"}'],
        "blocked": ['answer {"status": "blocked", "reason": "no key"}'],
        "needs_review": ['answer {"status": "needs_review", "reason": "look"}'],
        "done without an answer": ["say nothing else"],
    }
    world.up()
    tasks = {ends: world.add("Answer", *does) for ends, does in answers.items()}
    for ends, task in tasks.items():
        status = ends.split()[0]
        got = world.wait_for(task=task, status=status)
        assert [attempt["outcome"] for attempt in got["attempts"]] == [status]
    assert "no key" in world.task(tasks["blocked"])["blocked_reason"]
    assert world.task(tasks["done"])["summary"] == "all good"


def test_a_failure_is_retried_with_its_branch_and_then_succeeds(world):
    world.up()
    task = world.add("Again", "write first.txt 1", "first exit 3", "write second.txt 2")
    done = world.wait_for(task=task, status="done")
    first, second = done["attempts"]
    assert (first["error_class"], first["exit_code"]) == ("agent_failed", 3)
    assert second["outcome"] == "done"
    files = world.git("diff", "--name-only", f"main...{done['branch']}").split()
    assert files == ["first.txt", "second.txt"]
