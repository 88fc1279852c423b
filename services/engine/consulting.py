"""Consultations: what agents use who are asked something apart from any attempt is counted."""

from __future__ import annotations

import msgspec
from msgspec.structs import asdict

from orch.errors import Malformed
from orch.messages import AddConsultation, Done
from orch.model import Consultation, Usage
from orch.service import answers
from orch.store import consultations
from services.engine.budgets import Budgets

KINDS = ("route", "plan")


class Consulting(Budgets):
    """Keeps and prices consultations; those of a plan are reported by whoever asked for it."""

    def keep_consultation(self, one: Consultation) -> Usage:
        """Keep a consultation, priced; returns what it used. Called inside a transaction."""
        config = self.config_of(one.project)
        spec = config.agents.get(one.agent)
        usage = self.with_price(one.usage, one.model, spec.protocol if spec else "", config)
        consultations.insert(self.store, msgspec.structs.replace(one, usage=usage, at=self.now()))
        return usage

    @answers(AddConsultation)
    def add_consultation(self, request: AddConsultation) -> Done:
        """Keep what somebody reports of a question that they put to an agent."""
        if request.kind not in KINDS:
            raise Malformed(f"{request.kind!r} is no consultation", f"one of {', '.join(KINDS)}")
        if min(value or 0 for value in asdict(request.usage).values()) < 0:
            raise Malformed("nobody uses less than nothing")
        self.project_of(request.project)
        task = self.find(request.task, request.project).key if request.task else ""
        with self.write():
            one = Consultation(
                key=request.key, kind=request.kind, project=request.project, task=task,
                agent=request.agent, model=request.model, usage=request.usage,
            )  # fmt: skip
            used = self.keep_consultation(one)
            self.event("agent_consulted", task, kind=one.kind, project=one.project,
                       agent=one.agent, model=one.model, **asdict(used))  # fmt: skip
        return Done()
