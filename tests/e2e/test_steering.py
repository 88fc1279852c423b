"""Steering by the real command: block, retry, kill, close, order, input, screens."""

from __future__ import annotations

from orch.messages import AddTask


def test_block_and_unblock_retry_close(world):
    gate = world.root / "gate"
    world.configure(max_parallel=1)
    world.up()
    busy = world.add("Busy", f"wait {gate}")
    held = world.add("Held", "write held.txt x")
    world.orch("task", "block", held, "wait for Ada")
    assert world.task(held)["blocked_reason"] == "wait for Ada"
    gate.touch()
    world.wait_for(task=busy, status="done")

    assert world.task(held)["status"] == "blocked", "a free slot does not run what is held"
    world.orch("task", "unblock", held)
    done = world.wait_for(task=held, status="done")
    assert len(done["attempts"]) == 1

    world.orch("task", "retry", held)
    world.until(lambda: len(world.task(held)["attempts"]) == 2, "a second attempt")
    world.wait_for(task=held, status="done")

    idle = world.add("Never needed", "say no", more=["--after", world.add("x", f"wait {gate}x")])
    world.orch("task", "close", idle)
    assert world.task(idle)["status"] == "done"
    assert world.task(idle)["attempts"] == []


def test_kill_ends_the_agent_and_everything_it_started(world):
    world.up()
    task = world.add("Stuck", "say here", f"wait {world.root}/never", "write a.txt a")
    world.wait_for(task=task, status="in_progress")
    world.until(lambda: world.output_of(task).startswith(b"here"), "output")

    world.orch("task", "kill", task)

    got = world.wait_for(task=task, status="blocked")
    assert [attempt["error_class"] for attempt in got["attempts"]] == ["cancelled"]
    assert world.orch("task", "live", "--json").json == []
    world.orch("task", "close", task)
    assert world.task(task)["status"] == "done"


def test_dependencies_and_parents_hold_back(world):
    gate = world.root / "gate"
    world.up()
    first = world.add("First", f"wait {gate}", "write a.txt a")
    second = world.add("Second", "write b.txt b", more=["--after", first])
    child = world.add("Child", "say child", more=["--parent", first])

    waits = world.task(second)
    assert waits["status"] in {"new", "routed"}
    assert first in waits["waiting_for"]
    assert first in world.orch("task", "tree").out
    gate.touch()
    for task in (first, second, child):
        world.wait_for(task=task, status="done")
    ended = world.task(first)["attempts"][0]["ended_at"]
    assert world.task(second)["attempts"][0]["started_at"] >= ended


def test_tasks_4_and_42_alive_together_are_never_taken_for_each_other(world):
    gate = world.root / "gate"
    world.up()
    for n in range(1, 43):
        body = f"do: say I am {n}\ndo: read" if n in {4, 42} else f"do: wait {gate}"
        after = () if n in {1, 4, 42} else ("int-1",)
        world.ask(AddTask(f"Task {n}", project="octo/demo", body=body, after=after))
    for task in ("4", "42"):
        world.wait_for(task=task, status="in_progress")
        world.until(
            lambda task=task: "listening" in world.orch("task", "screen", task).out, "listening"
        )

    world.orch("task", "send", "4", "to four")
    world.until(lambda: "heard to four" in world.orch("task", "screen", "4").out, "the echo")
    assert "I am 42" not in world.orch("task", "screen", "4").out
    assert "four" not in world.orch("task", "screen", "42").out

    world.orch("task", "kill", "4")
    world.wait_for(task="4", status="blocked")
    world.orch("task", "send", "42", "still there?")
    world.until(lambda: "heard still there?" in world.orch("task", "screen", "42").out, "the echo")
    world.orch("task", "send", "42", "stop")
    world.wait_for(task="42", status="done")


def test_sidecar_pairs_stay_with_the_task(world):
    world.up()
    task = world.add("Pairs", "say x", more=["--after", world.add("y", f"wait {world.root}/no")])
    world.orch("sidecar", "set", task, "ticket=ABC-7", "note=a=b")
    assert world.orch("sidecar", "get", task, "ticket").out == "ABC-7\n"
    world.orch("sidecar", "set", task, "ticket=")
    assert world.orch("sidecar", "get", task, "--json").json == {"note": "a=b"}
    assert world.orch("sidecar", "get", task, "ticket", ok=False).code == 4
