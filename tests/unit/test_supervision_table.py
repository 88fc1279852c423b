"""The whole table of a service's states and events, and any history of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orch.core.supervised import (
    ALIVE,
    Abort,
    Ask,
    Event,
    Exited,
    Extend,
    Heartbeat,
    Kill,
    Launch,
    Ready,
    Remove,
    Restart,
    Service,
    Stage,
    Start,
    State,
    Stop,
    Terminate,
    Tick,
)
from orch.core.supervision import step
from tests.support.supervision_story import Story

EVENTS: list[Event] = [
    Start(1),
    Stop(2),
    Restart(3),
    Remove(),
    Ready(),
    Heartbeat(),
    Extend(10.0),
    Exited("exit status 1"),
    Tick(),
]


def _at(state: State, stage: Stage = Stage.NONE) -> Service:
    pid = 42 if state in ALIVE else 0
    ready_at = 990.0 if state in (State.READY, State.STOPPING) else None
    deadline = None if state is State.DISABLED else 999.0
    return Service(
        name="engine",
        state=state,
        stage=stage,
        wanted=state not in (State.DISABLED, State.STOPPING),
        failing=state is State.FAILING,
        hung=stage is Stage.ABORTED,
        pid=pid,
        ready_at=ready_at,
        deadline=deadline,
        launches=1,
    )


PLACES = [_at(state) for state in State if state is not State.STOPPING] + [
    _at(State.STOPPING, stage) for stage in Stage if stage is not Stage.NONE
]

S = {state.value[:3]: state for state in State}
TABLE = {
    # event:    ready starting stopping backoff failing disabled
    "Start": "rea sta sto sta sta sta",
    "Stop": "sto sto sto dis dis dis",
    "Restart": "sto sto sto sta sta sta",
    "Remove": "sto sto sto dis dis dis",
    "Ready": "rea rea sto bac fai dis",
    "Heartbeat": "rea sta sto bac fai dis",
    "Extend": "rea sta sto bac fai dis",
    "Exited": "sta bac dis bac fai dis",
    "Tick": "sto sto sto sta sta dis",
}
COLUMNS = ["ready", "starting", "stopping", "backoff", "failing", "disabled"]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.state}{place.stage}")
def test_every_event_in_every_state_leads_where_the_table_says(place, event):
    row = TABLE[type(event).__name__].split()
    expected = S[row[COLUMNS.index(place.state.value)]]
    after, actions = step(place, event, 1000.0)
    assert after.state is expected
    # a process is begun only when there is none, and ended only when there is one
    if any(isinstance(action, Launch) for action in actions):
        assert after.state is State.STARTING
        assert place.state not in ALIVE or isinstance(event, Exited)
    if any(isinstance(action, Ask | Terminate | Abort | Kill) for action in actions):
        assert place.state in ALIVE
    assert (after.deadline is None) == (after.state is State.DISABLED)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["start", "stop", "restart", "ready", "beat", "exit", "wait", "long", "remove"]
            ),
            st.floats(0, 1),
        ),
        max_size=60,
    )
)
def test_in_any_history_every_command_is_answered_once_and_the_last_wish_wins(history):
    story, asker, wanted = Story(), 0, False
    for word, jitter in history:
        if word in ("start", "stop", "restart"):
            asker += 1
            kind = {"start": Start, "stop": Stop, "restart": Restart}[word]
            wanted = word != "stop"
            story.tell(kind(asker), jitter)
        elif word == "remove":
            wanted = False
            story.tell(Remove(), jitter)
        elif word in ("wait", "long"):
            story.wait(0.3 if word == "wait" else 40.0, every=0.3 if word == "wait" else 1.0)
        elif story.service.state in ALIVE:
            story.tell(
                {"ready": Ready(), "beat": Heartbeat(), "exit": Exited("exit status 1")}[word],
                jitter,
            )
        story.answers()
    for _ in range(8):  # let the world settle: processes leave when told, and become ready
        if story.service.state is State.STOPPING:
            story.tell(Exited("exit status 0"))
        elif story.service.state is State.STARTING:
            story.tell(Ready())
        elif story.service.state in (State.BACKOFF, State.FAILING):
            while story.service.state not in ALIVE:
                story.wait(0.5)
    assert set(story.answers()) == set(range(1, asker + 1))
    assert story.service.state is (State.READY if wanted else State.DISABLED)
