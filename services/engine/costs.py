"""What people ask about money and outcomes: `orch cost`, `orch metrics`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from orch.core import costs, periods
from orch.messages import Costs, GetCosts, GetMetrics, Message, Metrics
from orch.model import Attempt
from orch.service import Later, answers
from orch.store import attempts, tasks
from orch.store import costs as rows
from orch.store.db import Store
from services.engine.attempts import DAY
from services.engine.budgets import Budgets

R = TypeVar("R", bound=Message)

MOST_ROWS = 1000
"""How many sums one reply holds."""


class CostDesk(Budgets):
    """Answers sums over attempts. The sums are read aside: there may be many rows."""

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
            found = [
                costs.of_row(row, self.zone)
                for row in rows.sums(store, since, now, by, request.project, MOST_ROWS)
            ]
            sums = rows.sums(store, since, now, (), request.project)
            total = costs.total([*(costs.of_row(row, self.zone) for row in sums), *running])
            groups = costs.grouped([*found, *running], by) if by else []
            return Costs(since, now, by, tuple(groups[:MOST_ROWS]), total)

        return self._read(read)

    def _of_task(self, request: GetCosts) -> Costs:
        """A task's attempts one by one, and what its budget is."""
        task = self.find(request.id, request.project)
        found = [self.used_by(one) for one in attempts.of_task(self.store, task.key)]
        each = [
            costs.of_attempt(one, ("agent", "model", "day", "task"), self._day_of(one))
            for one in found
        ]
        budget = self.config_of(task.project).budget
        return Costs(
            task.created_at, self.now(), ("agent", "model", "day", "task"),
            tuple(each), costs.total(each), task.key,
            budget.max_tokens_per_task, budget.max_usd_per_task,
        )  # fmt: skip

    def _day_of(self, attempt: Attempt) -> str:
        return periods.day_of(attempt.ended_at or self.now(), self.zone)

    @answers(GetMetrics)
    def get_metrics(self, _request: GetMetrics) -> Later:
        """How attempts went in the last 24 hours and the last 7 days."""
        now = self.now()

        def read(store: Store) -> Metrics:
            found = []
            for since in (now - DAY, now - 7 * DAY):
                took = rows.durations(store, since, costs.STOPPED, costs.NOT_ITS_FAULT)
                found.append(costs.period(since, rows.outcomes(store, since), took))
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
