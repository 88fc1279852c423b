"""What others read from the engine: events, sessions, meta, the outbox, the overview."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orch.core.cooldowns import named
from orch.errors import Malformed, OrchError
from orch.messages import (
    Done,
    EffectDone,
    EffectFailed,
    Effects,
    Events,
    EventsSince,
    GetMeta,
    GetOverview,
    ListSessions,
    Metas,
    Overview,
    Sessions,
    SetMeta,
    TakeEffects,
)
from orch.model import Attempt, Event, Phase, Session
from orch.service import answers
from orch.store import attempts, events, jobs, notices, outbox, takeovers, tasks
from services.engine.attempts import DAY, Attempts

EVENT_BYTES = 700_000
"""How much of the events log goes into one reply."""


class ReportDesk(Attempts):
    """Answers what others read, and leases effects."""

    @answers(EventsSince)
    def events_since(self, request: EventsSince) -> Events:
        """The events log from a seq on."""
        limit = max(1, min(request.limit, 1000))
        found = events.since(
            self.store, request.seq, request.since, request.task, request.names, limit
        )
        kept: list[Event] = []
        size = 0
        for event in found:
            size += 200 + len(str(event.data))
            if kept and size > EVENT_BYTES:
                break
            kept.append(event)
        return Events(tuple(kept), events.last(self.store))

    @answers(ListSessions)
    def list_sessions(self, request: ListSessions) -> Sessions:
        """Open sessions, and ended ones when asked for."""
        found = attempts.sessions(self.store, request.task, request.ended_since, request.session)
        return Sessions(self._sessions([one for one in found if one.launched_at]))

    def _sessions(self, found: list[Attempt]) -> tuple[Session, ...]:
        asks = self.asks()
        taken = {name: one.by for name, one in takeovers.all_of_them(self.store).items()}
        return tuple(self._session(one, asks, taken) for one in found)

    def _session(self, attempt: Attempt, asks: dict[str, str], taken: dict[str, str]) -> Session:
        try:
            size = self.host.size(Path(attempt.folder))
        except OrchError:
            size = 0
        return Session(
            session=attempt.session, task=attempt.task, attempt=attempt.n, agent=attempt.agent,
            folder=attempt.folder, started_at=attempt.launched_at or attempt.started_at,
            ended=attempt.phase in (Phase.COLLECT, Phase.DELIVER, Phase.ENDED), size=size,
            asks=asks.get(attempt.task, "") if attempt.phase is Phase.RUNNING else "",
            taken_by=taken.get(attempt.session, ""),
        )  # fmt: skip

    @answers(GetOverview)
    def overview(self, _request: GetOverview) -> Overview:
        """What `orch status` shows of the engine."""
        open_now = [a for a in attempts.open_ones(self.store) if a.launched_at]
        problems = [self.config_problem, *self.loaded.problems, *self.skill_problems()]
        if self.problem:
            problems.append(f"database: {self.problem}")
        rests = self.rests().told(self.agents_with_accounts())
        for one in rests:
            if one.broken:
                who = named(one.agent, one.account)
                passes = "until `orch agents --check` passes"
                problems.append(f"{who} is out of use {passes}: {one.reason}")
        return Overview(
            slots_used=self.load().total,
            slots_max=self.loaded.config.engine.max_parallel,
            counts=tasks.counts(self.store),
            sessions=self._sessions(open_now[:500]),
            problems=tuple(text for text in problems if text),
            rests=rests,
            agents=attempts.record(self.store, self.now() - 7 * DAY),
            notices=tuple(notices.latest(self.store, self.now() - DAY, 5)),
        )

    # ---- meta --------------------------------------------------------------------------------

    @answers(GetMeta)
    def get_meta(self, request: GetMeta) -> Metas:
        """A task's key/value pairs."""
        return Metas(jobs.meta(self.store, self.find(request.id, request.project).key))

    @answers(SetMeta)
    def set_meta(self, request: SetMeta) -> Done:
        """Set key/value pairs of a task."""
        task = self.find(request.id, request.project)
        for key in request.values:
            if not key.strip() or len(key) > 200:
                raise Malformed(f"{key[:80]!r} cannot be a key", "1 to 200 characters")
        with self.write():
            for key, value in request.values.items():
                jobs.set_meta(self.store, task.key, key, value)
            self.event("meta_changed", task.key, keys=sorted(request.values))
        self.sidecar(task.key)
        return Done()

    # ---- the outbox --------------------------------------------------------------------------

    @answers(TakeEffects)
    def take_effects(self, request: TakeEffects) -> Effects:
        """Lease what waits for a target."""
        with self.write():
            if request.holding is not None:
                outbox.free(self.store, request.target, request.holding)
            taken = outbox.take(
                self.store, request.target, self.now(),
                min(max(request.lease_seconds, 1.0), 3600.0), max(1, min(request.limit, 100)),
            )  # fmt: skip
        return Effects(tuple(taken))

    @answers(EffectDone)
    def effect_done(self, request: EffectDone) -> Done:
        """Record that an effect happened; a stale lease changes nothing."""
        with self.write():
            if outbox.finish(self.store, request.id, request.fence, request.result):
                self.effect_settled(request.id)
        return Done()

    @answers(EffectFailed)
    def effect_failed(self, request: EffectFailed) -> Done:
        """Record that an effect failed; a stale lease changes nothing."""
        with self.write():
            known = outbox.fail(
                self.store, request.id, request.fence, request.message, request.retry_at
            )
            if known and request.retry_at is None:
                self.effect_settled(request.id, request.message)
        return Done()

    # ---- supervision -------------------------------------------------------------------------

    def on_supervision(self, event: dict[str, Any]) -> None:
        """Keep what orchd reports of the services in the events log; a repeated one once."""
        name = str(event.get("name", "service_changed"))[:80]
        told = event.get("data")
        try:
            with self.write():
                if outbox.receive(self.store, self.now(), "orchd", str(event.get("id", "")), event):
                    self.event(name, "", **(told if isinstance(told, dict) else {}))
        except OrchError as error:
            self.log.warning("a supervision event could not be kept: %s", error.message)
