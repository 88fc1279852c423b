"""A limit that a vendor's CLI tells by the clock rests until then, on the clock of this machine."""

from __future__ import annotations

from tests.support.asking import begin, configured


def test_resets_at_a_clock_time_is_meant_in_the_zone_of_the_machine(world):
    world.env["TZ"] = "Asia/Tokyo"
    configured(world, ["hear"], ["fail", "You've hit your session limit · resets 1:31pm"], ["eof"])
    world.up()
    task = begin(world)

    world.until(lambda: world.orch("agents", "cooldowns", "--json").json, "that it rests")

    (found,) = world.orch("agents", "cooldowns", "--json").json
    assert found["until"].endswith("T04:31:00.000Z"), "1:31 in the afternoon of Tokyo"
    assert world.task(task)["attempts"][0]["error_class"] == "usage_limit"
