"""What people ask about money and outcomes: `orch cost`, `orch metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from orch.core import costs, periods
from orch.messages import Costs, GetCosts, GetMetrics, Message, Metrics
from orch.model import Cost
from orch.service import Later, answers
from orch.store import attempts, consultations, tasks
from orch.store import costs as rows
from orch.store.db import Store
from services.engine.attempts import DAY
from services.engine.budgets import Budgets

R = TypeVar("R", bound=Message)

MOST_ROWS = 1000
"""How many sums one reply holds."""


class CostDesk(Budgets):
    """Answers sums over attempts and consultations. They are read aside: there may be many rows."""

    @answers(GetCosts)
    def get_costs(self, request: GetCosts) -> Later | Costs:
        """What was spent, by whatever was asked for."""
        now = self.now()
        if request.id:
            return self._of_task(request)
        by = costs.chosen(request.by)
        since = periods.since(request.since, now, self.zone) if request.since else 0.0
        today = periods.day_of(now, self.zone)
        running = [
            costs.of_attempt(self.used_by(one), by, today)
            for one in attempts.open_ones(self.store)
            if not request.project or tasks.get(self.store, one.task).project == request.project
        ]

        def read(store: Store) -> Costs:
            found = self._sums(store, since, now, by, request.project)
            total = costs.total([*self._sums(store, since, now, (), request.project), *running])
            groups = costs.grouped([*found, *running], by) if by else []
            return Costs(since, now, by, tuple(groups[:MOST_ROWS]), total)

        return self._read(read)

    def _sums(
        self, store: Store, since: float, until: float, by: tuple[str, ...], project: str
    ) -> list[Cost]:
        """Sums over attempts, and those over consultations behind them."""
        span = (store, since, until, by, project, MOST_ROWS)
        found = [*rows.sums(*span), *consultations.sums(*span)]
        return [costs.of_row(row, self.zone) for row in found]

    def _of_task(self, request: GetCosts) -> Costs:
        """A task's attempts and consultations one by one, and what its budget is."""
        task = self.find(request.id, request.project)
        by = ("kind", *costs.BY)
        found = [self.used_by(one) for one in attempts.of_task(self.store, task.key)]
        timed = [
            (one.started_at, costs.of_attempt(one, by, self._day_of(one.ended_at))) for one in found
        ]
        timed += [
            (one.at, costs.of_consultation(one, self._day_of(one.at)))
            for one in consultations.of_task(self.store, task.key)
        ]
        each = [cost for _, cost in sorted(timed, key=lambda pair: pair[0])]
        budget = self.config_of(task.project).budget
        return Costs(
            task.created_at, self.now(), by,
            tuple(each), costs.total(each), task.key,
            budget.max_tokens_per_task, budget.max_usd_per_task,
        )  # fmt: skip

    def _day_of(self, at: float | None) -> str:
        return periods.day_of(at or self.now(), self.zone)

    @answers(GetMetrics)
    def get_metrics(self, _request: GetMetrics) -> Later:
        """How attempts went in the last 24 hours and the last 7 days."""
        now = self.now()

        def read(store: Store) -> Metrics:
            found = []
            for since in (now - DAY, now - 7 * DAY):
                took = rows.durations(store, since, costs.STOPPED, costs.NOT_ITS_FAULT)
                sums = consultations.sums(store, since, now, ("agent",))
                asked = [costs.of_row(row, self.zone) for row in sums]
                found.append(costs.period(since, rows.outcomes(store, since), took, asked))
            return Metrics(tuple(found))

        return self._read(read)

    def _read(self, read: Callable[[Store], R]) -> Later:
        """Answer with what `read` finds over a connection of its own."""

        def work() -> R:
            store = Store.reader(self.home.db)
            try:
                return read(store)
            finally:
                store.close()

        later = Later()
        self.aside(work, later, later, timeout=60.0)
        return later
