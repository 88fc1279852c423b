"""Jobs that run commands, by the real command: their environment, output, limits and endings."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from orch.messages import EventsSince
from tests.support.job_file import detail, fire, wait_ended, write_jobs

TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cD1fG3hJ5"
COMMAND = """
pwd; env; printf 'horse is %s\\n' correct-horse-battery; echo token $GIVEN; cat marked
echo to stderr >&2; ( sleep 600 & ); exit 7
"""


def test_a_command_runs_in_its_folder_with_a_bare_environment_and_masked_output(world):
    world.env |= {"SECRET_OF_ORCHD": "do-not-pass-me-on", "ORCH_NOT_FOR_JOBS": "x"}
    config = world.home.config.read_text()
    secret = "    env: {TOKEN: correct-horse-battery}\n"
    world.home.config.write_text(config.replace("engine:\n", f"{secret}engine:\n"))
    (world.repo / "sub").mkdir()
    (world.repo / "sub" / "marked").write_text(f"{TOKEN}\nlast but one\n")
    world.up()
    write_jobs(world, {"id": "bare", "type": "bash", "command": COMMAND, "dir": "sub"})

    ran = world.orch("job", "run", "bare", "--wait", ok=False)
    assert (ran.code, ran.out) == (1, "bare: failed (exit code 7: to stderr)\n")
    said = world.orch("job", "log", "bare").out
    lines = said.splitlines()
    assert lines[0] == str(world.repo / "sub")
    assert {"ORCH_JOB=bare", "ORCH_PROJECT=octo/demo", f"ORCH_HOME={world.home.root}"} <= {*lines}
    assert "do-not-pass-me-on" not in said
    assert "ORCH_NOT_FOR_JOBS" not in said
    assert "horse is [secret]" in lines
    assert lines[-3:] == ["[github]", "last but one", "to stderr"]

    (run,) = detail(world, "bare").runs
    kept = b"".join(file.read_bytes() for file in Path(run.folder).iterdir())
    assert TOKEN.encode() not in kept
    assert (run.outcome, run.exit_code, run.manual) == ("failed", 7, True)
    (told,) = world.ask(EventsSince(names=("job_ended",))).events
    assert told.data["summary"] == "exit code 7: to stderr"
    shown = world.orch("job", "info", "bare", "--json").json
    assert shown["last_runs"][0]["outcome"] == shown["last_result"] == "failed"


def test_a_command_is_limited_in_time_and_output_and_may_be_an_argv(world):
    world.up()
    write_jobs(
        world,
        {"id": "slow", "type": "bash", "command": "echo begun; sleep 600", "timeout_seconds": 1},
        {"id": "loud", "type": "bash", "command": "seq 1 400000; echo the end"},
        {"id": "argv", "type": "bash", "command": ["printf", "%s|", "a b", "$HOME"]},
        {"id": "gone", "type": "bash", "command": "true", "dir": "no/such/folder"},
        {"id": "none", "type": "bash", "command": ["no-such-program-here"]},
    )
    runs = {name: fire(world, name).run for name in ("slow", "loud", "argv", "gone", "none")}
    ended = {name: wait_ended(world, name, run) for name, run in runs.items()}

    assert ended["slow"].outcome == "timeout"
    assert world.orch("job", "log", "slow").out == "begun\n"
    loud = world.orch("job", "log", "loud").out
    assert 1_000_000 < len(loud) < 1_200_000
    assert "bytes left out" in loud
    assert loud.endswith("399999\n400000\nthe end\n")
    assert world.orch("job", "log", "argv").out == "a b|$HOME|"
    assert ended["gone"].outcome == ended["none"].outcome == "failed"
    assert "no/such/folder" in ended["gone"].summary
    assert "no-such-program-here is not installed" in ended["none"].summary


def test_a_run_outlives_engine_and_orchd_and_is_told_once(world):
    gate, ran = world.root / "gate", world.root / "ran"
    wait = f"echo x >> {ran}; while [ ! -e {gate} ]; do sleep 0.05; done; echo over"
    world.up()
    write_jobs(
        world,
        {"id": "first", "type": "bash", "command": wait},
        {"id": "second", "type": "bash", "command": wait},
        {"id": "line", "type": "bash", "command": f"{wait}; cat {ran}", "overlap": "queue"},
    )
    first, second = fire(world, "first").run, fire(world, "second").run
    world.until(lambda: ran.exists() and ran.read_text() == "x\nx\n", "both run")
    assert fire(world, "first").outcome == "skipped"
    folder = Path(detail(world, "second").runs[0].folder)
    world.kill("engine")
    world.kill("orchd")
    world.orchd.wait()
    os.kill(json.loads((folder / "session.json").read_text())["pid"], signal.SIGKILL)
    world.up()

    lost = wait_ended(world, "second", second)
    assert lost.outcome == "lost"
    queue = [fire(world, "line") for _ in range(3)]
    assert [one.outcome for one in queue] == ["started", "queued", "queued"]
    gate.touch()
    over = wait_ended(world, "first", first)
    assert (over.outcome, over.summary) == ("done", "over")
    for number, one in enumerate(queue):
        assert wait_ended(world, "line", one.run).outcome == "done"
        said = world.orch("job", "log", "line", "--run", str(one.run)).out
        assert said == "over\n" + "x\n" * (3 + number), "one after the other"
    assert ran.read_text() == "x\n" * 5, "each ran once"
    told = world.ask(EventsSince(names=("job_ended",))).events
    assert [event.data["outcome"] for event in told] == ["lost", *["done"] * 4]
