"""Reviews of finished work: who reviews which commit, and what its decision leads to."""

from __future__ import annotations

import msgspec

from orch.config.schema import Config
from orch.core import names, retry
from orch.core import review as core
from orch.core.dispatch import full
from orch.core.prompt import one_line
from orch.core.review import Seen, Step
from orch.core.routing import RESTS_WITH_MODELS, Field
from orch.errors import Refused, Unknown
from orch.messages import Done, ReviewTask, SessionChanged
from orch.model import Attempt, Phase, Review, Status, Task, Verdict
from orch.service import answers
from orch.store import attempts, reviews, tasks
from services.engine import reviewing, work
from services.engine.attempts import Attempts
from services.engine.endings import stopped
from services.engine.merges import Merges

CANNOT_REVIEW = frozenset({"shell", "terminal"})
"""Protocols whose agents do not read and judge."""


class Reviews(Merges, Attempts):
    """Looks at each task in review: its branch, the review of its head, and what is next."""

    def setup(self) -> None:
        """Begin with no branch looked at."""
        self._branches: dict[str, Seen] = {}
        self._why: dict[str, str] = {}
        super().setup()
        self.repeat(self.loaded.config.engine.sync_interval, self.look_again)

    def look_again(self) -> None:
        """The safety net: somebody may have gone on with a branch, or merged it, by hand."""
        if self._branches:
            self._branches.clear()
            self.stir()

    def forget(self, key: str) -> None:
        """Look at a task's branch anew."""
        self._branches.pop(key, None)
        self._why.pop(key, None)

    def dispatch(self) -> None:
        """Start what can start, then see to the tasks in review."""
        super().dispatch()
        if self.not_taking():
            return
        try:
            for _, task in list(self._ready_tasks(Status.IN_REVIEW)):
                idle = attempts.open_of(self.store, task.key) is None
                if idle and not task.pull_request and not self.busy_apart(task.key):
                    self._attend(task)
        except Unknown as error:
            self.log.warning("reviews have to wait: %s", error.message)

    def _attend(self, task: Task) -> None:
        seen = self._branches.get(task.key)
        if seen is None:
            branch = self.branch(task)
            self.apart(task, lambda: reviewing.look(branch), self._looked)
            return
        merge = reviews.merge_of(self.store, task.key)
        if seen.merged and merge is not None and not merge.done and merge.head == seen.head:
            self.merge(task, seen.head)  # done before, and not recorded: it is only cleared away
            return
        review = reviews.of_head(self.store, task.key, seen.head)
        step = core.following(seen, review, task.branch, self.rules(task))
        self._why[task.key] = step.reason
        if step.do == "review":
            self._begin_review(task, seen.head)
        elif step.do == "merge":
            self.merge(task, seen.head)
        elif step.do != "wait":
            with self.write():
                self.conclude(task, step)
            self.concluded(task)

    def _looked(self, task: Task, seen: Seen) -> None:
        self._branches[task.key] = seen
        self.stir()

    # ---- a review begins ---------------------------------------------------------------------

    def _begin_review(self, task: Task, head: str) -> None:
        field = self._reviewers(task)
        agent, problem = self._reviewer(task, head, field)
        if problem and not field.resting:
            with self.write():
                reason = f"no agent can review it: {problem}"
                self.conclude(task, core.Step(do="person", reason=reason))
            self.concluded(task)
            return
        problem = problem and f"a reviewer: {problem}"
        problem = (
            problem or full(task.project, agent, self.load(), self.limits()) or self.day_hold()
        )
        self._why[task.key] = problem
        if problem:
            return
        with self.write():
            if self.lacks_budget(task):
                self.forget(task.key)
                return
            attempt = self._claim_review(task, agent, head)
        self._why[task.key] = f"its review by {agent}"
        self.advance(attempt)

    def _reviewers(self, task: Task) -> Field:
        """The agents that may review now: not those whose models for it all rest. The one that is
        configured is waited for too, whether or not it is given work."""
        config = self.config_of(task.project)
        field = self.field(config)
        asked = {*field.available, config.workflow.review_agent} & {*config.agents}
        rest = [name for name in asked if self._rests(name, task, config)]
        return msgspec.structs.replace(
            field, available=tuple(name for name in field.available if name not in rest),
            unavailable=dict.fromkeys(rest, RESTS_WITH_MODELS) | field.unavailable,
            resting=field.resting | set(rest),
        )  # fmt: skip

    def _rests(self, agent: str, task: Task, config: Config) -> bool:
        rest = self.rests().of(agent, config.account_of(agent))
        if rest is not None:
            return not rest.broken
        return self._review_model(agent, task, config) is None

    def _review_model(self, agent: str, task: Task, config: Config) -> str | None:
        """The model that an agent reviews with: the mapped one unless it rests, else as for work;
        None when all of them rest."""
        mapped = config.model_map.of("review", agent)
        if mapped and mapped not in self.resting_models(agent, config):
            return mapped
        return self.model_for(agent, task.complexity, config)

    def _reviewer(self, task: Task, head: str, field: Field) -> tuple[str, str]:
        config = self.config_of(task.project)
        past = attempts.of_task(self.store, task.key)
        return core.reviewer(
            authors=tuple(one.agent for one in past if one.kind == "work"),
            configured=config.workflow.review_agent,
            field=field,
            unfit=frozenset(n for n, s in config.agents.items() if s.protocol in CANNOT_REVIEW),
            failed=frozenset(
                one.agent for one in past if one.kind == "review" and one.head == head
                and one.error_class is not None and one.error_class not in retry.OURS
            ),
        )  # fmt: skip

    def _claim_review(self, task: Task, agent: str, head: str) -> Attempt:
        config = self.config_of(task.project)
        model = self._review_model(agent, task, config) or ""
        made = attempts.insert(self.store, task.key, self.next_fence(), agent, model, self.now())
        folder = self.home.task_folder(names.task_folder(task.key)) / "attempts" / str(made.n)
        attempts.update(
            self.store, made.id, session=names.session(task.key, made.n), folder=str(folder),
            worktree=str(self.place(task, "review")), kind="review", head=head, counted=0,
        )  # fmt: skip
        self.event("attempt_started", task.key, attempt=made.n, agent=agent, kind="review",
                   head=head)  # fmt: skip
        return attempts.get(self.store, made.id)

    # ---- a review ends -----------------------------------------------------------------------

    def after_work(self, task: Task, delivered: work.Delivered | None) -> Status:
        """Finished work that changed something is reviewed where that is wanted."""
        workflow = self.config_of(task.project).workflow
        standing = reviews.standing(self.store, task.key)
        if standing.feedback:
            reviews.stand(self.store, task.key, msgspec.structs.replace(standing, feedback=""))
        self.forget(task.key)
        wanted = core.wanted(
            task.labels, asked=standing.asked, enabled=workflow.enable_review_agent,
            every=workflow.review_internal_tasks,
        )  # fmt: skip
        changed = delivered is not None and bool(delivered.files)
        return Status.IN_REVIEW if wanted and changed else Status.DONE

    def finish(self, attempt: Attempt, verdict: Verdict, delivered: work.Delivered | None) -> None:
        """End an attempt; one that reviewed decides about its task by what it said."""
        if attempt.kind != "review":
            super().finish(attempt, verdict, delivered)
            return
        task, told = tasks.get(self.store, attempt.task), attempts.get(self.store, attempt.id)
        if told.outcome:
            verdict = stopped(told, verdict)
        history = self.history_of(task, told, verdict)
        consequence = retry.follow(verdict, history, max_attempts=1 << 30, now=self.now())
        with self.write():
            review = self._kept(told, verdict)
            outcome = review.decision if review else (told.outcome or "failed")
            attempts.update(
                self.store, told.id, error_class=verdict.error, outcome=outcome,
                error=verdict.message, ended_at=self.now(), counted=0,
            )  # fmt: skip
            attempts.update(self.store, told.id, phase=Phase.ENDED)
            self.let_rest(told, verdict, consequence)
            self.event("attempt_ended", task.key, attempt=told.n, outcome=outcome, kind="review",
                       session=told.session, agent=told.agent, error=one_line(verdict.message),
                       error_class=verdict.error.value if verdict.error else None)  # fmt: skip
            again = self._lead(task, told, verdict, consequence, review)
        self._tries.pop(attempt.id, None)
        self.publish(SessionChanged(attempt.session))
        self.concluded(task)
        if again is not None:
            self.advance(again)

    def _kept(self, attempt: Attempt, verdict: Verdict) -> Review | None:
        """The review that a run gave, kept; None for a run that gave none."""
        if not verdict.ok or verdict.answer is None:
            return None
        review = core.read(
            verdict.answer.review, task=attempt.task, head=attempt.head, reviewer=attempt.agent,
            attempt=attempt.id, at=self.now(),
        )  # fmt: skip
        if reviews.of_head(self.store, attempt.task, attempt.head) is None:
            reviews.insert(self.store, review)
            self.event("review_given", attempt.task, decision=review.decision,
                       reviewer=review.reviewer, head=review.head,
                       notes=one_line(review.notes))  # fmt: skip
        return review

    def _lead(
        self, task: Task, attempt: Attempt, verdict: Verdict, consequence: retry.Consequence,
        review: Review | None,
    ) -> Attempt | None:  # fmt: skip
        """Move the task where a review leads; a run that gave none is asked again, or another one
        follows, until a person must look."""
        if attempt.outcome == "closed":
            self.conclude(task, Step(do="done", reason=attempt.error))
            return None
        if review is not None:
            standing = reviews.standing(self.store, task.key)
            step = core.after(review, standing.cycles, self.rules(task))
            if step.do == "back":
                more = msgspec.structs.replace(standing, cycles=standing.cycles + 1)
                reviews.stand(self.store, task.key, more)
            self.conclude(task, step)
            return None
        if consequence.ask:
            return self.ask_again(task, attempt, verdict)
        past = attempts.before(self.store, attempt)
        failures = [a for a in past if a.error_class in core.FAILURES]
        again = consequence.status is Status.ROUTED and verdict.error not in core.FAILURES
        if not again and (consequence.status is not Status.ROUTED
                          or len(failures) + 1 >= core.MOST_FAILURES):  # fmt: skip
            why = f"it could not be reviewed: {verdict.message}"
            self.conclude(task, Step(do="person", reason=why))
        elif consequence.not_before:
            tasks.update(
                self.store, task.key, self.now(), not_before=consequence.not_before,
                last_error=verdict.message,
            )  # fmt: skip
        return None

    # ---- what people ask ---------------------------------------------------------------------

    def why_waiting(self, task: Task) -> str:
        """Why a task is not running, for people."""
        told = super().why_waiting(task)
        return self._why.get(task.key) or told if task.status is Status.IN_REVIEW else told

    @answers(ReviewTask)
    def review_task(self, request: ReviewTask) -> Done:
        """Review a task's work: now when it is finished, else once it is."""
        task = self.find(request.id, request.project)
        finished = task.status in (Status.DONE, Status.NEEDS_REVIEW)
        if finished and not task.branch:
            raise Refused(
                f"{task.key} has no branch to review",
                "it changed nothing, or its work is merged already",
            )
        with self.write():
            reviews.supersede(self.store, task.key)
            standing = reviews.standing(self.store, task.key)
            asked = msgspec.structs.replace(standing, asked=True, cycles=0, conflicts=0)
            reviews.stand(self.store, task.key, asked)
            if finished:
                tasks.update(self.store, task.key, self.now(), status=Status.IN_REVIEW,
                             blocked_reason="", not_before=0.0)  # fmt: skip
            self.event("review_asked", task.key, by=request.by)
        self.concluded(task)
        return Done()
