"""The engine, or the router itself, is killed while a router is being asked."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest

from tests.support.routers import Routers, decision, held
from tests.support.world import World


def routers_alive(world: World) -> list[int]:
    """The pids of the routers that run for this world."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any("scripted_router" in word for word in words) and str(world.root) in words[-1]:
            found.append(process.pid)
    return found


@pytest.mark.timeout(300)
def test_an_engine_killed_in_mid_question_asks_again_and_never_two_at_once(world: World):
    routers = Routers(world)
    gate = world.root / "gate"
    ran = world.root / "ran"
    routers.answer(held(gate, decision("other", reason="at last")))
    world.up()
    tasks = [world.add(f"t{n}", f"count {ran}", "write x.txt x") for n in range(1)]
    for round_number in range(1, 6):
        routers.wait_asked(round_number)
        (before,) = routers_alive(world)
        world.kill("engine")
        world.until(lambda pid=before: not psutil.pid_exists(pid), "the old router is ended")
    routers.wait_asked(6)
    assert len(routers_alive(world)) == 1
    gate.touch()
    seen = world.wait_for(task=tasks[0], status="done")
    assert seen["route_reason"] == "ask: at last"
    assert len(seen["attempts"]) == 1
    assert routers.overlaps == 0
    assert len(routers.asked) == 6
    assert ran.stat().st_size == 1
    assert not list((world.home.state / "questions").glob("*"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_router_that_is_killed_is_a_failed_routing_and_nothing_more(world: World, number):
    routers = Routers(world)
    gate = world.root / "gate"
    routers.answer(held(gate, decision("other")))
    world.up()
    task = world.add("anything", "say hi")
    routers.wait_asked(1)
    (pid,) = routers_alive(world)
    routers.answer(decision("other", reason="second thoughts"))
    os.kill(pid, number)
    seen = world.wait_for(task=task, status="done")
    assert seen["route_reason"] == "ask: second thoughts"
    told = world.orch("task", "history", task, "--json").json
    (failed,) = [event for event in told if event["name"] == "route_failed"]
    assert failed["reason"].endswith(f"(1 of 3): signal {number.value}")


@pytest.mark.timeout(300)
def test_killing_the_engine_at_random_while_many_are_routed_loses_and_doubles_nothing(world: World):
    routers = Routers(world)
    ran = world.root / "ran"
    routers.answer(decision("other"), "nonsense", decision("script"))
    world.up()
    tasks = [world.add(f"t{n}", f"count {ran}", f"write f{n}.txt x") for n in range(12)]
    for round_number in range(1, 9):
        routers.wait_asked(round_number)
        before = world.kill("engine")
        world.until(
            lambda pid=before: world.pid("engine") not in (0, pid) and world.all_ready(),
            "another engine is there",
        )
    done = [world.wait_for(task=task, status="done") for task in tasks]
    assert all(len(one["attempts"]) == 1 for one in done)
    assert ran.stat().st_size == len(tasks)


@pytest.mark.timeout(300)
def test_a_command_that_waits_for_the_router_hears_of_the_next_engines_question(world: World):
    routers = Routers(world)
    gate = world.root / "gate"
    world.up()
    before = world.add("before", f"wait {gate}")
    task = world.add("waits", "say hi", more=("--after", before))
    world.until(lambda: world.task(before)["status"] == "in_progress", "the first one runs")
    routers.answer(held(gate, decision("script", reason="after all")))
    asked = len(routers.asked)
    command = world.follow("task", "route", task, "--json")
    routers.wait_asked(asked + 1)
    world.kill("engine")
    routers.wait_asked(asked + 2)
    gate.touch()
    out, err = command.communicate(timeout=60)
    assert command.returncode == 0, err
    assert json.loads(out)["agent"] == "script"
    assert routers.overlaps == 0
    assert world.wait_for(task=task, status="done")["route_reason"] == "ask: after all"
