"""orchd on a disk that is full or may not be written, and logs that are written too fast."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.control_ping import ping
from orch.errors import Unavailable
from orch.messages import RestartService, StartService, StopService
from orch.supervisor import logs
from tests.support.scratch_orchd import ScratchOrchd, eventually, scratch_orchd


@pytest.fixture(params=["fork", "exec"])
def orchd(request: pytest.FixtureRequest) -> Iterator[ScratchOrchd]:
    """An orchd that is not started yet."""
    with scratch_orchd(request.param) as made:
        yield made


@pytest.fixture
def small(orchd: ScratchOrchd) -> Iterator[ScratchOrchd]:
    """The same, with a home of two MiB and toys that write nothing there."""
    assert os.geteuid() == 0, "mounting a small file system takes root"
    home = orchd.home.root
    home.mkdir(mode=0o700)
    mount("-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(home))
    try:
        for name in ("engine", "scheduler", "capture"):
            orchd.add(name, "quiet")
        yield orchd
        orchd.stop()
    finally:
        orchd.close()
        subprocess.run(["umount", "-l", home], check=True)


def mount(*arguments: str) -> None:
    """Mount a file system, or mount it in another way."""
    subprocess.run(["mount", *arguments], check=True)


def fill(home: Path) -> Path:
    """Use up every byte of the home's file system."""
    filler = home / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    assert shutil.disk_usage(home).free == 0
    return filler


def kill_each(orchd: ScratchOrchd) -> None:
    """Kill every service once and see it back."""
    for name, old in orchd.pids().items():
        os.kill(old, 9)
        orchd.wait(name, state="ready", other_than=old)


def test_on_a_full_disk_services_are_still_replaced_and_nothing_is_promised(small):
    small.limits = {"first_wait": 0.02, "longest_wait": 0.1, "crashes": 1000}
    small.start().ready()
    before = small.pids()
    filler = fill(small.home.root)
    for _ in range(20):
        kill_each(small)
    small.ask(RestartService("capture"))
    with pytest.raises(Unavailable, match=r"run/stopped cannot be written: No space left"):
        small.ask(StopService("engine"))
    assert small.see("engine").state == "ready", "a stop that would not last is not begun"
    for name in small.toys:
        assert small.see(name).restarts >= 20
        assert small.pids()[name] != before[name]
    filler.unlink()
    small.ask(StopService("engine"))
    assert small.see("engine").state == "disabled"
    small.ask(StartService("engine"))
    log = small.home.log("orchd")
    eventually(lambda: "log lines could not be written" in log.read_text(), "the loss is said")
    assert all(line.endswith("}") for line in log.read_text().splitlines()[-5:])
    kill_each(small)
    assert len(small.survivors()) == 4


def test_a_home_that_turns_read_only_stops_nothing_that_runs(small):
    small.start().ready()
    home = str(small.home.root)
    mount("--bind", home, home)
    mount("-o", "remount,bind,ro", home)
    try:
        kill_each(small)
        ping(str(small.home.control))
        with pytest.raises(Unavailable, match="Read-only file system"):
            small.ask(StopService("capture"))
    finally:
        subprocess.run(["umount", "-l", home], check=True)
    kill_each(small)
    small.process.kill()
    small.process.wait()
    small.start().ready()
    assert len(small.survivors()) == 4


def flooded(orchd: ScratchOrchd) -> tuple[int, float, float]:
    """How many lines the toy has printed, in how long, and the longest a piece of one took."""
    said = [line for line in orchd.diary("noisy") if line.startswith("flooded ")]
    if not said:
        return 0, 0.0, 0.0
    lines, seconds, slowest = said[0].split()[1:]
    return int(lines), float(seconds), float(slowest)


def test_a_service_that_prints_100_megabytes_a_second_is_neither_held_up_nor_taken_for_hung(orchd):
    total = 1_000 << 20
    orchd.add("engine").add("noisy", f"flood:{total}").start().ready("engine")
    largest = 0

    def done() -> bool:
        nonlocal largest
        sizes = [path.stat().st_size for path in orchd.home.logs.glob("noisy.out*")]
        largest = max(largest, sum(sizes))
        return flooded(orchd)[0] > 0

    eventually(done, "the flood is over", 120)
    lines, seconds, slowest = flooded(orchd)
    print(
        f"{total / seconds / 1e6:.0f} MB/s, slowest write {slowest:.3f} s, disk {largest >> 20} M"
    )
    assert lines * 8015 >= total
    assert slowest < 2.0
    assert orchd.see("noisy").restarts == 0
    assert "REOPEN" in orchd.diary("noisy")
    assert largest < total, "old logs are thrown away while new ones come"
    eventually(
        lambda: (
            sum(p.stat().st_size for p in orchd.home.logs.glob("noisy.out*"))
            < (logs.KEPT + 1) * 2 * logs.LIMIT_BYTES
        ),
        "what is kept is bounded",
    )


def test_a_line_that_is_half_written_when_its_log_is_rotated_or_deleted_goes_on_in_the_new(orchd):
    orchd.add("engine").add("noisy", f"halves:{logs.LIMIT_BYTES}").start().ready("engine")
    raw = orchd.home.raw_log("noisy")
    eventually(lambda: "REOPEN" in orchd.diary("noisy"), "it is rotated")
    old = raw.with_name("noisy.out.1").read_bytes()
    assert old.endswith(b"x\nfirst ")
    eventually(lambda: raw.exists() and raw.read_bytes() == b"second\nfirst ", "the other half")
    raw.unlink()
    eventually(lambda: orchd.diary("noisy").count("REOPEN") == 2, "it is missed")
    eventually(lambda: raw.exists() and raw.read_bytes() == b"second\nfirst ", "a new one")
    assert orchd.see("noisy").restarts == 0
