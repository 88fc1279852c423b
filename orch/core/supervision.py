"""What becomes of a supervised service: a pure step from (service, event, now) to actions."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from orch.core.supervised import (
    ALIVE,
    Abort,
    Action,
    Answer,
    Ask,
    Event,
    Exited,
    Extend,
    Heartbeat,
    Kill,
    Launch,
    Launched,
    Limits,
    NotLaunched,
    Ready,
    Remove,
    Report,
    Restart,
    Service,
    Stage,
    Start,
    State,
    Stop,
    Terminate,
    Tick,
)

Stepped = tuple[Service, tuple[Action, ...]]


def step(
    service: Service, event: Event, now: float, limits: Limits | None = None, jitter: float = 0.5
) -> Stepped:
    """The service after `event` at `now`, and the actions due, in order.

    `jitter` is a fresh random number from 0 to 1. An event that means nothing in the service's
    state changes nothing.
    """
    return _STEPS[type(event)](service, event, _At(now, limits or Limits(), jitter))


def shift(service: Service, seconds: float) -> Service:
    """The service with its deadline moved: the supervisor itself was late by `seconds`."""
    if service.deadline is None:
        return service
    return replace(service, deadline=service.deadline + seconds)


def pause(falls: int, *, early: bool, jitter: float, limits: Limits | None = None) -> float:
    """Seconds to wait after the n-th fall in the window.

    The first crash of a service that had been ready costs nothing; one that fell before READY
    (`early`) always waits, for nothing has changed since.
    """
    limits = limits or Limits()
    doublings = falls - 1 if early else falls - 2
    if doublings < 0:
        return 0.0
    wait = min(limits.longest_wait, limits.first_wait * 2.0 ** min(doublings, 32))
    return wait * (0.8 + 0.2 * jitter)


# ---- the steps -------------------------------------------------------------------------------


class _At(msgspec.Struct, frozen=True):
    now: float
    limits: Limits
    jitter: float


def _start(service: Service, event: Event, at: _At) -> Stepped:
    assert isinstance(event, Start | Restart)
    service = replace(service, wanted=True, leaving=False)
    if service.state is State.READY:
        return service, _done(event.asker)
    service = replace(service, for_ready=_with(service.for_ready, event.asker))
    if service.state in ALIVE:
        return service, ()
    return _launch(service, at)


def _restart(service: Service, event: Event, at: _At) -> Stepped:
    assert isinstance(event, Restart)
    if service.state not in (State.READY, State.STARTING):
        return _start(service, event, at)
    service = replace(
        service, wanted=True, leaving=False, for_ready=_with(service.for_ready, event.asker)
    )
    return _end(service, at)


def _stop(service: Service, event: Event, at: _At) -> Stepped:
    asker = event.asker if isinstance(event, Stop) else 0
    cancelled = tuple(
        Answer(waiting, f"{service.name} was stopped before it was ready")
        for waiting in service.for_ready
    )
    service = replace(service, wanted=False, for_ready=())
    if service.state not in ALIVE:
        service = replace(service, state=State.DISABLED, deadline=None, failing=False)
        return service, (*cancelled, *_done(asker))
    service = replace(service, for_stop=_with(service.for_stop, asker))
    if service.state is State.STOPPING:
        return service, cancelled
    service, actions = _end(service, at)
    return service, (*cancelled, *actions)


def _remove(service: Service, event: Event, at: _At) -> Stepped:
    service, actions = _stop(service, event, at)
    return replace(service, leaving=True), actions


def _launched(service: Service, event: Event, _at: _At) -> Stepped:
    assert isinstance(event, Launched)
    if service.state is not State.STARTING:
        return service, ()
    return replace(service, pid=event.pid), ()


def _not_launched(service: Service, event: Event, at: _At) -> Stepped:
    assert isinstance(event, NotLaunched)
    if service.state is not State.STARTING:
        return service, ()
    return _fall(service, event.error, at)


def _ready(service: Service, event: Event, at: _At) -> Stepped:
    if service.state is not State.STARTING:
        return _heartbeat(service, event, at)
    ready = replace(
        service,
        state=State.READY,
        ready_at=at.now,
        deadline=at.now + at.limits.heartbeat,
        for_ready=(),
    )
    report = Report(
        "service_ready",
        {
            "service": service.name,
            "pid": service.pid,
            "seconds": round(at.now - service.launched_at, 4),
            "restarts": service.launches - 1,
        },
    )
    return ready, (*(Answer(asker) for asker in service.for_ready), report)


def _heartbeat(service: Service, _event: Event, at: _At) -> Stepped:
    if service.state is not State.READY:
        return service, ()
    service = replace(service, deadline=at.now + at.limits.heartbeat)
    assert service.ready_at is not None
    fallen = service.crashes or service.misstarts or service.failing
    if not fallen or at.now - service.ready_at < at.limits.healthy:
        return service, ()
    healthy = replace(service, crashes=(), misstarts=(), failing=False)
    if not service.failing:
        return healthy, ()
    return healthy, (Report("service_recovered", {"service": service.name}),)


def _extend(service: Service, event: Event, at: _At) -> Stepped:
    assert isinstance(event, Extend)
    if service.state not in (State.READY, State.STARTING):
        return service, ()
    seconds = min(max(event.seconds, 0.0), at.limits.extend)
    asked = at.now + seconds
    return replace(service, deadline=max(service.deadline or asked, asked)), ()


def _exited(service: Service, event: Event, at: _At) -> Stepped:
    assert isinstance(event, Exited)
    if service.state not in ALIVE:
        return service, ()
    if service.state is not State.STOPPING:
        return _fall(service, event.reason, at)
    answers = tuple(Answer(asker) for asker in service.for_stop)
    fell = service.hung and service.wanted and not service.for_ready
    reason = f"hung; {event.reason}"
    service = replace(service, for_stop=())
    stopped = Report("service_stopped", {"service": service.name, "pid": service.pid})
    if fell:
        service, actions = _fall(service, reason, at)
    elif service.wanted:
        service, actions = _launch(service, at)
        actions = (stopped, *actions)
    else:
        service, actions = _gone(service, State.DISABLED), (stopped,)
    return service, (*answers, *actions)


def _tick(service: Service, _event: Event, at: _At) -> Stepped:
    if service.deadline is None or at.now < service.deadline:
        return service, ()
    if service.state not in ALIVE:
        return _launch(service, at)
    if service.state is State.STOPPING:
        return _press(service, at)
    return _hang(service, at)


_STEPS: dict[type[Event], Callable[[Service, Event, _At], Stepped]] = {
    Start: _start,
    Stop: _stop,
    Restart: _restart,
    Remove: _remove,
    Launched: _launched,
    NotLaunched: _not_launched,
    Ready: _ready,
    Heartbeat: _heartbeat,
    Extend: _extend,
    Exited: _exited,
    Tick: _tick,
}


# ---- what several steps share ----------------------------------------------------------------


def _launch(service: Service, at: _At) -> Stepped:
    service = replace(
        _gone(service, State.STARTING),
        launched_at=at.now,
        deadline=at.now + at.limits.start,
        launches=service.launches + 1,
    )
    return service, (Launch(),)


def _gone(service: Service, state: State) -> Service:
    return replace(
        service, state=state, stage=Stage.NONE, hung=False, pid=0, ready_at=None, deadline=None
    )


def _end(service: Service, at: _At) -> Stepped:
    """Begin to end the process: politely when it is ready, at once when it only starts."""
    actions: tuple[Action, ...] = (Ask(),)
    if service.state is State.READY:
        stage, wait = Stage.ASKED, at.limits.ask
    else:
        stage, wait = Stage.TERMINATED, at.limits.terminate
        actions = (Ask(), Terminate())
    return replace(service, state=State.STOPPING, stage=stage, deadline=at.now + wait), actions


def _press(service: Service, at: _At) -> Stepped:
    """The process did not go in time: the next harder means."""
    if service.stage is Stage.ASKED:
        service = replace(service, stage=Stage.TERMINATED, deadline=at.now + at.limits.terminate)
        return service, (Terminate(),)
    return replace(service, stage=Stage.KILLED, deadline=at.now + at.limits.kill), (Kill(),)


def _hang(service: Service, at: _At) -> Stepped:
    what = "sends no heartbeat" if service.state is State.READY else "does not become ready"
    answers = tuple(Answer(asker, f"{service.name} {what}") for asker in service.for_ready)
    report = Report("service_hung", {"service": service.name, "pid": service.pid, "reason": what})
    service = replace(
        service,
        state=State.STOPPING,
        stage=Stage.ABORTED,
        hung=True,
        deadline=at.now + at.limits.abort,
        last_error=what,
        for_ready=(),
    )
    return service, (Abort(), *answers, report)


def _fall(service: Service, reason: str, at: _At) -> Stepped:
    """Count a fall and decide when to start again."""
    early = service.ready_at is None
    since = at.now - at.limits.window
    falls = service.misstarts if early else service.crashes
    falls = (*(then for then in falls if then > since), at.now)[-at.limits.crashes - 1 :]
    failing = service.failing or len(falls) > at.limits.crashes
    if failing:
        wait = at.limits.failing_wait
    else:
        wait = pause(len(falls), early=early, jitter=at.jitter, limits=at.limits)
    data = {
        "service": service.name,
        "pid": service.pid,
        "reason": reason,
        "before_ready": early,
        "again_in_seconds": round(wait, 3),
    }
    actions: list[Action] = [
        Answer(asker, f"{service.name} did not start: {reason}") for asker in service.for_ready
    ]
    actions.append(Report("service_crashed", data))
    if failing and not service.failing:
        actions.append(Report("service_failing", {**data, "falls": len(falls)}))
    fallen = replace(
        _gone(service, State.FAILING if failing else State.BACKOFF),
        failing=failing,
        last_error=reason,
        for_ready=(),
        deadline=at.now + wait,
        misstarts=falls if early else service.misstarts,
        crashes=service.crashes if early else falls,
    )
    if wait > 0:
        return fallen, tuple(actions)
    launched, launch = _launch(fallen, at)
    return launched, (*actions, *launch)


def _with(askers: tuple[int, ...], asker: int) -> tuple[int, ...]:
    return (*askers, asker) if asker else askers


def _done(asker: int) -> tuple[Answer, ...]:
    return (Answer(asker),) if asker else ()
