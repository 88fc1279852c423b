"""Histories of a supervised service, told under a clock of our own."""

from __future__ import annotations

from itertools import pairwise

import pytest

from orch.core.supervised import (
    Answer,
    Ask,
    Exited,
    Extend,
    Heartbeat,
    Kill,
    Ready,
    Remove,
    Restart,
    Start,
    State,
    Stop,
    Tick,
)
from orch.core.supervision import pause, shift
from tests.support.supervision_story import Story


def names(done: list[object]) -> list[str]:
    """The kinds of what was done."""
    return [type(one).__name__ for one in done]


def test_a_start_is_answered_when_the_service_is_ready():
    story = Story()
    assert names(story.tell(Start(7))) == ["Launch"]
    assert story.answers() == {}
    story.tell(Ready())
    assert story.answers() == {7: ""}
    assert story.tell(Start(8)) == [Answer(8)]


@pytest.mark.parametrize(
    ("falls", "early", "waits"),
    [
        (1, False, 0.0),
        (2, False, 0.2),
        (3, False, 0.4),
        (9, False, 25.6),
        (10, False, 30.0),
        (500, False, 30.0),
        (1, True, 0.2),
        (2, True, 0.4),
        (9, True, 30.0),
    ],
)
def test_each_fall_waits_longer_up_to_half_a_minute(falls, early, waits):
    assert pause(falls, early=early, jitter=1.0) == pytest.approx(waits)
    assert pause(falls, early=early, jitter=0.0) == pytest.approx(0.8 * waits)


def test_a_crash_of_a_ready_service_is_repaired_at_once():
    story = Story().ready()
    done = story.tell(Exited("killed by SIGKILL"))
    assert names(done) == ["Report", "Launch"]
    assert story.service.state is State.STARTING
    assert story.service.last_error == "killed by SIGKILL"


def test_a_crash_before_ready_is_not_repaired_at_once():
    story = Story()
    story.tell(Start())
    story.tell(Exited("exit status 1"))
    assert story.service.state is State.BACKOFF
    assert story.heard("service_crashed")[0].data["before_ready"] is True
    assert names(story.wait(0.25)) == ["Launch"]


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("ready_first", [True, False])
def test_a_crash_loop_starts_at_most_twelve_times_in_a_minute_then_once_a_minute(
    jitter, ready_first
):
    story = Story()
    story.tell(Start(), jitter)
    began = story.now
    while story.now < began + 600:
        if story.service.state is State.STARTING:
            if ready_first:
                story.tell(Ready(), jitter)
            story.tell(Exited("exit status 1"), jitter)
        story.wait(0.05)
    first = [at for at in story.launches if at < began + 60]
    later = [at for at in story.launches if at > began + 150]
    assert 5 < len(first) <= 12
    assert all(b - a == pytest.approx(60, abs=0.2) for a, b in pairwise(later))
    assert len(later) >= 7
    assert len(story.heard("service_failing")) == 1
    assert story.service.state is State.FAILING


def test_a_failing_service_that_stays_healthy_is_forgiven_and_may_fail_anew():
    story = Story(crashes=2).ready()
    for _ in range(3):
        story.tell(Exited("exit status 1"))
        story.wait(1)
        story.tell(Ready())
    assert story.service.state is State.FAILING
    story.wait(61)
    story.tell(Ready())
    assert story.service.failing
    story.live(61)
    assert not story.service.failing
    assert len(story.heard("service_recovered")) == 1
    assert names(story.tell(Exited("exit status 1"))) == ["Report", "Launch"]


def test_falls_out_of_the_window_are_forgotten():
    story = Story().ready()
    for _ in range(20):
        story.live(59)
        story.now += 1
        story.tell(Exited("exit status 1"))
        story.wait(5)
        story.tell(Ready())
    assert not story.heard("service_failing")
    assert len(story.service.crashes) <= 6


def test_falls_before_and_after_ready_are_counted_apart():
    story = Story(crashes=3).ready()
    for _ in range(3):
        story.tell(Exited("exit status 1"))
        story.wait(3)
        story.tell(Exited("exit status 2"))
        story.wait(3)
        story.tell(Ready())
    assert (len(story.service.crashes), len(story.service.misstarts)) == (3, 3)
    assert not story.heard("service_failing")


def test_silence_is_answered_with_abort_then_kill_then_a_new_process():
    story = Story().ready()
    assert story.wait(4.9) == []
    assert names(story.wait(0.2)) == ["Abort", "Report"]
    assert names(story.wait(1.8)) == []
    assert names(story.wait(0.2)) == ["Kill"]
    assert names(story.tell(Exited("killed by SIGKILL"))) == ["Report", "Launch"]
    assert story.heard("service_hung")[0].data["reason"] == "sends no heartbeat"
    assert "hung" in story.service.last_error


def test_a_process_that_survives_kill_is_killed_again_until_it_is_gone():
    story = Story().ready()
    story.wait(5.1)
    kills = [one for one in story.wait(20) if isinstance(one, Kill)]
    assert len(kills) >= 3


def test_a_service_that_never_becomes_ready_is_ended_and_counted_as_a_failed_start():
    story = Story()
    story.tell(Start(5))
    assert story.wait(29.9) == []
    assert names(story.wait(0.2)) == ["Abort", "Answer", "Report"]
    assert story.answers() == {5: "engine does not become ready"}
    story.tell(Exited("killed by SIGABRT"))
    assert len(story.service.misstarts) == 1


def test_extend_buys_time_up_to_ten_minutes_and_a_heartbeat_ends_it():
    story = Story().ready()
    story.tell(Extend(60))
    assert story.wait(59) == []
    story.tell(Heartbeat())
    assert names(story.wait(5.1)) == ["Abort", "Report"]
    other = Story().ready()
    other.tell(Extend(1e9))
    assert other.service.deadline == other.now + 600


def test_a_slow_start_may_extend_its_deadline():
    story = Story()
    story.tell(Start())
    story.now += 29
    story.tell(Extend(100))
    assert story.wait(99, every=1) == []


@pytest.mark.parametrize("late", [1.0, 30.0, 8 * 3600.0])
def test_when_orchd_itself_was_late_nobody_is_blamed(late):
    story = Story().ready()
    story.now += late
    story.service = shift(story.service, late)
    assert story.tell(Tick()) == []
    assert names(story.wait(5.1)) == ["Abort", "Report"]


def test_a_stop_asks_then_terminates_then_kills():
    story = Story().ready()
    assert story.tell(Stop(3)) == [Ask()]
    assert names(story.wait(2.9)) == []
    assert names(story.wait(0.2)) == ["Terminate"]
    assert names(story.wait(9.8)) == []
    assert names(story.wait(0.2)) == ["Kill"]
    assert story.answers() == {}
    story.tell(Exited("killed by SIGKILL"))
    assert story.answers() == {3: ""}
    assert story.service.state is State.DISABLED
    assert story.wait(1000, every=10) == []


def test_a_stop_cancels_a_start():
    story = Story()
    story.tell(Start(1))
    assert names(story.tell(Stop(2))) == ["Answer", "Ask", "Terminate"]
    story.tell(Ready())
    story.tell(Exited("killed by SIGTERM"))
    assert story.service.state is State.DISABLED
    assert story.answers() == {1: "engine was stopped before it was ready", 2: ""}


def test_a_start_during_a_stop_waits_for_the_old_process_to_go():
    story = Story().ready()
    story.tell(Stop(1))
    assert story.tell(Start(2)) == []
    assert names(story.tell(Exited("exit status 0"))) == ["Answer", "Report", "Launch"]
    story.tell(Ready())
    assert story.answers() == {1: "", 2: ""}
    assert not story.service.crashes


def test_a_restart_is_not_a_crash_and_many_at_once_share_one_new_process():
    story = Story().ready()
    for asker in range(1, 51):
        story.tell(Restart(asker))
    story.tell(Exited("exit status 0"))
    story.tell(Ready())
    assert story.answers() == dict.fromkeys(range(1, 51), "")
    assert len(story.launches) == 2
    assert story.service.crashes == ()


def test_a_restart_of_a_hung_service_does_not_wait_out_its_crashes():
    story = Story().ready()
    story.wait(5.1)
    story.tell(Restart(4))
    assert names(story.tell(Exited("killed by SIGABRT"))) == ["Report", "Launch"]


def test_starting_a_failing_service_tries_now_and_tells_why_not():
    story = Story(crashes=0)
    story.tell(Start())
    story.tell(Exited("exit status 3"))
    assert story.service.state is State.FAILING
    assert names(story.tell(Start(9))) == ["Launch"]
    story.tell(Exited("exit status 3"))
    assert story.answers() == {9: "engine did not start: exit status 3"}


def test_a_process_that_cannot_be_made_is_tried_again_later():
    story = Story()
    story.launchable = False
    story.tell(Start(1))
    assert story.service.state is State.BACKOFF
    assert story.answers() == {1: "engine did not start: no process"}
    story.launchable = True
    story.wait(1)
    assert story.service.pid == story.pids


def test_a_removed_service_is_stopped_and_may_come_back():
    story = Story().ready()
    assert story.tell(Remove()) == [Ask()]
    story.tell(Exited("exit status 0"))
    assert (story.service.state, story.service.leaving) == (State.DISABLED, True)
    assert [one.data["service"] for one in story.heard("service_stopped")] == [story.service.name]
    story.tell(Start())
    assert (story.service.state, story.service.leaving) == (State.STARTING, False)
