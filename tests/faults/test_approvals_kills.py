"""engine, capture and orchd killed between question, answer and delivery: nothing lost or doubled.

Each case brings an agent to a moment, kills one of the three there, and sees the task done: asked
once, answered once, and the agent told exactly once.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from orch.hosts.local import Local
from orch.messages import AnswerQuestion, ReleaseSession, SendInput, TakeSession
from tests.support.asking import RESULT, asked, begin, configured
from tests.support.world import World

VICTIMS = ("engine", "capture", "orchd")
STEPS = (
    "before it is noticed", "once it is kept", "once it is answered", "while it is delivered",
    "once it is delivered",
)  # fmt: skip
MANY = [["ask", "Bash", {"command": f"c{n}"}] for n in range(4)]
FEW = 8
"""Kills of one service: with more, orchd takes it for failing and starts it once a minute."""
SEED = int(os.environ.get("FAULT_SEED", str(random.randrange(1 << 30))))


@pytest.fixture
def asking(world: World) -> Iterator[World]:
    """A world whose agent waits for a text, then asks, then waits for another text."""
    configured(world, ["hear"], ["hear"], ["ask", "Bash", {"command": "make"}], ["hear"], *RESULT)
    world.up()
    yield world


def freeze(world: World, *names: str) -> list[int]:
    """Stop services where they stand; their pids."""
    return [world.kill(name, signal.SIGSTOP) for name in names]


def thaw(pids: list[int]) -> None:
    """Let them go on, those that are still there."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            continue


def strike(world: World, victim: str) -> None:
    """`kill -9`; orchd is started again by hand."""
    world.kill(victim)
    if victim == "orchd":
        assert world.orchd is not None
        world.orchd.wait(30)
        world.start()
    world.until(world.all_ready, f"everything ready after {victim}")


def told(folder: Path) -> list[dict[str, object]]:
    """The answers that the agent was sent."""
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    sent = [json.loads(line).get("orch_sent", {}) for line in lines]
    return [one["response"]["response"] for one in sent if one.get("type") == "control_response"]


@contextlib.contextmanager
def deaf(path: Path) -> Iterator[None]:
    """Meanwhile a socket that never answers stands in a session's place. (A pane that is stopped
    by a signal is woken by tmux.)"""
    away = path.with_name("away")
    path.rename(away)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(8)
        yield
        away.replace(path)


def leased(world: World) -> bool:
    """Whether capture has taken an answer out of the outbox, and has not reported yet."""
    db = sqlite3.connect(f"file:{world.home.db}?mode=ro", uri=True)
    with contextlib.closing(db):
        sql = "SELECT count(*) FROM effects WHERE kind = 'answer' AND state = 'leased'"
        return bool(db.execute(sql).fetchone()[0])


def one(world: World, victim: str, step: str) -> None:
    """One task with one kill in it."""
    host = Local(world.home)
    task = begin(world, f"{victim} {step}")
    world.until(lambda: b"the agent is there" in world.output_of(task), "the agent")
    attempt = world.task(task)["attempts"][0]
    folder, session = Path(attempt["folder"]), attempt["session"]
    frozen = freeze(world, "capture", "engine") if step == STEPS[0] else []
    host.send(session, "ask now", True, "")
    world.until(lambda: (s := host.state(folder)) is not None and s.question, "the question")
    if step == STEPS[0]:
        strike(world, victim)
        thaw(frozen)
    asked(world, task)
    if step == STEPS[1]:
        strike(world, victim)
    frozen = freeze(world, "capture") if step == STEPS[2] else []
    answer = AnswerQuestion(task, True, project="octo/demo", by="ada", key=f"k{task}")
    with deaf(world.home.session_socket(session)) if step == STEPS[3] else contextlib.nullcontext():
        world.ask(answer)
        if step == STEPS[3]:
            world.until(lambda: leased(world), "capture has it in hand")
        if step in STEPS[2:4]:
            strike(world, victim)
    thaw(frozen)
    world.until(lambda: told(folder), f"the answer, {victim} {step}", seconds=60)
    if step == STEPS[4]:
        strike(world, victim)
    world.ask(answer)  # as a client does that heard nothing
    world.until(lambda: world.task(task)["approvals"][0]["delivered"], "that it is known")
    host.send(session, "end now", True, "")

    done = world.wait_for(task=task, status="done", seconds=60)

    (row,) = done["approvals"]
    assert (row["state"], row["by"], row["problem"]) == ("allowed", "ada", ""), (victim, step)
    assert told(folder) == [{"behavior": "allow", "updatedInput": {"command": "make"}}]
    assert len(done["attempts"]) == 1
    names = [e["name"] for e in world.orch("task", "history", task, "--json").json]
    asked_, answered, delivered = (
        names.count(f"approval_{name}") for name in ("asked", "answered", "delivered")
    )
    assert (asked_, answered, delivered) == (1, 1, 1), (victim, step, names)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_kill_between_question_and_answer_loses_and_doubles_nothing(
    asking: World, victim: str, step: str
) -> None:
    one(asking, victim, step)


@pytest.mark.timeout(600)
def test_kills_at_any_moment_while_many_ask_lose_and_double_nothing(asking: World) -> None:
    print(f"FAULT_SEED={SEED}")
    chance = random.Random(SEED)
    asking.max_parallel = 8
    configured(asking, ["hear"], *MANY, *RESULT)
    tasks = [begin(asking, f"many {n}") for n in range(8)]
    open_ = set(tasks)
    lives = ["engine"] * FEW + ["capture"] * FEW

    def answer_all() -> bool:
        """Answer what waits, killing somebody now and then; true when all tasks are done."""
        for task in sorted(open_):
            detail = asking.task(task)
            if detail["status"] == "done":
                open_.discard(task)
            for row in detail["approvals"]:
                if row["state"] == "asked":
                    name = str(row["number"])
                    answer = AnswerQuestion(
                        task, chance.random() < 0.5, name, "why", "octo/demo", "ada", f"k{name}"
                    )
                    asking.ask(answer)
                    if lives and chance.random() < 0.5:
                        asking.kill(lives.pop(chance.randrange(len(lives))))
        return not open_

    asking.until(answer_all, "all done", seconds=300, show=lambda: str(open_))

    for task in tasks:
        detail = asking.task(task)
        assert len(detail["attempts"]) == 1, detail
        rows = detail["approvals"]
        assert [row["text"] for row in rows] == [f"c{n}" for n in range(4)]
        assert all(row["delivered"] and row["by"] == "ada" for row in rows), rows
        heard = told(Path(detail["attempts"][0]["folder"]))
        assert [one["behavior"] for one in heard] == [
            "allow" if row["state"] == "allowed" else "deny" for row in rows
        ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_takeover_and_what_it_holds_outlive_every_process(asking: World, victim: str) -> None:
    configured(asking, ["hear"], ["say", "here"], ["hear"], ["hear"], *RESULT)
    task = begin(asking, f"take {victim}")
    asking.until(lambda: b"here" in asking.output_of(task), "the agent")
    session = asking.task(task)["attempts"][0]["session"]
    asking.ask(TakeSession(task, "octo/demo", by="ada"))
    strike(asking, victim)
    for n in (1, 2):
        request = SendInput(session, f"held {n}", by="bo", key=f"{task}-{n}")
        told = asking.ask(request)
        assert (told.state, "ada has taken" in told.reason) == ("queued", True)
        strike(asking, victim)
        assert asking.ask(request).state == "queued", "as a client does that heard nothing"
    assert asking.task(task)["taken"]["by"] == "ada"
    assert b"held" not in asking.output_of(task)
    frozen = freeze(asking, "capture")
    asking.ask(ReleaseSession(task, "octo/demo", by="ada"))
    strike(asking, victim)
    thaw(frozen)

    asking.wait_for(task=task, status="done", seconds=60)

    shown = asking.output_of(task).decode()
    assert [shown.count(f"» {mark}") for mark in ("held 1", "held 2")] == [1, 1]
    assert shown.index("» held 1") < shown.index("» held 2")
    assert "never read" not in shown
    names = [e["name"] for e in asking.orch("task", "history", task, "--json").json]
    wanted = ("session_taken", "input_held", "session_released", "input_delivered")
    assert [names.count(name) for name in wanted] == [1, 2, 1, 2]
