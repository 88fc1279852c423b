"""Asking an agent once more in the same conversation: an attempt of its own that takes over the
slot, made in the transaction that ends the one before, so that no crash forgets or repeats it."""

from __future__ import annotations

from pathlib import Path

from orch.core import names, retry
from orch.model import Attempt, ErrorClass, Task, Verdict
from orch.store import attempts
from services.engine.failover import Failover
from services.engine.work import Asked

WHOLE = ("command", "terminal")
"""Protocols without a conversation: the agent is run again, and told all."""

MOST_LINKS = 20
"""How many attempts one conversation is followed back."""


class Reasks(Failover):
    """Makes the attempts that go on with a conversation."""

    def history_of(self, task: Task, attempt: Attempt, verdict: Verdict) -> retry.History:
        """What the attempts before this one came to, of its own kind and, in a review, commit."""
        past = attempts.before(self.store, attempt)
        same = parked = 0
        for old in reversed(past):
            if old.error_class is not verdict.error:
                break
            same += 1
        for old in reversed(past):
            if old.error_class not in retry.OURS:
                break
            parked += 1
        linked = self._links(attempt)
        return retry.History(
            counted=task.attempts, same_error=same, parked=parked,
            launched=attempt.launched_at is not None,
            can_ask=self._can_ask(task, attempt, verdict),
            asked=frozenset(one.error_class for one in linked if one.error_class is not None),
            why_asked=linked[0].error_class if linked else None,
            kept=linked[0].error if linked else "",
        )  # fmt: skip

    def asked(self, attempt: Attempt) -> Asked | None:
        """What an attempt is to ask once more; None for one that begins anew."""
        links = self._links(attempt)
        if not links:
            return None
        why = links[0].error_class or ErrorClass.INVALID_RESPONSE
        return Asked(why=why, problem=links[0].error, session=links[0].native_session)

    def ask_again(self, task: Task, attempt: Attempt, verdict: Verdict) -> Attempt:
        """The next attempt of the same conversation. Called inside the transaction that has ended
        `attempt`; the caller advances it afterwards."""
        model = attempt.model
        if verdict.error is ErrorClass.REFUSAL:
            model = self.other_model(attempt.agent, model, self.config_of(task.project)) or model
        fence = self.next_fence()
        made = attempts.insert(self.store, task.key, fence, attempt.agent, model, self.now())
        folder = Path(attempt.folder).with_name(str(made.n))
        attempts.update(
            self.store, made.id, session=names.session(task.key, made.n), folder=str(folder),
            worktree=attempt.worktree, branch=attempt.branch, base=attempt.base,
            kind=attempt.kind, head=attempt.head, continues=attempt.id,
        )  # fmt: skip
        why = verdict.error.value if verdict.error else ""
        self.event("attempt_started", task.key, attempt=made.n, agent=made.agent,
                   continues=attempt.n, why=why)  # fmt: skip
        return attempts.get(self.store, made.id)

    def _links(self, attempt: Attempt) -> list[Attempt]:
        """The attempts whose conversation this one goes on with, the last one first."""
        found: list[Attempt] = []
        while attempt.continues is not None and len(found) < MOST_LINKS:
            attempt = attempts.get(self.store, attempt.continues)
            found.append(attempt)
        return found

    def _can_ask(self, task: Task, attempt: Attempt, verdict: Verdict) -> bool:
        config = self.config_of(task.project)
        spec = config.agents.get(attempt.agent)
        if spec is None:
            return False
        refused = verdict.error is ErrorClass.REFUSAL
        if refused and not self.other_model(attempt.agent, attempt.model, config):
            return False
        return spec.protocol in WHOLE or bool(attempt.native_session)
