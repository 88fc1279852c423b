"""Free models by pattern: an opencode is asked aside which of its models cost nothing."""

from __future__ import annotations

from functools import partial

import msgspec

from orch.agents.opencode_models import listing
from orch.config.schema import Config
from orch.core import failover
from orch.core.failover import is_pattern
from orch.core.prompt import one_line
from orch.errors import ConfigError, OrchError, Refused, Unknown
from orch.model import Status, Task
from orch.store import attempts, tasks
from orch.tools import models as door
from services.engine.endings import Endings
from services.engine.usable import Models
from services.engine.work import agent_spec

ASK_SECONDS = 60.0
"""How long it may take to say it; a second or three is usual."""

LATE_SECONDS = 10.0
"""How much longer clearing up after it may take."""

KEPT_SECONDS = 3600.0
"""How long what it said is kept."""

FAILED_SECONDS = 600.0
"""How long it counts as having none when it could not say it."""


class Told(msgspec.Struct, frozen=True):
    """What an opencode said, and until when that is kept (monotonic seconds)."""

    models: Models
    until: float


class FreeModels(Endings):
    """Lets tasks that all agents have failed go on with models that nobody named one by one. What
    was said is kept in memory; which task waits for it is told by its model, a pattern."""

    def setup(self) -> None:
        """Begin with nobody asked."""
        self._free_told: dict[str, Told] = {}
        self._asking_free: set[str] = set()
        self._free_mute: set[str] = set()
        self._await_free: dict[str, None] = {}
        self._listings = 0
        super().setup()

    def told_free(
        self, agent: str, config: Config, *, late: bool = False
    ) -> tuple[str, ...] | None:
        """The models that an agent said are free; None when it has to be asked (anew, unless
        what was said too long ago will do)."""
        told = self._free_told.get(_key(agent, config))
        return told.models if told and (late or told.until > self.clock()) else None

    def await_free(self, task: Task) -> None:
        """Have the agent of a routed task asked for the models that its pattern stands for."""
        self._await_free[task.key] = None

    def why_waiting(self, task: Task) -> str:
        """Why a task is not running, for people."""
        if task.status is Status.ROUTED and is_pattern(task.model):
            return f"{task.agent} to say which of its models are free"
        return super().why_waiting(task)

    def dispatch(self) -> None:
        """Start what can start; then ask what tasks wait for, outside of any transaction."""
        super().dispatch()
        waiting, self._await_free = list(self._await_free), {}
        try:
            for key in waiting:
                self._look_at_waiting(key)
        except Unknown as error:
            self.log.warning("tasks that wait for free models go on waiting: %s", error.message)

    def _look_at_waiting(self, key: str) -> None:
        """Ask for what a task waits for, or go on with it when that is known (or nobody can be
        asked any more)."""
        task = tasks.get(self.store, key)
        config = self.config_of(task.project)
        named = (task.agent, task.model) in self.free_models(config)
        if named and self.told_free(task.agent, config) is None:
            self._ask_models(task.agent, config)
        else:
            self._go_on_free(task)

    def _ask_models(self, agent: str, config: Config) -> None:
        key = _key(agent, config)
        if key in self._asking_free:
            return
        self._listings += 1
        name = f"models-{self._listings}"
        folder = self.home.state / "questions" / name
        try:
            run = f"{self.home.root}:engine:{name}"
            order = listing(agent_spec(config.agents[agent]), run)
            self.aside(
                lambda: door.free_models(order, folder, ASK_SECONDS),
                lambda models: self._models_said(agent, key, models),
                partial(self._models_failed, agent, key), timeout=ASK_SECONDS + LATE_SECONDS,
            )  # fmt: skip
        except ConfigError as error:
            self._models_failed(agent, key, error)
            return
        except Refused as error:
            self.log.warning("asking %s for its free models has to wait: %s", agent, error.message)
            return
        self._asking_free.add(key)
        self.log.info("asking %s for its free models", agent)

    def _models_said(self, agent: str, key: str, models: tuple[str, ...]) -> None:
        self._free_mute.discard(key)
        self.log.info("%s has %d free models: %s", agent, len(models), ", ".join(models[:20]))
        self._keep_models(key, Told(models, self.clock() + KEPT_SECONDS))

    def _models_failed(self, agent: str, key: str, error: Exception) -> None:
        """It could not say it, which counts as having none; told once until it can."""
        if not isinstance(error, OrchError | OSError):
            raise error
        if key not in self._free_mute:
            why = error.message if isinstance(error, OrchError) else str(error)
            self.log.warning("%s does not say which of its models are free: %s", agent, why)
        self._free_mute.add(key)
        self._keep_models(key, Told((), self.clock() + FAILED_SECONDS))

    def _keep_models(self, key: str, told: Told) -> None:
        self._asking_free.discard(key)
        self._free_told[key] = told
        self.stir()

    def _go_on_free(self, task: Task) -> None:
        """Go on with a task now that it is known which models are free: with one of them, or, as
        after any failure, with whoever can be used, or a person."""
        tried = attempts.since_fresh(self.store, task.key)
        with self.write():
            choice = failover.onward(tried[-1], tried[-1].error_class, tried, self.chain(task))
            if choice is not None:
                tasks.update(self.store, task.key, self.now(), agent=choice.agent,
                             model=choice.model)  # fmt: skip
                self.event("task_routed", task.key, agent=choice.agent, model=choice.model,
                           reason=choice.reason)  # fmt: skip
            else:
                reason = f"{one_line(task.last_error)} (all have been tried: {self.tried(task)})"
                tasks.update(self.store, task.key, self.now(), status=Status.NEEDS_REVIEW,
                             blocked_reason=reason)  # fmt: skip
                self.event("task_changed", task.key, status="needs_review", reason=reason)
                self.tell_parent(task.parent)
        self.sidecar(task.key)
        self.stir()


def _key(agent: str, config: Config) -> str:
    """What tells one opencode from another: its name, and how it is run."""
    return f"{agent} {msgspec.json.encode(config.agents[agent]).decode()}"
