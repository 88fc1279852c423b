"""Services that stop without dying, in a whole orch under work: replaced, and nobody notices."""

from __future__ import annotations

import json
import signal

import pytest

from tests.support.world import World


@pytest.mark.parametrize("name", ["engine", "capture", "scheduler"])
def test_a_stopped_service_is_replaced_and_work_goes_on(world: World, name: str):
    world.up()
    others = {n: world.pid(n) for n in ("engine", "capture", "scheduler") if n != name}
    running = world.add("Before", "slow 100 30", "write a.txt a")
    world.wait_for(task=running, status="in_progress")
    stopped = world.kill(name, signal.SIGSTOP)
    world.until(lambda: world.all_ready() and world.pid(name) != stopped, f"a new {name}")
    assert {n: world.pid(n) for n in others} == others
    done = world.wait_for(task=running, status="done")
    assert len(done["attempts"]) == 1
    assert len(world.log_of(running).read_bytes().splitlines()) == 100
    after = world.add("After", "write b.txt b")
    world.wait_for(task=after, status="done")


def test_a_stream_goes_on_over_the_death_of_everything_but_the_session(world: World):
    world.up()
    task = world.add("Long", "slow 120 40", "write a.txt a")
    world.wait_for(task=task, status="in_progress")
    stream = world.follow("task", "stream", task, "--from-start")
    for name in ("capture", "engine", "orchd", "scheduler", "capture"):
        if name == "orchd":
            world.orchd.kill()
            world.orchd.wait()
            world.up()
        else:
            world.kill(name)
            world.until(world.all_ready, "every service ready")
    world.wait_for(task=task, status="done")
    heard, _ = stream.communicate(timeout=30)
    assert stream.returncode == 0
    assert heard.encode() == world.log_of(task).read_bytes()


def test_a_service_that_crashes_at_its_start_disturbs_nobody(world: World):
    services = [
        {"name": "engine", "module": "services.engine", "sockets": ["req", "pub", "nudge"]},
        {"name": "scheduler", "module": "services.no_such_module"},
        {"name": "capture", "module": "services.capture", "sockets": ["req", "pub", "nudge"]},
    ]
    (world.root / "roster.json").write_text(json.dumps({"services": services}))
    world.env["ORCH_ROSTER"] = str(world.root / "roster.json")
    world.start()
    world.until(lambda: world.orch("status", ok=None).code == 0, "orchd answers")
    task = world.add("Work", "say hi", "write a.txt a")
    world.wait_for(task=task, status="done")
    shown = {one["name"]: one for one in world.orch("status", "--json").json["services"]}
    assert shown["scheduler"]["state"] in {"backoff", "failing", "starting"}
    assert "no_such_module" in shown["scheduler"]["last_error"]
    assert shown["engine"]["restarts"] == shown["capture"]["restarts"] == 0
