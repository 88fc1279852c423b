"""Who goes on after a failure, and which agents rest or are out of use."""

from __future__ import annotations

from orch.config.schema import Config
from orch.core import failover, retry, routing
from orch.core.failover import Chain, Choice
from orch.core.weights import FULL, limited, succeeded
from orch.errors import NotFound
from orch.messages import Done, ReportAgent
from orch.model import Attempt, Task, Verdict
from orch.service import answers
from orch.store import attempts, jobs
from services.engine.dispatch import Dispatch


class Failover(Dispatch):
    """Lets agents and models rest, and chooses the next."""

    def onward(self, task: Task, attempt: Attempt, verdict: Verdict) -> Choice | None:
        """Who goes on with a task; None when all have been tried. Called once the attempt has
        ended, inside the transaction of that."""
        tried = attempts.since_fresh(self.store, task.key)
        return failover.onward(attempt, verdict.error, tried, self._chain(task))

    def tried(self, task: Task) -> str:
        """What was tried on a task, and what came of it."""
        return failover.account(attempts.since_fresh(self.store, task.key))

    def _chain(self, task: Task) -> Chain:
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
        resting = jobs.cooling_models(self.store, agent, self.now())
        others = [one for one in (spec.models if spec else ()) if one not in (*resting, model)]
        return others[0] if others else ""

    def let_rest(self, attempt: Attempt, verdict: Verdict, consequence: retry.Consequence) -> None:
        """Let the agent (or the model that was used) rest, or take it out of use, and weigh it
        anew. Called inside the transaction that ends the attempt."""
        if consequence.cooldown:
            until = consequence.cooldown
            jobs.cool(self.store, attempt.agent, attempt.model, until, verdict.message)
        if consequence.broken:
            self.mark_broken(attempt.agent, f"{verdict.error}: {verdict.message}")
        weight = self.weights().get(attempt.agent, FULL)
        if verdict.error in retry.LIMITS:
            jobs.set_weight(self.store, attempt.agent, limited(weight), self.now())
        elif verdict.ok and weight < FULL:
            jobs.set_weight(self.store, attempt.agent, succeeded(weight), self.now())

    @answers(ReportAgent)
    def report_agent(self, request: ReportAgent) -> Done:
        """What a check of an agent found decides whether it is used."""
        if request.agent not in self._known_agents():
            raise NotFound(f"there is no agent {request.agent!r}", "`orch agents` lists them")
        with self.write():
            if request.problem:
                self.mark_broken(request.agent, request.problem)
            elif jobs.mend(self.store, request.agent):
                self.event("agent_mended", "", agent=request.agent)
        self.stir()
        return Done()

    def _known_agents(self) -> set[str]:
        configs = [self.loaded.config, *(p.config for p in self.loaded.projects.values())]
        return {name for config in configs for name in config.agents}
