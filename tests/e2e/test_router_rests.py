"""A limit that meets the router lets it rest, for routing and work alike."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime

from tests.support.world import World

LIMITED = """\
import json, sys
print(json.dumps({"type": "rate_limit_event", "session_id": "s", "rate_limit_info": {
    "status": "rejected", "resetsAt": int(sys.argv[1]), "rateLimitType": "five_hour"}}))
print(json.dumps({"type": "result", "subtype": "success", "is_error": True, "session_id": "s",
    "api_error_status": 429, "result": "You've hit your session limit", "usage": {}}))
sys.exit(1)
"""


def test_a_limit_of_the_router_is_its_cooldown_and_round_robin_holds_meanwhile(world: World):
    script = world.root / "limited.py"
    script.write_text(LIMITED)
    resets = int(time.time()) + 7200
    command = json.dumps([sys.executable, str(script), str(resets)])
    world.router = "mode: llm\n  agent: limited\n  agents: [script, limited]"
    world.agents = f"  limited: {{protocol: claude, command: {command}}}\n"
    world.configure()
    world.up()
    task = world.add("First", "say hi")
    seen = world.wait_for(task=task, status="done")
    assert seen["agent"] == "script", "the agent that rests gets no work either"
    assert "no router: limited rests for" in seen["route_reason"]
    assert len(seen["attempts"]) == 1
    (rests,) = world.orch("agents", "cooldowns", "--json").json
    assert (rests["agent"], rests["model"]) == ("limited", "")
    assert datetime.fromisoformat(rests["until"]).timestamp() == resets
    assert "session limit" in rests["reason"]
    assert "session limit" in world.orch("agents", "cooldowns").out

    second = world.add("Second", "say hi")
    world.wait_for(task=second, status="done")
    told = world.orch("task", "history", second, "--json").json
    assert not [event for event in told if event["name"] == "route_failed"], "nobody was asked"
    world.orch("agents", "cooldowns", "--clear", "limited")
    assert world.orch("agents", "cooldowns").out == "no agent rests\n"
