"""`orch task next`: the first of the queue runs, and is named."""

from __future__ import annotations


def test_what_is_next_is_run_and_named(world) -> None:
    gate = world.root / "gate"
    world.configure(max_parallel=1)
    world.up()
    assert world.orch("task", "next", ok=False).code == 4
    busy = world.add("Keep the slot", f"wait {gate}")
    world.wait_for(task=busy, status="in_progress")
    held = world.add("Held back", "say held", more=("--after", busy))
    plain = world.add("Plain", "say plain")
    first = world.add("First", "say first", more=("-l", "priority:high"))

    assert world.orch("task", "next").out == f"{first} runs as soon as a slot is free: First\n"
    urgent = world.add("Urgent", "say urgent", more=("-l", "priority:urgent"))
    assert world.orch("task", "next", "--json").json["id"] == first, "it stays the next"
    gate.touch()
    done = {key: world.wait_for(task=key, status="done") for key in (first, urgent, plain, held)}
    begun = [done[key]["attempts"][0]["started_at"] for key in (first, urgent, plain)]
    assert begun == sorted(begun)
    ran = world.orch("task", "next", "--project", "no/such", ok=False)
    assert "is not registered" in ran.err
