"""`orch task`: which commands it has; only the one that is called gets imported."""

from __future__ import annotations

from orch.cli.lazy import Entry, Lazy

LOOK, ACT, LIVE = "Make and look", "Act", "Live sessions"

COMMANDS = {
    "add": Entry("orch.cli.task:add", LOOK, "Create a task and print its id."),
    "plan": Entry("orch.cli.plan:plan", LOOK, "Have an agent plan a goal as ordered tasks."),
    "list": Entry("orch.cli.listing:list_", LOOK, "List tasks that are not done."),
    "get": Entry("orch.cli.task:get", LOOK, "Show one task and its attempts."),
    "status": Entry("orch.cli.task:status", LOOK, "Count tasks by status, and what they cost."),
    "tree": Entry("orch.cli.listing:tree", LOOK, "Show tasks below their parents."),
    "history": Entry("orch.cli.task:history", LOOK, "Show a task's events with times and reasons."),
    "cost": Entry("orch.cli.cost:of_task", LOOK, "Show what a task cost."),
    "run": Entry("orch.cli.act:run", ACT, "Run a task now, ahead of the queue."),
    "next": Entry("orch.cli.act:next_", ACT, "Run what is next in the queue."),
    "retry": Entry("orch.cli.act:retry", ACT, "Start a task over."),
    "route": Entry("orch.cli.act:route", ACT, "Choose the agent of a task."),
    "reroute": Entry("orch.cli.act:reroute", ACT, "Move a task to another agent."),
    "unblock": Entry("orch.cli.act:unblock", ACT, "Let a blocked task run again."),
    "block": Entry("orch.cli.act:block", ACT, "Hold a task back."),
    "close": Entry("orch.cli.act:close", ACT, "End a task by hand."),
    "review": Entry("orch.cli.review:review", ACT, "Have a task's work reviewed."),
    "kill": Entry("orch.cli.act:kill", ACT, "Stop a task's running attempt."),
    "live": Entry("orch.cli.live:live", LIVE, "List the sessions that run."),
    "stream": Entry("orch.cli.live:stream", LIVE, "Follow a task's session to its end."),
    "attach": Entry("orch.cli.live:attach", LIVE, "Enter a task's session with tmux."),
    "send": Entry("orch.cli.live:send", LIVE, "Type text into a task's session."),
    "approve": Entry("orch.cli.approval:approve", LIVE, "Allow what a task's agent asks for."),
    "deny": Entry("orch.cli.approval:deny", LIVE, "Refuse what a task's agent asks for."),
    "take": Entry("orch.cli.takeover:take", LIVE, "Work in a task's session yourself."),
    "release": Entry("orch.cli.takeover:release", LIVE, "Leave a task's session to orch again."),
    "screen": Entry("orch.cli.live:screen", LIVE, "Print a session's screen."),
    "log": Entry("orch.cli.past:log", LIVE, "Show a task's events and each attempt's files."),
    "diff": Entry("orch.cli.past:diff", LIVE, "Show what a task changed."),
    "replay": Entry("orch.cli.past:replay", LIVE, "Play a recorded session back."),
}

task = Lazy(
    "task", COMMANDS, "Add, look at, run and steer tasks.\n\n\b\nExample:\n  orch task list"
)
