"""What is left when the work is done: sessions that outlive services, garbage, recorded runs."""

from __future__ import annotations

from pathlib import Path

from tests.support.world import survivors


def test_restarting_every_service_leaves_a_working_agent_alone(world):
    gate = world.root / "gate"
    world.up("--spawn=exec")
    task = world.add("Work on", "say one", f"wait {gate}", "write a.txt a")
    world.until(lambda: world.output_of(task).startswith(b"one"), "output")
    before = {name: world.pid(name) for name in ("orchd", "engine", "scheduler", "capture")}

    world.orch("service", "restart")

    after = {name: world.pid(name) for name in before}
    assert after["orchd"] == before["orchd"]
    assert all(after[name] != before[name] for name in before if name != "orchd")
    gate.touch()
    done = world.wait_for(task=task, status="done")
    assert len(done["attempts"]) == 1


def test_down_with_kill_sessions_ends_agents_and_the_task_runs_again_later(world):
    gate = world.root / "gate"
    world.up()
    task = world.add("Cut off", "say one", f"wait {gate}", "write a.txt a")
    world.until(lambda: world.output_of(task).startswith(b"one"), "output")

    told = world.orch("down", "--kill-sessions").out

    assert "processes of its sessions ended" in told
    world.until(lambda: survivors(world.root) == [], "nothing left")
    gate.touch()
    world.up()
    done = world.wait_for(task=task, status="done")
    assert len(done["attempts"]) == 2
    assert done["attempts"][0]["outcome"] != "done"


def test_gc_removes_what_nothing_needs_and_keeps_what_is_not_merged(world):
    world.up()
    changed = world.add("Changed", "write a.txt a")
    unchanged = world.add("Unchanged", "say nothing")
    branch = world.wait_for(task=changed, status="done")["branch"]
    world.wait_for(task=unchanged, status="done")

    dry = world.orch("gc", "--dry-run", "--json").json
    assert all({"kind", "name", "verdict"} == set(item) for item in dry)
    assert not any(item["verdict"] == "removed" for item in dry)
    assert world.orch("gc").code == 0

    branches = world.git("branch", "--format=%(refname:short)").split()
    assert branch in branches, "its commit is nowhere else"
    assert len(branches) == 2, "the branch of a task that changed nothing is gone"
    assert world.git("show", f"{branch}:a.txt") == "a\n"


def test_a_recorded_run_is_judged_as_the_engine_judged_it(world):
    world.up()
    task = world.add("Judge", "say x", 'answer {"status": "blocked", "reason": "no key"}')
    attempt = world.wait_for(task=task, status="blocked")["attempts"][0]
    world.down()

    verdict = world.orch("parse", "--agent", "script", attempt["folder"], "--json").json

    assert verdict["answer"]["reason"] == "no key"
    printed = Path(attempt["folder"]) / "terminal.log"
    failed = world.orch("parse", "--exit", "7", str(printed), "--json").json
    assert (failed["ok"], failed["class"]) == (False, "agent_failed")
    piped = world.orch("parse", "-", "--json", text='ok\n{"status": "done", "summary": "s"}\n').json
    assert (piped["ok"], piped["answer"]["summary"]) == (True, "s")
