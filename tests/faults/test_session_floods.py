"""Sessions under loads that take a while: floods, endless lines, random deaths (seeded)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.scratch_sessions import Run, Sessions, session_processes, sessions, until

HUNDRED_MB = 100_000_000


@pytest.fixture
def world() -> Iterator[Sessions]:
    with sessions() as made:
        yield made


def peak(run: Run) -> int:
    """The most memory (PSS, bytes) that the session process used until its end."""
    top = 0
    process = psutil.Process(run.pane)

    def over() -> bool:
        nonlocal top
        with contextlib.suppress(psutil.Error):
            top = max(top, process.memory_full_info().pss)
        return run.world.host.finished(run.folder) is not None

    until(over, "the end", seconds=300)
    return top


def digest(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("what", ["lines", "ten long lines", "binary"])
def test_a_hundred_megabytes_are_recorded_whole_in_bounded_memory(world, what):
    source = world.root / "source"
    with source.open("wb") as file:
        if what == "lines":
            line = b"x" * 99 + b"\n"
            file.writelines(line for _ in range(HUNDRED_MB // 100))
        elif what == "ten long lines":
            file.writelines(b"y" * (10_000_000 - 1) + b"\n" for _ in range(10))
        else:
            seed = random.Random(7)
            file.writelines(seed.randbytes(1_000_000) for _ in range(20))

    run = world.start("cat", str(source))

    assert peak(run) < 16 << 20
    assert run.ends().exit_code == 0
    assert digest(run.folder / "terminal.log") == digest(source)


@pytest.mark.timeout(300)
def test_an_agent_that_floods_for_ever_still_ends_at_its_time_limit(world):
    run = world.start("yes", "flood", timeout_seconds=3)
    assert peak(run) < 16 << 20
    assert run.ends().ended_by == "timeout"
    assert run.left == []
    assert set(run.log.splitlines()[:-1]) == {b"flood"}


def test_an_agent_that_ignores_every_signal_is_killed_with_its_children(world):
    run = world.start("sh", "-c", "trap '' INT TERM HUP; echo x; while :; do sleep 1; done")
    run.shows(b"x")
    run.ask(type="stop")
    result = run.ends()
    assert (result.ended_by, result.signal) == ("cancelled", signal.SIGKILL)
    assert run.left == []


def test_a_fork_bomb_of_daemons_is_ended_whole(world):
    script = (
        "import os, time\n"
        "for _ in range(40):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork(): os._exit(0)\n"
        "        while True: time.sleep(0.5)\n"
        "print('done')\n"
    )
    run = world.python(script)
    assert run.ends().exit_code == 0
    assert run.left == []


@pytest.mark.timeout(300)
def test_whatever_is_killed_at_whatever_moment_the_record_is_a_true_beginning(world):
    seed = int(os.environ.get("ORCH_SEED", "0")) or random.SystemRandom().randrange(1 << 31)
    print(f"ORCH_SEED={seed}")
    dice = random.Random(seed)
    expected = b"".join(b"line %d\n" % n for n in range(200_000))
    (world.root / "all").write_bytes(expected)
    for _ in range(25):
        run = world.start("sh", "-c", f"cat {world.root}/all; sleep 0.05; echo end")
        after = dice.randrange(len(expected) + 100)
        until(lambda r=run, a=after: world.host.size(r.folder) >= min(a, len(expected)), "output")
        victim = dice.choice(["agent", "session", "pane", "server"])
        strike(world, run, victim)
        until(lambda r=run: session_processes(r.folder) == [], "the session process to leave")
        result = world.host.finished(run.folder)
        world.host.sweep(run.launch.run)

        assert run.left == []
        assert (expected + b"end\n").startswith(run.log), (victim, run.log[-100:])
        assert len(run.log) >= min(after, len(expected))
        if victim != "session":
            assert result is not None, victim
            assert result.size == len(run.log)


def strike(world: Sessions, run: Run, victim: str) -> None:
    """Kill one of the processes of a session, if it still lives."""
    alive = world.host.alive()
    if run.launch.session not in alive:
        return
    if victim == "session":
        os.kill(alive[run.launch.session], signal.SIGKILL)
    elif victim == "pane":
        world.host.tmux.kill_session(run.launch.session)
    elif victim == "server":
        os.kill(int(world.host.tmux.command("display-message", "-p", "#{pid}")[0]), signal.SIGKILL)
    else:
        for pid in run.left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
