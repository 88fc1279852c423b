"""Spending: looks at what running attempts use, warns people, and passes on changed limits.

The limit itself is kept by the session process, which needs nobody for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from orch.agents import budget
from orch.config.schema import BudgetConfig
from orch.core import periods
from orch.errors import OrchError, Unknown
from orch.model import Attempt, Task
from orch.service import every
from orch.session.launch import read_launch
from orch.store import tasks
from services.engine import work
from services.engine.attempts import Attempts

SILENT = frozenset({"command", "shell", "terminal"})
"""Protocols whose agents do not tell what they use."""

PART = 0.02
"""The part of the day's limit by which others' spending must have changed to be passed on."""


class Spending(Attempts):
    """Watches the money of running attempts."""

    def setup(self) -> None:
        """Begin with nothing told."""
        self._limits_told: dict[str, dict[str, Any]] = {}
        self._limited = False
        super().setup()

    def order(self, attempt: Attempt) -> work.Order:
        """See `Attempts.order`: with what the attempt may spend."""
        order = super().order(attempt)
        return msgspec.structs.replace(order, budget=self.spending_order(attempt))

    def on_config(self) -> None:
        """Hear whether anything is limited anywhere."""
        super().on_config()
        configs = [self.loaded.config, *(one.config for one in self.loaded.projects.values())]
        self._limited = any(one.budget != BudgetConfig() for one in configs)

    @every(seconds=1)
    def look_at_spending(self) -> None:
        """Warn at `warn_at`, tell of prices that nobody knows, pass changed limits on."""
        told, live = self._limits_told, list(self._live.values())
        self._limits_told = {one.session: told[one.session] for one in live if one.session in told}
        for attempt in live:
            if self._limited or self._limits_told.get(attempt.session) != {}:
                self._look_at(attempt)

    def _look_at(self, attempt: Attempt) -> None:
        task = tasks.get(self.store, attempt.task)
        config = self.config_of(task.project)
        spec = config.agents.get(attempt.agent)
        if spec is None or spec.protocol in SILENT:
            self._limits_told[attempt.session] = {}
            return
        limits = self.limits_of(attempt, config)
        self._pass_on(attempt, limits)
        if not limits.none:
            self._warn_of(task, self.used_by(attempt), limits)

    def _warn_of(self, task: Task, attempt: Attempt, limits: budget.Limits) -> None:
        used = attempt.usage
        tokens = used.input_tokens + used.output_tokens + used.cache_write_tokens
        found = budget.reached(limits, tokens, used.usd, self.now(), limits.warn_at)
        try:
            if found is not None:
                self._warn(task, attempt, found, limits)
            if tokens and used.usd is None and (limits.max_usd or limits.day_max_usd):
                self._miss_price(task, attempt)
        except Unknown as error:
            self.log.warning("a warning has to wait: %s", error.message)

    def _warn(
        self, task: Task, attempt: Attempt, found: budget.Reached, limits: budget.Limits
    ) -> None:
        day = found.key == budget.PER_DAY_USD
        most = {
            budget.PER_TASK_TOKENS: limits.max_tokens,
            budget.PER_TASK_USD: limits.max_usd,
            budget.PER_DAY_USD: limits.day_max_usd,
        }[found.key]
        what = periods.day_of(self.now(), self.zone) if day else task.key
        about = f"budget:{what}:{found.key}:{most:g}"
        hint = f"orch config set {found.key} {most * 2:g}"
        text = f"{found.text}; to raise the limit: `{hint}`"
        if not self.is_told(about):
            with self.write():
                self.once(
                    about, "budget_warned", "" if day else task.key, key=found.key, limit=most,
                    text=text if day else f"{task.key}: {text}", attempt=attempt.n,
                )  # fmt: skip

    def _miss_price(self, task: Task, attempt: Attempt) -> None:
        model = attempt.used_model or attempt.model or attempt.agent
        text = (
            f"nobody knows what the model {model} costs, so no limit in USD holds for it: "
            f"set `prices` for it in config.yml, or budget.max_tokens_per_task"
        )
        if not self.is_told(f"price:{model}"):
            with self.write():
                self.once(f"price:{model}", "price_missed", task.key, model=model, text=text)

    # ---- limits that change while an agent runs ----------------------------------------------

    def _pass_on(self, attempt: Attempt, limits: budget.Limits) -> None:
        """Tell a session of limits that are not those that it knows."""
        known = self._limits_told.get(attempt.session)
        if known is None:
            known = self._limits_told[attempt.session] = _at_launch(attempt)
        order = {} if limits.none else self.spending_order(attempt)
        if not differ(known, order):
            return
        self._limits_told[attempt.session] = order
        self.aside(
            lambda: self.host.limit(attempt.session, order),
            failed=lambda error: self.log.warning("%s: limits: %s", attempt.session, error),
        )


def _at_launch(attempt: Attempt) -> dict[str, Any]:
    """The limits with which a session began, as far as that is known."""
    try:
        launch = read_launch(Path(attempt.folder))
    except OrchError:
        return {}
    return launch.budget if launch is not None else {}


def differ(known: dict[str, Any], order: dict[str, Any]) -> bool:
    """Whether limits differ by enough to be told. What the day's other attempts have spent moves
    all the time: it counts from half of the day's limit on, and in steps."""
    if bool(known) != bool(order):
        return True
    if not order:
        return False
    before, now = budget.Limits(**known["limits"]), budget.Limits(**order["limits"])
    moved = abs(now.day_spent_usd - before.day_spent_usd)
    near = now.day_max_usd and now.day_spent_usd * 2 >= now.day_max_usd
    if near and moved >= now.day_max_usd * PART:
        return True
    before, now = (one._replace(day_spent_usd=0.0) for one in (before, now))
    return before != now or known["prices"] != order["prices"]
