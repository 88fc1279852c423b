"""Everything is replaced while four agents work: all are adopted, nothing is lost or run again.

The follower reads from the beginning (`--since 0`): it may be up later than the first agent prints.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from orch import control
from orch.messages import GetRoster, Roster
from tests.faults.test_storm import heard
from tests.support.world import ROOT, World

AGENTS = 4


def roster(world: World) -> Roster:
    """What runs, however long orchd takes to say so."""
    return control.ask(world.home, GetRoster())


def pids(world: World) -> dict[str, int]:
    """The pids of orchd and its services."""
    seen = roster(world)
    return {"orchd": seen.pid, **{one.name: one.pid for one in seen.services}}


def sessions(world: World) -> dict[str, tuple[int, float]]:
    """Each session with its session process: pid and start time."""
    found = {}
    for one in world.orch("task", "live", "--json").json:
        process = psutil.Process(
            json.loads((folder(world, one) / "session.json").read_text())["pid"]
        )
        found[one["session"]] = (process.pid, process.create_time())
    return found


def folder(world: World, session: dict[str, str]) -> Path:
    """The folder of a session's attempt."""
    return world.log_of(session["task"]).parent


def agents_at_work(world: World) -> list[str]:
    """Four tasks whose agents print all the time, until `gate` is there."""
    gate, ran = world.root / "gate", world.root / "ran"
    does = ("count " + str(ran), "slow 60 30", f"wait {gate}", "lines 20")
    tasks = [world.add(f"Agent {n}", *does, f"write {n}.txt {n}") for n in range(AGENTS)]
    world.until(lambda: all(world.output_of(one) for one in tasks), "all four print")
    return tasks


def end_well(world: World, tasks: list[str], printed: Path) -> None:
    """Let the agents end: all are done by their first attempts, and `orch tail` missed nothing."""
    (world.root / "gate").touch()
    logs = {}
    for task in tasks:
        [attempt] = world.wait_for(task=task, status="done")["attempts"]
        assert (attempt["n"], attempt["outcome"]) == (1, "done")
        logs[attempt["session"]] = (Path(attempt["folder"]) / "terminal.log").read_bytes()
    assert (world.root / "ran").stat().st_size == AGENTS, "an agent ran twice"

    def all_heard() -> bool:
        text = printed.read_text()
        return heard(text[: text.rfind("\n") + 1].splitlines()) == logs

    world.until(all_heard, "tail printed every log, byte for byte")


def test_a_restart_of_all_replaces_each_process_and_keeps_four_agents(world: World):
    world.up()
    printed = world.root / "tail.jsonl"
    with printed.open("w") as said:
        world.follow("tail", "--json", "--since", "0", into=said)
        tasks = agents_at_work(world)
        before, at_work = pids(world), sessions(world)
        assert len(at_work) == AGENTS

        world.orch("service", "restart")

        after = pids(world)
        assert after.pop("orchd") == before.pop("orchd")
        assert not set(after.values()) & set(before.values())
        assert sessions(world) == at_work
        assert order_of_replacement(world)[-1] == "engine"
        end_well(world, tasks, printed)


def order_of_replacement(world: World) -> list[str]:
    """The services in the order in which they became ready the second time."""
    lines = [json.loads(line) for line in world.home.log("orchd").read_text().splitlines()]
    ready = [one["about_service"] for one in lines if one["message"] == "service_ready"]
    return ready[len(set(ready)) :]


def test_an_upgrade_to_a_newer_version_keeps_four_agents(world: World):
    old, new = versions(world)
    world.env["PYTHONPATH"] = str(old)
    world.up()
    printed = world.root / "tail.jsonl"
    with printed.open("w") as said:
        world.follow("tail", "--json", "--since", "0", into=said)
        tasks = agents_at_work(world)
        before, at_work = pids(world), sessions(world)
        assert roster(world).version == "0.1.0"

        shutil.rmtree(old)  # what an installation does: the new files are where the old ones were
        new.rename(old)
        world.orch("service", "upgrade")

        after = pids(world)
        assert roster(world).version == "0.1.1"
        assert after.pop("orchd") == before.pop("orchd")
        assert not set(after.values()) & set(before.values())
        assert sessions(world) == at_work
        world.env["PYTHONPATH"] = str(old)
        assert world.orch("version").out == "orch 0.1.1\n"
        end_well(world, tasks, printed)


def versions(world: World) -> tuple[Path, Path]:
    """Two installations: the present version, and a newer one."""
    made = []
    for name, version in (("old", "0.1.0"), ("new", "0.1.1")):
        place = world.root / name
        place.mkdir()
        for part in ("orch", "services", "prompts", "contrib"):
            shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("*.pyc"))
        init = place / "orch" / "__init__.py"
        init.write_text(init.read_text().replace("0.1.0", version))
        made.append(place)
    environment = {**world.env, "PYTHONPATH": str(made[1])}
    command = [sys.executable, "-m", "orch", "version"]
    told = subprocess.check_output(command, env=environment, cwd="/", text=True)
    assert told == "orch 0.1.1\n"
    return made[0], made[1]
