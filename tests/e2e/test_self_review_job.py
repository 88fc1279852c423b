"""A self-review over real attempts: files what is to be improved, and never the same twice."""

from __future__ import annotations

from orch.messages import EventsSince, ListTasks
from tests.support.job_file import detail, fire, write_jobs


def test_what_went_wrong_is_filed_once_as_a_task_of_the_project(world):
    world.configure("workflow:\n  max_attempts: 1\n")
    world.up()
    review = {"title": "Look back", "labels": ["chore"], "agent": "script"}
    write_jobs(
        world,
        {"id": "look-back", "type": "self-review", "task": review},
        {"id": "lost", "type": "self-review", "task": {"title": "x", "agent": "nobody"}},
    )
    lost = fire(world, "lost")
    assert (lost.outcome, lost.reason[:24]) == ("failed", "there is no agent nobody")
    assert fire(world, "look-back").outcome == "no_issues"
    for number in range(3):
        world.wait_for(task=world.add(f"Fail {number}", "exit 3"), status="blocked")

    fired = fire(world, "look-back")

    assert fired.outcome == "done"
    filed = world.ask(ListTasks(all=True, source="self-review")).tasks
    assert sorted(task.title for task in filed) == [
        "Find the cause of the error class agent_failed",
        "Improve the success rate of the agent script",
    ]
    assert all({"chore", "self-review", "job:look-back"} <= {*task.labels} for task in filed)
    body = world.orch("task", "get", filed[0].key, "--json").json
    assert body["project"] == "octo/demo"
    again = fire(world, "look-back")
    assert again.outcome == "no_issues"
    assert len(world.ask(ListTasks(all=True, source="self-review")).tasks) == 2
    outcomes = [run.outcome for run in detail(world, "look-back").runs]
    assert outcomes == ["no_issues", "done", "no_issues"]
    told = world.ask(EventsSince(names=("job_ended",))).events[1:]
    assert [event.data["outcome"] for event in told] == ["no_issues", "done", "no_issues"]
    assert "filed int-" in told[1].data["summary"]
