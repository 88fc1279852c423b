"""Budgets: what each attempt may spend, what it cost, and what holds a task back for money."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import Any

import msgspec

from orch.agents import budget, prices
from orch.agents.stream import TokensUsed
from orch.config.schema import Config
from orch.core import periods
from orch.errors import OrchError
from orch.model import Attempt, Phase, Status, Task, Usage
from orch.store import attempts, consultations, costs, tasks
from orch.tools.zone import machine_zone
from services.engine.notices import Notices


class Budgets(Notices):
    """Knows what was spent, and what is left of it for a task and for the day."""

    _zone: tzinfo | None = None

    @property
    def zone(self) -> tzinfo:
        """The machine's time zone: a day of the budget is one of its days."""
        if self._zone is None:
            self._zone = machine_zone()
        return self._zone

    # ---- limits ------------------------------------------------------------------------------

    def limits_of(self, attempt: Attempt, config: Config) -> budget.Limits:
        """What an attempt may spend, beside what its task, and all others today, have spent."""
        asked, day = config.budget, self.loaded.config.budget.max_usd_per_day
        tokens, usd = (
            self.spent_on(attempt.task, attempt.id)
            if asked.max_tokens_per_task or asked.max_usd_per_task
            else (0, 0.0)
        )
        return budget.Limits(
            max_tokens=asked.max_tokens_per_task, max_usd=asked.max_usd_per_task,
            spent_tokens=tokens, spent_usd=usd, day_max_usd=day,
            day_spent_usd=self.spent_today(attempt.id) if day else 0.0,
            day_until=periods.day_end(self.now(), self.zone) if day else 0.0,
            warn_at=asked.warn_at,
        )  # fmt: skip

    def spending_order(self, attempt: Attempt) -> dict[str, object]:
        """The limits as a session is told them; empty where there are none."""
        task = tasks.get(self.store, attempt.task)
        config = self.config_of(task.project)
        limits = self.limits_of(attempt, config)
        if limits.none:
            return {}
        return budget.written(limits, own_prices(config), attempt.model)

    def spent_today(self, but: int = 0) -> float:
        """USD of the day so far, as far as they are known: attempts that ended in it, those that
        run, `but` one (by its id), and consultations."""
        since = periods.day_start(self.now(), self.zone)
        ended = costs.spent_since(self.store, since)
        ended += consultations.spent_since(self.store, since)
        running = [a for a in attempts.open_ones(self.store) if a.id != but]
        return ended + sum(self.used_by(one).usage.usd or 0.0 for one in running)

    def spent_on(self, task: str, but: int = 0) -> tuple[int, float]:
        """Tokens that count against a budget and USD of a task since it was last started over: of
        its attempts, `but` one (by its id), and of what was asked about it."""
        tokens, usd = costs.spent_on(self.store, task, but)
        more, dollars = consultations.spent_on(self.store, task)
        return tokens + more, usd + dollars

    def used_by(self, attempt: Attempt) -> Attempt:
        """An attempt with what it has used until now, and the model that answers."""
        if attempt.phase is not Phase.RUNNING or not attempt.folder:
            return attempt
        try:
            state = self.host.state(Path(attempt.folder))
        except OrchError:
            return attempt
        if state is None or not state.used:
            return attempt
        return self.priced(attempt, from_state(state.used), state.model)

    def priced(self, attempt: Attempt, usage: Usage, model: str = "") -> Attempt:
        """An attempt with what it used, priced: by people's own prices, by the agent's figure where
        that can be believed, by the table; at no price where nobody knows."""
        task = tasks.get(self.store, attempt.task)
        config = self.config_of(task.project)
        spec = config.agents.get(attempt.agent)
        dialect = spec.protocol if spec else ""
        found = self.with_price(usage, model or attempt.model, dialect, config)
        return msgspec.structs.replace(attempt, usage=found, used_model=model[:200])

    def with_price(self, usage: Usage, model: str, dialect: str, config: Config) -> Usage:
        """What a model used, as an agent of this protocol told it, priced."""
        used = TokensUsed(
            usage.input_tokens, usage.output_tokens, usage.cache_read_tokens,
            usage.cache_write_tokens, usage.usd,
        )  # fmt: skip
        usd = prices.usd(used, model, dialect, own_prices(config))
        return msgspec.structs.replace(usage, usd=usd)

    def account(self, attempt: Attempt, usage: Usage) -> dict[str, Any]:
        """The columns of what an attempt has used in the end. `usage` is what its messages say, as
        far as they are read; its session counted all of them."""
        try:
            state = self.host.state(Path(attempt.folder))
        except OrchError:
            state = None
        counted = from_state(state.used) if state and state.used else Usage()
        found = self.priced(attempt, fuller(usage, counted), state.model if state else "")
        return {"usage": found.usage, "used_model": found.used_model}

    # ---- holding back ------------------------------------------------------------------------

    def day_hold(self) -> str:
        """What tasks wait for when the day's limit is reached; '' while it is not."""
        most = self.loaded.config.budget.max_usd_per_day
        if not most or (spent := self.spent_today()) < most:
            return ""
        until = periods.day_of(periods.day_end(self.now(), self.zone), self.zone)
        return (
            f"{until}, or a higher {budget.PER_DAY_USD}: today has cost "
            f"{budget.dollars(spent)} of {budget.dollars(most)}"
        )

    def payable(self) -> tuple[str, ...] | None:
        """The agents whose tasks may start though the day's limit is reached, since they use no
        model; None while all may. People are told, once for the day and its limit, when tasks
        wait for money. Called inside the transaction that would claim them."""
        held = self.day_hold()
        if not held:
            return None
        most = self.loaded.config.budget.max_usd_per_day
        day = periods.day_of(self.now(), self.zone)
        about = f"budget:{day}:spent:{most:g}"
        if tasks.counts(self.store).get(Status.ROUTED) and not self.is_told(about):
            text = f"no agent starts: tasks wait for {held}"
            self.once(about, "budget_spent", day=day, limit=most, text=text)
        configs = [self.loaded.config, *(one.config for one in self.loaded.projects.values())]
        named = (pair for config in configs for pair in config.agents.items())
        return tuple({name for name, spec in named if spec.protocol == "shell"})

    def costs_nothing(self, task: Task) -> bool:
        """Whether a task's agent uses no model, so that no budget holds it back."""
        spec = self.config_of(task.project).agents.get(task.agent)
        return spec is not None and spec.protocol == "shell"

    def lacks_budget(self, task: Task) -> bool:
        """Give a task whose budget is used up to a person; true when it was. Called inside the
        transaction that would claim it."""
        asked = self.config_of(task.project).budget
        if not (asked.max_tokens_per_task or asked.max_usd_per_task) or self.costs_nothing(task):
            return False
        tokens, usd = self.spent_on(task.key)
        limits = budget.Limits(max_tokens=asked.max_tokens_per_task, max_usd=asked.max_usd_per_task)
        found = budget.reached(limits, tokens, usd, self.now()) if tokens or usd else None
        if found is None:
            return False
        reason = f"its budget is used up: {found.words}"
        tasks.update(self.store, task.key, self.now(), status=Status.NEEDS_REVIEW,
                     blocked_reason=reason)  # fmt: skip
        self.event("task_changed", task.key, status="needs_review", reason=reason)
        return True


def own_prices(config: Config) -> prices.Rows:
    """The prices that people have configured."""
    return prices.own_rows(
        {
            name: prices.Price(one.input, one.output, one.cache_read, one.cache_write)
            for name, one in config.prices.items()
        }
    )


def fuller(said: Usage, counted: Usage) -> Usage:
    """Of two counts of one run the one that knows of more tokens, with the money of either."""

    def tokens(usage: Usage) -> int:
        return (
            usage.input_tokens + usage.output_tokens
            + usage.cache_read_tokens + usage.cache_write_tokens
        )  # fmt: skip

    if tokens(counted) <= tokens(said):
        return said
    usd = counted.usd if counted.usd is not None else said.usd
    return msgspec.structs.replace(counted, usd=usd)


def from_state(used: dict[str, object]) -> Usage:
    """What a session's state says of its use, as far as it is numbers."""

    def number(name: str) -> int:
        found = used.get(name)
        return found if isinstance(found, int) and found > 0 else 0

    usd = used.get("usd")
    return Usage(
        input_tokens=number("input"), output_tokens=number("output"),
        cache_read_tokens=number("cache_read"), cache_write_tokens=number("cache_write"),
        usd=float(usd) if isinstance(usd, int | float) else None,
    )  # fmt: skip
