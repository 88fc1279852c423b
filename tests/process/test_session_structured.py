"""Sessions of agents that speak a machine protocol: a scripted program in a real pane."""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

import pytest

from orch.model import ErrorClass
from tests.support.scratch_sessions import until
from tests.support.structured_sessions import (
    DONE,
    events,
    judged,
    play,
    question,
    sent,
    shown,
    state,
    world,
)

__all__ = ["world"]


def test_a_run_is_shown_as_text_and_kept_as_messages(world):
    path = str(world.root / "src/a.py")
    run = play(
        world,
        ["hear"],
        ["tool", "Bash", {"command": "make test"}, "\n".join(f"line {n}" for n in range(40))],
        ["tool", "Edit", {"file_path": path, "old_string": "a = 1", "new_string": "a = 2"}, "ok"],
        ["say", "I did it.\x1b[2J"],
        ["err", "a warning\n"],
        ["result", DONE],
        ["eof"],
    )

    result = run.ends()

    assert (result.ended_by, result.exit_code) == ("exit", 0)
    assert result.native_session == "5e551011-0000-4000-8000-000000000001"
    text = shown(run)
    for part in ("▸ Bash make test", "line 0\n", "28 more lines", "line 39", "▸ Edit src/a.py",
                 "src/a.py +1 -1", "-a = 1\n", "+a = 2\n", "● I did it.\n", "! a warning",
                 "— 10 tokens in and 20 from the cache, 5 out · $0.5000"):  # fmt: skip
        assert part in text
    assert "line 20" not in text
    assert b"\x1b[2J" not in run.log
    kinds = [event.get("type", "sent") for event in events(run)]
    assert kinds[:4] == ["sent", "system", "user", "assistant"]
    assert kinds[-1] == "result"
    assert sent(run) == ["do the work\n"]
    assert (run.folder / "stderr.txt").read_text() == "a warning\n"
    verdict = judged(run)
    assert (verdict.ok, verdict.usage.input_tokens, verdict.usage.usd) == (True, 10, 0.5)


def test_a_text_is_submitted_once_the_agent_has_read_it(world):
    text = "no, in Rust;\n\n  «żółć» 🎉 $HOME `ls` #{pane}\ttab;"
    run = play(
        world, ["hear"], ["say", "hello"], ["hear"], ["say", "aha"], ["result", DONE], ["eof"]
    )
    run.shows(b"hello")

    assert run.send(text) == ("submitted", "")

    run.ends()
    assert sent(run)[1] == text
    assert shown(run).index("» no, in Rust;") < shown(run).index("(read by the agent)")


def test_a_text_that_the_agent_has_not_read_yet_is_queued_and_then_a_turn_of_its_own(world):
    run = play(
        world, ["hear"], ["say", "busy"], ["ask", "Bash", {"command": "x"}], ["result", "first"],
        ["hear"], ["say", "second turn"], ["result", DONE], ["eof"],
    )  # fmt: skip
    question(run)

    assert run.send("one more thing", key="k1")[0] == "queued"
    assert run.send("one more thing", key="k1")[0] == "queued"
    assert run.ask(type="approve")["state"] == "submitted"

    assert judged(run).ok
    assert sent(run) == ["do the work\n", "one more thing"]
    assert shown(run).index("first") < shown(run).index("second turn")


def test_an_empty_text_a_draft_and_a_text_after_the_end_are_refused(world):
    run = play(
        world, ["hear"], ["say", "x"], ["interruptible"], ["hear"], ["result", DONE], ["hang"]
    )
    run.shows(b"x")

    assert run.send(" \n")[0] == "refused"
    assert run.send("half", submit=False)[0] == "refused"
    run.ask(type="interrupt")
    assert run.send("go on") == ("submitted", "")
    run.shows(b"all well")
    state_, reason = run.send("too late")
    assert (state_, "last answer" in reason) == ("refused", True)


def test_an_agent_that_works_alone_is_not_kept_waiting(world):
    run = play(
        world, ["hear"], ["ask", "Bash", {"command": "ls"}],
        ["ask", "AskUserQuestion", {"questions": [{"question": "A or B?", "options": []}]}],
        ["result", DONE], ["eof"], mode="autonomous",
    )  # fmt: skip

    assert judged(run).ok
    assert '{"behavior": "allow", "updatedInput": {"command": "ls"}}' in shown(run)
    assert '"behavior": "deny"' in shown(run)


def test_lines_typed_in_the_pane_answer_questions_and_steer(world):
    run = play(
        world, ["hear"], ["ask", "Bash", {"command": "a"}], ["ask", "Bash", {"command": "b"}],
        ["say", "now"], ["hear"], ["result", DONE], ["eof"],
    )  # fmt: skip
    tmux, target = run.world.host.tmux, f"={run.launch.session}:"

    def types(line: str) -> None:
        tmux.command("send-keys", "-t", target, "-l", line)
        tmux.command("send-keys", "-t", target, "Enter")

    until(lambda: question(run)["text"] == "a", "the first question")
    types("y")
    until(lambda: question(run)["text"] == "b", "the second question")
    types("n too risky")
    run.shows("● now".encode())
    types("in Rust")

    assert judged(run).ok
    assert sent(run)[1] == "in Rust"
    assert '{"behavior": "deny", "message": "too risky"}' in shown(run)


def test_control_c_interrupts_and_a_second_one_ends(world):
    run = play(world, ["hear"], ["say", "busy"], ["interruptible"], ["eof"])
    run.shows(b"busy")
    tmux, target = run.world.host.tmux, f"={run.launch.session}:"

    tmux.command("send-keys", "-t", target, "C-c")
    until(lambda: state(run).state == "waiting", "that it waits")
    tmux.command("send-keys", "-t", target, "C-c")

    verdict = judged(run)
    assert (verdict.error, run.ends().ended_by) == (ErrorClass.CANCELLED, "exit")


ODD = {
    "unknown events": [["raw", '{"type": "of_next_year", "x": 1}\n{"type": 7}\n[1]\n"x"\nnull\n']],
    "known events of another form": [
        ["raw", '{"type": "assistant"}\n{"type": "user", "message": 3}\n{"type": "result"}\n'
                '{"type":"system","subtype":["init"]}\n{"type":"control_request"}\n'
                '{"type":"assistant","message":{"content":[{"type":"tool_use","input":[]}]}}\n'],
        ["hear"],
    ],
    "no JSON": [["raw", "npm WARN something\n{\"type\": \"assis\n\n}{\n"]],
    "no UTF-8": [["bytes", "fffe0a7b2274797065223a2022c3280a"]],
    "ten megabytes in a line": [
        ["raw", '{"type": "assistant", "message": {"content": [{"type": "text", "text": "'],
        ["raw", "x" * 1024, 10 * 1024], ["raw", '"}]}}\n'],
    ],
    "stderr in between": [["raw", '{"type": "ass'], ["err", "noise\n" * 3],
                          ["raw", 'istant", "message": {"content": []}}\n']],
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_whatever_the_agent_prints_the_session_goes_on(world, what):
    script = [action for action in ODD[what] if action[0] != "hear"]
    run = play(world, ["hear"], *script, ["say", "still here"], ["result", DONE], ["eof"])

    result = run.ends()

    assert (result.ended_by, result.exit_code) == ("exit", 0)
    assert judged(run).ok
    assert "● still here" in shown(run)
    assert len(shown(run)) < 300_000


def test_a_torn_last_message_is_kept(world):
    run = play(world, ["hear"], ["raw", '{"type": "assist'], ["exit", 3])

    verdict = judged(run)

    assert verdict.error is ErrorClass.AGENT_CRASHED
    assert (run.folder / "events.jsonl").read_bytes().endswith(b'{"type": "assist\n')


def test_the_time_limit_interrupts_first(world):
    run = play(world, ["hear"], ["say", "busy"], ["hang"], timeout_seconds=1)

    result = run.ends()

    assert (result.ended_by, result.exit_code) == ("timeout", 1)
    assert events(run)[-1]["terminal_reason"] == "aborted_tools"
    assert judged(run).error is ErrorClass.TIMEOUT


def test_a_time_limit_while_nobody_answers_is_told_as_that(world):
    run = play(world, ["hear"], ["ask", "Bash", {"command": "x"}], timeout_seconds=1)
    verdict = judged(run)
    assert (verdict.error, "Bash" in verdict.message) == (ErrorClass.WAITING_FOR_INPUT, True)


def test_an_agent_that_does_not_leave_after_its_answer_is_ended_and_has_answered(world):
    run = play(world, ["hear"], ["result", DONE], ["hang"])
    verdict = judged(run)
    assert verdict.ok
    assert run.ends().message == "the agent did not leave after its last message"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_an_agent_that_is_killed_leaves_nothing_running(world, number):
    run = play(world, ["hear"], ["spawn", "sleep 1000"], ["say", "busy"], ["hang"])
    run.shows(b"busy")

    os.kill(run.ask(type="status")["agent_pid"], number)

    result = run.ends()
    assert (result.ended_by, result.signal) == ("exit", number)
    assert judged(run).error is ErrorClass.AGENT_CRASHED
    assert run.left == []


def test_an_agent_whose_session_process_is_killed_is_hung_up(world):
    run = play(world, ["hear"], ["say", "busy"], ["hang"])
    run.shows(b"busy")
    agent = run.ask(type="status")["agent_pid"]

    os.kill(run.pane, signal.SIGKILL)

    until(lambda: not Path(f"/proc/{agent}").exists(), "the end of the agent")
    assert run.world.host.sweep(run.launch.run) == []
    assert not (run.folder / "exit.txt").exists()


def test_stop_ends_it_with_the_reason(world):
    run = play(world, ["hear"], ["say", "busy"], ["hang"])
    run.shows(b"busy")
    run.ask(type="stop", reason="not needed any more")
    result = run.ends()
    assert (result.ended_by, result.message) == ("cancelled", "not needed any more")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"dialect": "klingon"}, "unknown dialect 'klingon'"),
        ({"prompt": "/no/such/file"}, "No such file"),
        ({"cwd": "/no/such/folder"}, "cannot work in"),
    ],
)
def test_what_cannot_be_started_says_why(world, more, says):
    order = {"dialect": "claude", "prompt": "/dev/null", **more}
    run = world.start(sys.executable, "-V", protocol="structured", **order)
    result = run.ends()
    assert (result.ended_by, says in result.message) == ("launch_failed", True)


def test_an_agent_that_dies_before_it_reads_its_prompt_is_no_trouble(world):
    prompt = world.root / "long.md"
    prompt.write_text("long " * 400_000)
    run = world.start("sh", "-c", "echo 'error: unknown option --x' >&2; exit 1",
                      protocol="structured", dialect="claude", prompt=str(prompt))  # fmt: skip

    verdict = judged(run)

    assert (verdict.error, "--x" in verdict.message) == (ErrorClass.LAUNCH_FAILED, True)


def test_a_full_disk_holds_the_agent_and_loses_nothing(world):
    said = [["say", f"line {n} {'x' * 200}"] for n in range(200)]
    run = play(world, ["hear"], ["hear"], *said, ["result", DONE], ["eof"])
    until(lambda: run.world.host.state(run.folder), "the conversation")
    full = (20_000, resource.RLIM_INFINITY)
    resource.prlimit(run.pane, resource.RLIMIT_FSIZE, full)

    run.send("go")
    until(lambda: run.ask(type="status")["held"], "the session process to notice")

    resource.prlimit(run.pane, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    assert judged(run).ok
    assert len([one for one in events(run) if one.get("type") == "assistant"]) == 200
    assert "line 199 " in shown(run)


def test_the_session_process_stays_small(world):
    run = play(world, ["hear"], ["say", "busy"], ["hang"])
    run.shows(b"busy")
    maps = Path(f"/proc/{run.pane}/smaps_rollup").read_text()
    pss = next(int(line.split()[1]) for line in maps.splitlines() if line.startswith("Pss:"))
    assert "msgspec" not in Path(f"/proc/{run.pane}/maps").read_text()
    assert pss < 16_000, f"{pss} KiB"
