"""Who goes on after a failure, and what of the failed agent rests."""

from __future__ import annotations

from orch.config.schema import Config
from orch.core import failover, retry, routing
from orch.core.failover import Chain, Choice
from orch.core.weights import FULL, limited, succeeded
from orch.model import Attempt, Task, Verdict
from orch.store import attempts, jobs, tasks
from services.engine.dispatch import Dispatch


class Failover(Dispatch):
    """Lets accounts and models rest, and chooses who is next."""

    def onward(self, task: Task, attempt: Attempt, verdict: Verdict) -> Choice | None:
        """Who goes on with a task; None when all have been tried. Called once the attempt has
        ended, inside the transaction of that."""
        tried = attempts.since_fresh(self.store, task.key)
        return failover.onward(attempt, verdict.error, tried, self.chain(task))

    def tried(self, task: Task) -> str:
        """What was tried on a task, and what came of it."""
        return failover.account(attempts.since_fresh(self.store, task.key))

    def chain(self, task: Task) -> Chain:
        """All who may go on with a task."""
        config = self.config_of(task.project)
        field = self.field(config)
        return Chain(
            field=field, resting=field.resting,
            models={n: self.model_for(n, task.complexity, config) for n in config.agents},
            free=self.free_models(config), wanted=routing.wanted((), task.wanted_agent),
        )  # fmt: skip

    def other_model(self, agent: str, model: str, config: Config) -> str:
        """Another model of an agent that does not rest; '' when it has none."""
        spec = config.agents.get(agent)
        resting = self.resting_models(agent, config)
        others = [one for one in (spec.models if spec else ()) if one not in (*resting, model)]
        return others[0] if others else ""

    def let_rest(self, attempt: Attempt, verdict: Verdict, consequence: retry.Consequence) -> None:
        """Let the agent's account (or the model of it that was used) rest, or take it out of use,
        and weigh the agent anew. Called inside the transaction that ends the attempt."""
        config = self.config_of(tasks.get(self.store, attempt.task).project)
        account = config.account_of(attempt.agent)
        if consequence.cooldown:
            model = "" if verdict.whole_account else attempt.model
            self.cool(account, model, consequence.cooldown, verdict.message)
        if consequence.broken:
            self.mark_broken(verdict.error, attempt.agent, account, verdict.message)
        weight = self.weights().get(attempt.agent, FULL)
        if verdict.error in retry.LIMITS:
            jobs.set_weight(self.store, attempt.agent, limited(weight), self.now())
        elif verdict.ok and weight < FULL:
            jobs.set_weight(self.store, attempt.agent, succeeded(weight), self.now())
