"""Jobs by the real command: written into the project's file, fired once, seen as tasks."""

from __future__ import annotations


def test_a_job_is_added_switched_shown_and_removed_in_the_projects_file(world):
    config = world.repo / ".orch.yml"
    config.write_text(config.read_text() + "# keep this line\n")
    world.up()
    added = world.orch(
        "job", "add", "0 4 * * *", "Tidy up", "-b", "do: say x", "--timezone", "Europe/Berlin"
    )
    assert added.out.startswith("tidy-up written to")
    assert "# keep this line" in config.read_text()

    (job,) = world.orch("job", "list", "--json").json
    assert (job["id"], job["schedule"], job["enabled"]) == ("tidy-up", "0 4 * * *", True)
    times = [one["at"] for one in world.orch("job", "next", "tidy-up", "-n", "3", "--json").json]
    assert len(times) == 3
    assert times == sorted(times)
    assert all(at[11:19] in {"02:00:00", "03:00:00"} for at in times), "04:00 in Berlin"
    assert "Tidy up" in world.orch("job", "info", "tidy-up").out

    again = world.orch("job", "add", "@daily", "Tidy up")
    assert again.out.startswith("tidy-up-2 written to")
    taken = world.orch("job", "add", "@daily", "x", "--id", "tidy-up", ok=False)
    assert "already" in taken.err

    world.orch("job", "disable", "tidy-up")
    assert "enabled: false" in config.read_text()
    world.orch("job", "enable", "tidy-up")
    world.orch("job", "remove", "tidy-up")
    assert [one["id"] for one in world.orch("job", "list", "--json").json] == ["tidy-up-2"]
    assert world.orch("job", "remove", "tidy-up", ok=False).code == 4


def test_a_bad_schedule_is_refused_before_anything_is_written(world):
    before = (world.repo / ".orch.yml").read_text()
    bad = world.orch("job", "add", "61 * * * *", "Never", ok=False)
    assert bad.code == 2
    assert (world.repo / ".orch.yml").read_text() == before
    outside = world.orch("job", "add", "@daily", "Nowhere", cwd=world.root, ok=False)
    assert "no project here" in outside.err


def test_a_pass_fires_nothing_twice(world):
    world.up()
    world.orch("job", "add", "@yearly", "Once a year", "-b", "do: say happy")
    assert world.orch("job", "tick").out == "nothing is due\n"
    assert world.orch("task", "list", "--all", "--json").json == []
