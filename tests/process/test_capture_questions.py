"""Questions of real sessions through capture: reported, answered once, texts held meanwhile."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator

import pytest

from orch.agents.plain import strip_ansi
from orch.hosts.local import Local
from orch.messages import EffectDone, EffectFailed, EffectQueued, ReportQuestions, SendInput
from orch.model import Effect, Question, Session, Settled
from orch.session.launch import STATE, Launch, prepare
from tests.support.asking import FAKE, RESULT
from tests.support.session_engine import Stage, stage

ASKED = Question(question="q1", tool="Bash", text="rm -r build")


class Asking:
    """A real session of the fake claude, supervised, known to the stand-in engine."""

    def __init__(self, at: Stage, *script: list[object], nudged: bool = True) -> None:
        self.at = at
        self.folder = at.home.state / "internal" / "one" / "1"
        self.host = Local(at.home)
        (at.home.root / "script.json").write_text(json.dumps([["hear"], *script, *RESULT]))
        (at.home.root / "prompt.md").write_text("do the work")
        launch = Launch(
            session="one",
            task="int-one",
            attempt=1,
            run=f"test-{os.getpid()}-one",
            argv=(sys.executable, str(FAKE), str(at.home.root / "script.json")),
            cwd=str(at.home.root),
            env={"PATH": os.environ["PATH"]},
            folder=str(self.folder),
            socket=str(at.home.session_socket("one")),
            nudges=(str(at.home.socket("capture", "nudge")),) if nudged else (),
            protocol="structured",
            dialect="claude",
            settings={"permissions": "supervised"},
            prompt=str(at.home.root / "prompt.md"),
        )
        prepare(launch)
        self.known()
        self.host.start("one", self.folder, at.home.root)

    def known(self, **more: str) -> None:
        """The engine knows the session."""
        self.at.world.sessions["one", 1] = Session(
            session="one", task="int-one", attempt=1, agent="claude", folder=str(self.folder),
            started_at=time.time(), **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def reports(self, wanted: ReportQuestions) -> None:
        """The last that the engine hears is this."""
        world = self.at.world
        self.at.wait_for(lambda: world.questions[-1:] == [wanted], f"{wanted}; {world.questions}")

    def effect(self, number: int, kind: str, **payload: object) -> None:
        """The engine has something for capture to do."""
        key = f"{kind}:{number}" if kind != "send" else f"text-{number}"
        given = {"session": "one", **payload}
        effect = Effect(id=number, target="capture", kind=kind, key=key, payload=given)
        self.at.world.effects.append(effect)
        self.at.ring(EffectQueued("capture"))

    def done(self, number: int) -> EffectDone | EffectFailed:
        """How capture reported it."""
        found = [one for one in self.at.world.reports if one.id == number]
        self.at.wait_for(
            lambda: found.extend(r for r in self.at.world.reports if r.id == number) or found,
            f"the report on {number}",
        )
        return found[-1]

    def shown(self) -> str:
        """What the pane has shown."""
        return strip_ansi(self.host.read(self.folder, 0, 1 << 20).decode())


@pytest.fixture
def at() -> Iterator[Stage]:
    with stage("capture") as made:
        try:
            yield made
        finally:
            host = Local(made.home)
            host.tmux.kill_server()
            host.sweep(f"test-{os.getpid()}-one")


ASK = ["ask", "Bash", {"command": "rm -r build"}]


def test_a_question_is_reported_with_its_answer_and_the_answer_brought_once(at: Stage) -> None:
    one = Asking(at, ASK)
    one.reports(ReportQuestions("one", 1, (ASKED,)))
    at.kill("capture")
    at.start("capture")
    at.wait_for(lambda: len(at.world.questions) == 2, "it is reported again after a restart")
    order = {"question": "q1", "allowed": False, "reason": "use make", "by": "ada"}

    one.effect(7, "answer", **order)
    assert isinstance(one.done(7), EffectDone)
    settled = Settled(question="q1", allowed=False, by="ada", reason="use make", key="answer:7")
    one.reports(ReportQuestions("one", 1, (), (settled,)))
    at.wait_for(lambda: one.host.finished(one.folder), "it goes on to its end")
    at.world.reports.clear()
    at.end("one")
    one.effect(7, "answer", **order)

    assert isinstance(one.done(7), EffectDone), "the session has it, so that is how it went"
    assert one.shown().count('"message": "use make"') == 1
    one.effect(8, "answer", **{**order, "allowed": True})
    late = one.done(8)
    assert isinstance(late, EffectFailed)
    assert (late.message, late.retry_at) == ("it was denied in the session first", None)


def test_a_question_without_a_nudge_and_while_the_engine_is_away_is_reported(at: Stage) -> None:
    at.stop_engine()
    one = Asking(at, ASK, nudged=False)
    at.wait_for(lambda: one.host.stamp(one.folder, STATE), "it has begun")
    at.start_engine()
    one.reports(ReportQuestions("one", 1, (ASKED,)))
    assert one.host.answer("one", "q1", True, by="somebody") == ("submitted", "")
    one.reports(
        ReportQuestions("one", 1, (), (Settled(question="q1", allowed=True, by="somebody"),))
    )


def test_a_state_that_is_rubbish_is_looked_at_again(at: Stage) -> None:
    folder = at.open("odd")
    (folder / STATE).write_text("{not json")
    at.open("fine")
    state = {"state": "asking", "questions": [{"question": 3, "title": None, "options": "x"}]}
    (folder / STATE).with_suffix(".new").write_text(json.dumps(state))
    at.wait_for(lambda: not at.world.questions, "nothing is reported")
    (folder / STATE).with_suffix(".new").replace(folder / STATE)
    asked = (Question(question="3"),)
    at.wait_for(
        lambda: at.world.questions == [ReportQuestions("odd", 1, asked)], "what can be read is"
    )


def test_texts_of_others_are_handed_over_while_a_person_has_the_session(at: Stage) -> None:
    one = Asking(at, ASK, ["hear"])
    one.reports(ReportQuestions("one", 1, (ASKED,)))
    one.known(taken_by="ada")
    one.effect(1, "takeover")
    one.done(1)

    told = at.client.ask(SendInput("one", "from bo", by="bo", key="k1"), timeout=20)

    assert (told.state, told.reason) == ("queued", "taken")
    (held,) = at.world.held
    assert (held.text, held.by, held.key) == ("from bo", "bo", "k1")
    assert at.client.ask(SendInput("one", "from ada", by="ada"), timeout=20).state == "queued"
    at.wait_for(lambda: "» from ada" in one.shown(), "hers is sent")
    assert "from bo" not in one.shown()
    one.known()
    one.effect(2, "takeover")
    one.effect(3, "send", text="from bo", by="bo")
    assert isinstance(one.done(3), EffectDone)
    assert isinstance(one.done(2), EffectDone)
    assert "» from bo" in one.shown()


def test_texts_for_one_session_are_typed_in_their_order(at: Stage) -> None:
    one = Asking(at, *(["hear"] for _ in range(40)))
    at.wait_for(lambda: "the agent is there" in one.shown(), "it has begun")
    at.world.effects += [
        Effect(id=n, target="capture", kind="send", key=f"k{n}",
               payload={"session": "one", "text": f"text {n}"}) for n in range(40)
    ]  # fmt: skip

    at.ring(EffectQueued("capture"))

    at.wait_for(lambda: len(at.world.reports) == 40, "all are reported")
    lines = [line for line in one.shown().splitlines() if line.startswith("»")]
    assert lines == [f"» text {n}" for n in range(40)]


def test_orders_that_cannot_be_read_are_refused_for_good(at: Stage) -> None:
    one = Asking(at, ASK)
    one.effect(1, "answer", question="q1")
    one.effect(2, "answer", question=["q1"], allowed=True)
    one.effect(3, "sing", song="la")
    for number in (1, 2, 3):
        told = one.done(number)
        assert isinstance(told, EffectFailed)
        assert told.retry_at is None
        assert told.message.startswith("capture cannot do")
