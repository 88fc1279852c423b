"""`orch up`, `down`, `service`, `doctor` on a real orchd."""

from __future__ import annotations

import signal
import sys

import pytest

from orch.tools.process import started
from tests.support.shells import check
from tests.support.world import World


@pytest.fixture
def home(world: World) -> World:
    """A world whose orchd is started by `orch up -d`."""
    world.orch("up", "-d")
    return world


def test_up_waits_until_all_is_ready_and_says_how_long_it_took(world):
    up = world.orch("up", "-d", "--json").json
    assert {one["state"] for one in up["services"]} == {"ready"}
    assert 0 < up["seconds"] < 30
    assert world.orch("status", "--json").json["orchd"]["pid"] == up["pid"]


def test_up_tells_what_is_wrong_though_everything_runs(home):
    home.orch("service", "stop", "scheduler")
    home.orch("down")
    with home.home.config.open("a") as file:
        file.write("nonsense: 1\n")
    told = home.orch("up", "-d").err
    assert "scheduler stays stopped until" in told
    assert "nonsense: unknown key" in told
    doctor = {one["subject"]: one for one in home.orch("doctor", "--json", ok=False).json}
    assert doctor["scheduler"]["hint"] == "`orch service start scheduler`"


def test_up_where_it_runs_already_says_so_and_changes_nothing(home):
    pid = home.pid("orchd")
    again = home.orch("up", "-d")
    assert again.out == f"orch is running already (pid {pid})\n"
    assert home.orch("serve", "--json").json["already_running"] is True
    assert home.pid("orchd") == pid


def test_up_in_the_foreground_is_orchd_itself_and_ends_with_ctrl_c(world):
    process = world.follow("up")
    world.until(world.all_ready, "ready")
    assert world.pid("orchd") == process.pid
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert world.orch("ping", ok=False).code == 3


def test_up_tells_why_orchd_could_not_start(world):
    world.home.make()
    world.home.root.joinpath("run").chmod(0o777)
    failed = world.orch("up", "-d", ok=False)
    assert "open to other users" in failed.err
    world.home.root.joinpath("run").chmod(0o700)


def test_down_stops_everything_and_may_be_repeated(home):
    pid = home.pid("orchd")
    assert home.orch("down").out == f"orch is down (pid {pid} ended)\n"
    assert started(pid) is None
    assert home.orch("down").out == "orch is not running\n"


def test_a_service_is_stopped_started_and_replaced_by_name(home):
    home.orch("service", "stop", "scheduler")
    states = {one["name"]: one["state"] for one in home.orch("service", "list", "--json").json}
    assert states["scheduler"] == "disabled"
    home.orch("service", "start", "scheduler")
    before = {name: home.pid(name) for name in ("engine", "scheduler", "capture")}
    home.orch("service", "restart", "capture")
    after = {name: home.pid(name) for name in before}
    assert after["capture"] != before["capture"]
    assert {**after, "capture": 0} == {**before, "capture": 0}
    unknown = home.orch("service", "restart", "nobody", ok=False)
    assert unknown.code == 4
    assert "there are engine" in unknown.err


def test_doctor_is_content_with_a_running_orch_and_sees_what_is_wrong(home):
    found = home.orch("doctor", "--json").json
    verdicts = {one["subject"]: one["verdict"] for one in found}
    assert {verdicts[name] for name in ("git", "tmux", "orchd", "engine", "database")} == {"ok"}
    assert "fail" not in verdicts.values()

    home.home.config.write_text("nonsense: 1\n")
    bad = home.orch("doctor", ok=False)
    assert bad.code == 1
    assert "nonsense" in bad.out


def test_agents_are_listed_with_program_and_record(home):
    task = home.add("Count me", "write a.txt a")
    home.wait_for(task=task, status="done")
    rows = {one["name"]: one for one in home.orch("agents", "--json").json}
    assert rows["script"]["path"] == sys.executable
    assert (rows["script"]["runs"], rows["script"]["success_rate"]) == (1, 1.0)
    assert rows["shell"]["version"]
    assert home.orch("agents", "cooldowns").out == "no agent rests\n"


def test_the_completion_script_completes_what_lives_in_a_real_bash(world):
    check(world, "bash")
