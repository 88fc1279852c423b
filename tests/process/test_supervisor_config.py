"""What orchd does when the config, the roster or a log file changes under it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from orch.errors import Refused
from orch.messages import ReloadConfig, StopService
from orch.supervisor import logs
from tests.support.scratch_orchd import ScratchOrchd, eventually, scratch_orchd


@pytest.fixture
def orchd() -> Iterator[ScratchOrchd]:
    """A running orchd with three toys, each with a config key of its own."""
    with scratch_orchd("fork") as made:
        made.add("engine", keys=["toys.engine"]).add("scheduler", keys=["toys.scheduler.tone"])
        made.add("capture").home.make()
        write(made, "toys: {engine: 1, scheduler: {tone: high}}\nunread: 1\n")
        made.start().ready()
        yield made


def write(orchd: ScratchOrchd, text: str) -> None:
    """Write the config as editors do, by rename."""
    new = orchd.home.root / "config.new"
    new.write_text(text)
    new.replace(orchd.home.config)


def changed(orchd: ScratchOrchd, before: dict[str, int]) -> set[str]:
    """The services whose process is another one now."""
    now = orchd.pids()
    return {name for name in before | now if before.get(name) != now.get(name)}


def test_exactly_the_services_whose_settings_changed_restart(orchd):
    before = orchd.pids()
    write(orchd, "toys: {engine: 1, scheduler: {tone: low}}\nunread: 2\n")
    orchd.wait("scheduler", state="ready", other_than=before["scheduler"])
    assert changed(orchd, before) == {"scheduler"}
    assert "stopped" in orchd.diary("scheduler")


def test_a_stopped_service_is_not_started_by_a_change(orchd):
    orchd.ask(StopService("scheduler"))
    write(orchd, "toys: {engine: 2, scheduler: {tone: low}}\n")
    orchd.ask(ReloadConfig())
    orchd.ready("engine")
    assert orchd.see("scheduler").state == "disabled"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("toys: {engine: 2\nother: [", "config.yml:2:"),
        ("- a list\n", "config.yml:1: expected keys"),
        ("toys: \x07\n", "config.yml:1:"),
    ],
)
def test_a_config_that_cannot_be_read_changes_nothing_and_is_told(orchd, text, where):
    before = orchd.pids()
    write(orchd, text)
    with pytest.raises(Refused, match=where):
        orchd.ask(ReloadConfig())
    assert any(where in problem for problem in orchd.roster_now().problems)
    write(orchd, "toys: {engine: 2, scheduler: {tone: high}}\n")
    orchd.ask(ReloadConfig())
    orchd.wait("engine", state="ready", other_than=before["engine"])
    assert orchd.roster_now().problems == ()
    assert changed(orchd, before) == {"engine"}


def test_services_come_and_go_with_the_roster(orchd):
    before = orchd.pids()
    del orchd.toys["capture"]
    orchd.add("webhook").write_roster()
    orchd.wait("webhook", state="ready") if orchd.ask(ReloadConfig()) else None
    eventually(lambda: "capture" not in orchd.pids(), "capture is gone")
    assert changed(orchd, before) == {"capture", "webhook"}
    assert not orchd.home.socket("capture", "req").exists()
    orchd.add("webhook", sockets=["req", "nudge"]).write_roster()
    eventually(lambda: orchd.home.socket("webhook", "nudge").exists(), "its new socket")
    orchd.wait("webhook", state="ready")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(orchd.home.socket("webhook", "req")))


def test_an_orchd_that_starts_with_a_broken_config_runs_and_says_so(orchd):
    orchd.stop()
    write(orchd, "toys: [")
    orchd.start().ready()
    assert any("config.yml:" in problem for problem in orchd.roster_now().problems)


def test_a_large_or_lost_log_is_opened_anew(orchd):
    raw = orchd.home.raw_log("capture")
    with raw.open("ab") as file:
        file.truncate(logs.LIMIT_BYTES + 1)
    eventually(lambda: "REOPEN" in orchd.diary("capture"), "it is told to open anew")
    assert raw.with_name("capture.out.1").stat().st_size == logs.LIMIT_BYTES + 1
    assert "REOPEN" not in orchd.diary("scheduler")


def test_only_so_many_old_logs_are_kept(tmp_path):
    path = tmp_path / "x.log"
    for number in range(6):
        path.write_text(f"{number}" * 20)
        assert logs.rotate(path, limit=10)
        assert not logs.rotate(path, limit=10)
    kept = {file.name: file.read_text()[0] for file in tmp_path.iterdir()}
    assert kept == {"x.log.1": "5", "x.log.2": "4", "x.log.3": "3"}
    logs.bound(path, limit=10)
    assert (tmp_path / "x.log.1").stat().st_size == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [("", ""), ("one\n", "one"), ("one\n\n  two \n\n", "two"), ("x" * 9999, "x" * 300)],
)
def test_the_last_line_of_a_log_tells_why(tmp_path, text, line):
    (tmp_path / "x.out").write_text(text)
    assert logs.last_line(tmp_path / "x.out") == line
